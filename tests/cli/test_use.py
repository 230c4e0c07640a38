"""`bm providers use`: one command from a known name to a provider in use."""

from __future__ import annotations

import pytest

from bm.accounts.credentials import load
from bm.config.paths import Paths
from bm.simulator import Simulator
from tests.cli.conftest import PLANTED, Bm

EVERY_TOOL = (
    "it serves Claude Code, Codex, Gemini CLI, opencode, aider, Qwen Code, llm, Cline, Roo Code, Continue, Zed\n"
)


def state(bm: Bm, name: str) -> tuple[str, str]:
    """State and mode of a provider."""
    row = bm("providers", "show", name, "--json").json
    return row["state"], row["mode"]


def test_the_key_is_tested_and_the_provider_is_in_use(bm: Bm, paths: Paths, simulator: Simulator) -> None:
    ran = bm("providers", "use", "groq", stdin=PLANTED)
    assert (ran.code, ran.out) == (0, "groq: in use, mode fallback\n" + EVERY_TOOL)
    assert "accepted: " in ran.err and PLANTED not in ran.err
    assert state(bm, "groq") == ("in use", "fallback")
    assert [each.account for each in simulator.log()][:1] == [PLANTED[-6:]]
    (account,) = load(paths.accounts).accounts
    assert (account.provider, account.name, account.key) == ("groq", "main", PLANTED)


def test_a_refused_key_changes_nothing(bm: Bm, paths: Paths, simulator: Simulator) -> None:
    simulator.script(keys=("another-key",))
    ran = bm("providers", "use", "groq", stdin=PLANTED)
    assert (ran.code, ran.out) == (2, "")
    assert "not saved" in ran.err
    assert state(bm, "groq") == ("needs key", "off")


def test_the_key_may_be_in_the_environment(bm: Bm, paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROQ_API_KEY", PLANTED)
    ran = bm("providers", "use", "groq", "--mode", "pooled", "--no-verify")
    assert (ran.code, ran.out) == (
        0,
        "groq: in use, mode pooled\nit serves Codex, aider, Qwen Code, llm, Cline, Continue, Zed\n",
    )
    assert ran.err.startswith("the key is taken from GROQ_API_KEY\nnote: it does not serve Claude Code, Gemini CLI, ")
    assert [each.key for each in load(paths.accounts).accounts] == [PLANTED]
    remedy = ran.err.splitlines()[-1].split("'")[1]
    assert bm("config", "set", "providers.groq.protocols", remedy).code == 0


def test_what_it_has_is_kept_when_it_is_used_again(bm: Bm, paths: Paths) -> None:
    bm("providers", "use", "groq", "--no-verify", "--mode", "exclusive", stdin=PLANTED)
    bm("providers", "disable", "groq")
    assert state(bm, "groq") == ("ready", "exclusive")
    ran = bm("providers", "use", "groq")
    assert ran.out.startswith("groq: in use, mode exclusive\n")
    assert ran.err.startswith("groq: the key that is stored is kept\n")


def test_gemini_gets_its_first_account(bm: Bm, paths: Paths, simulator: Simulator) -> None:
    bm("providers", "disable", "gemini")
    assert bm("providers", "use", "gemini", stdin=PLANTED).out == "gemini: in use\n" + EVERY_TOOL
    assert [each.id for each in load(paths.accounts).accounts] == [("gemini", "main")]
    assert state(bm, "gemini")[0] == "in use"


def test_a_server_on_this_machine_needs_no_key_but_must_run(bm: Bm, paths: Paths, simulator: Simulator) -> None:
    paths.config.write_text('[providers.ollama]\nbase_url = "http://127.0.0.1:9/v1"\n')
    ran = bm("providers", "use", "ollama")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "error: ollama does not run at http://127.0.0.1:9/v1: start it (https://ollama.com)\n"
    paths.config.write_text(f'[providers.ollama]\nbase_url = "{simulator.url}/v1"\n')
    assert bm("providers", "use", "ollama").out.startswith("ollama: in use, mode fallback\n")


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("grok",), "no provider is named 'grok' (did you mean \"groq\"?)"),
        (("groq", "--mode", "off"), "off means that it is not used: bm providers mode groq off"),
        (("gemini", "--mode", "pooled"), "gemini is the pool itself and has no mode"),
        (("groq",), "no key given for groq (https://console.groq.com/keys)"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_remedy(bm: Bm, words: tuple[str, ...], error: str) -> None:
    ran = bm("providers", "use", *words)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"error: {error}")
