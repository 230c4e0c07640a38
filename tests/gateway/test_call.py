"""What a call knows of itself."""

from __future__ import annotations

from bm.gateway.call import Call


def test_the_first_value_of_a_header() -> None:
    headers = [("accept", "one"), ("accept", "two")]
    call = Call(id="r", protocol="gemini", operation="generate", headers=headers, body=b"{}", model="m", stream=False)
    assert (call.header("accept"), call.header("absent")) == ("one", "")
