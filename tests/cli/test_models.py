"""`bm models`."""

from __future__ import annotations

from bm.simulator import Simulator
from tests.cli.conftest import Bm


def test_none(bm: Bm) -> None:
    assert bm("models") == (0, "no provider in use lists any model (bm test says why)\n", "")


def test_the_models_of_the_providers_in_use(bm: Bm, simulator: Simulator) -> None:
    bm("accounts", "add", "one", "--no-verify", stdin="key-one")
    down = bm("models")
    lines = down.out.splitlines()
    assert lines[0].split() == ["MODEL", "PROVIDER", "CONTEXT", "LONGEST", "ANSWER", "NOTE"]
    assert lines[1].split()[:2] == ["gemini-2.5-pro", "gemini"]
    bm("start")
    assert bm("models") == down
    row = bm("models", "--json").json["models"][0]
    assert set(row) >= {"id", "provider", "context", "max_output"}
    assert len(bm("models", "--all").out.splitlines()) >= len(lines)


def test_what_was_learned_of_a_model_is_shown_and_forgotten(bm: Bm, simulator: Simulator) -> None:
    bm("accounts", "add", "one", "--no-verify", stdin="key-one")
    assert "nothing was learned of gemini-2.5-pro" in bm("models", "gemini-2.5-pro").out
    bm("start")
    assert bm("models", "gemini-2.5-pro", "--json").json == {"learned": []}
    assert bm("models", "forget", "gemini-2.5-pro", "--json").json == {"forgotten": 0}
    assert "forgot 0 changes" in bm("models", "forget", "gemini-2.5-pro").out
    assert bm("models", "one", "two").code == 2
