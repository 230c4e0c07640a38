"""`bm models`."""

from __future__ import annotations

import httpx

from bm.config.paths import Paths
from bm.simulator import Simulator
from tests.cli.conftest import Bm


def test_none(bm: Bm) -> None:
    assert bm("models") == (0, "no provider in use lists any model (bm test says why)\n", "")


def test_the_models_of_the_providers_in_use(bm: Bm, simulator: Simulator) -> None:
    bm("accounts", "add", "one", "--no-verify", stdin="key-one")
    down = bm("models")
    lines = down.out.splitlines()
    assert lines[0].split() == ["NAME", "TO", "TYPE", "CONTEXT", "ANSWER", "IN", "/", "OUT", "TAKES", "NOTE"]
    assert lines[1].startswith("gemini-2.5-pro  ")
    assert "1.25 / 10.00" in lines[1] and "thinking, images, documents, audio, video" in lines[1]
    bm("start")
    assert bm("models") == down
    row = bm("models", "--json").json["models"][0]
    assert set(row) >= {"id", "name", "provider", "context", "max_output", "price", "takes", "note"}
    assert len(bm("models", "--all").out.splitlines()) >= len(lines)


def test_what_was_learned_of_a_model_is_shown_and_forgotten(bm: Bm, simulator: Simulator) -> None:
    bm("accounts", "add", "one", "--no-verify", stdin="key-one")
    assert "nothing was learned of gemini-2.5-pro" in bm("models", "gemini-2.5-pro").out
    bm("start")
    assert bm("models", "gemini-2.5-pro", "--json").json == {"learned": []}
    assert bm("models", "forget", "gemini-2.5-pro", "--json").json == {"forgotten": 0}
    assert "forgot 0 changes" in bm("models", "forget", "gemini-2.5-pro").out
    assert bm("models", "one", "two").code == 2


def test_aliases_and_prefixes_to_type_are_listed(bm: Bm, http: httpx.Client, paths: Paths) -> None:
    bm("config", "set", "aliases.fast", "groq:openai/gpt-oss-20b")
    ran = bm("models")
    assert ran.out.startswith("ALIAS  STANDS FOR\nfast   groq:openai/gpt-oss-20b\n\n")
    bm("config", "set", "routes.codex.think", '["fast", "sonnet"]')
    assert "ROUTE        GOES TO\ncodex.think  fast, then sonnet\n\n" in bm("models").out
    assert bm("models", "--json").json["routes"] == {"codex.think": ["fast", "sonnet"]}
    names = [row["name"] for row in bm("models", "--json").json["models"]]
    typed = next(name for name in names if name.startswith("groq:"))
    assert bm("ask", "-m", typed, "hello").err.startswith(f"[groq/config {typed.removeprefix('groq:')}, ")
    assert bm("models", "--json").json["aliases"] == {"fast": "groq:openai/gpt-oss-20b"}
