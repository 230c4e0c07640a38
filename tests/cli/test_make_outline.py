"""The outline holds what completion needs of the commands, the catalogs and the schema."""

from __future__ import annotations

from bm.cli.make_outline import made


def test_it_holds_what_completion_needs() -> None:
    found = made()
    mode = found["command"]["commands"]["providers"]["commands"]["mode"]
    assert [each["offers"] for each in mode["arguments"]] == ["providers", ""]
    assert "fallback" in mode["arguments"][1]["choices"]
    options = {each["names"][0]: each for each in found["command"]["commands"]["ask"]["options"]}
    assert (options["--model"]["names"], options["--model"]["offers"]) == (["--model", "-m"], "models")
    assert not options["--json"]["value"]
    assert found["settings"]["members"]["pool"]["members"]["affinity"] == {"values": ["true", "false"]}
    assert "mode" in found["settings"]["members"]["providers"]["other"]["members"]
