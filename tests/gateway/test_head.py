"""What is read of a body before it is routed, and how its faults are told."""

from __future__ import annotations

import pytest

from bm.errors import RequestError
from bm.gateway.head import read_head


@pytest.mark.parametrize(
    ("body", "head"),
    [
        (b'{"model": "x"}', ("x", False)),
        (b'{"model": "x", "stream": true}', ("x", True)),
        (b'{"model": "x", "stream": null}', ("x", False)),
        (b'{"stream": true, "messages": [{"model": 5}], "model": "x"}', ("x", True)),
        (b' \n{"model": "groq:a/b", "unknown": {"deep": [1, {"model": "y"}]}}', ("groq:a/b", False)),
    ],
)
def test_the_model_and_whether_to_stream(body: bytes, head: tuple[str, bool]) -> None:
    read = read_head(body, needs_model=True)
    assert (read.model, bool(read.stream)) == head


def test_gemini_names_its_model_elsewhere() -> None:
    assert read_head(b"{}", needs_model=False).model == ""


@pytest.mark.parametrize(
    ("body", "message", "param"),
    [
        (b"", "the body is not valid JSON", ""),
        (b"{", "the body is not valid JSON", ""),
        (b'{"model": "\xff"}', "the body is not valid JSON", ""),
        (b"[1]", "the body: expected `object`, got `array`", ""),
        (b'{"model": 5}', "`model`: expected `str`, got `int`", "model"),
        (b'{"model": "x", "stream": "yes"}', "`stream`: expected `bool | null`, got `str`", "stream"),
        (b"{}", "the request names no model", "model"),
        (b'{"model": " "}', "the request names no model", "model"),
        (b'{"model": "x", "a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "the body is nested too deeply", ""),
    ],
    ids=lambda value: repr(value[:20]),
)
def test_a_fault_names_its_place(body: bytes, message: str, param: str) -> None:
    with pytest.raises(RequestError) as caught:
        read_head(body, needs_model=True)
    failure = caught.value.failure
    assert failure.kind == "bad_request" and failure.message.startswith(message) and failure.param == param
