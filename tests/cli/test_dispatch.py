"""`bm route` and `bm why` print the same with and without a daemon."""

from __future__ import annotations

import httpx
import pytest

from bm.cli.dispatch import attempt_end, ending, tokens
from bm.config.paths import Paths
from bm.simulator import Rule, Simulator
from tests.cli.conftest import Bm
from tests.simulator.streams import ask


def test_route_fails_when_nothing_can_serve(bm: Bm) -> None:
    ran = bm("route", "opus")
    assert ran.code == 1
    assert ran.out.startswith("nothing can serve this request\n")
    assert "bm accounts add NAME" in ran.out


def test_route_lists_the_targets_in_order(bm: Bm, simulator: Simulator) -> None:
    bm("accounts", "add", "one", "--no-verify", stdin="key-one")
    bm("providers", "key", "anthropic", "--no-verify", stdin="key-two")
    ran = bm("route", "opus")
    assert ran.code == 0
    assert [line.split()[:3] for line in ran.out.splitlines()[1:3]] == [
        ["1", "gemini", "one"],
        ["2", "anthropic", "main"],
    ]
    answer = bm("route", "opus", "--json").json
    assert [(target["provider"], target["account"]) for target in answer["targets"]] == [
        ("gemini", "one"),
        ("anthropic", "main"),
    ]
    assert answer["failure"] is None


def test_route_lists_excluded_accounts_with_the_remedy(bm: Bm, simulator: Simulator) -> None:
    bm("accounts", "add", "one", "--no-verify", stdin="key-one")
    bm("accounts", "add", "two", "--no-verify", stdin="key-two")
    bm("accounts", "disable", "two")
    plan, left_out = bm("route", "opus").out.split("NOT PLANNED")
    assert "one" in plan and "two" not in plan
    assert "one" not in left_out.split() and "bm accounts enable two" in left_out


def test_why_lists_the_plan_before_what_is_not_in_it(bm: Bm, http: httpx.Client) -> None:
    bm("providers", "mode", "xai", "fallback")
    ask(http, "anthropic")
    rows = bm("why").out.partition("PLAN")[2].splitlines()[1:]
    assert rows[0].startswith("1 ")
    assert [" planned " in row for row in rows] == [True, True, True, False]


def test_route_depends_on_the_protocol(bm: Bm, simulator: Simulator) -> None:
    bm("providers", "key", "anthropic", "--no-verify", stdin="key-two")
    bm("config", "set", "providers.anthropic.protocols", '["anthropic"]')
    assert bm("route", "opus").code == 0
    assert bm("route", "opus", "--protocol", "openai-chat").code == 1
    assert bm("route", "opus", "--protocol", "telex").code == 2


def test_route_says_which_route_applies(bm: Bm, paths: Paths) -> None:
    bm("accounts", "add", "one", "--no-verify", stdin="key-one")
    bm("config", "set", "routes.long_context", "gemini:pro")
    bm("config", "set", "routes.codex.image", '["gemini:flash", "gemini:pro"]')
    assert "routes.long_context applies" not in bm("route", "opus", "--tokens", "60000").out
    assert "routes.long_context applies, as the prompt has" in bm("route", "opus", "--tokens", "60001").out
    assert bm("route", "opus", "--image", "--json").json["route"] is None
    found = bm("route", "gpt-5", "--image", "--tool", "codex", "--protocol", "openai-responses", "--json").json
    assert found["route"] == "routes.codex.image"
    assert [target["model"] for target in found["targets"]] == ["gemini-3.8-flash", "gemini-3.1-pro-preview"]


def test_a_hook_that_does_not_load_is_said_with_its_line(bm: Bm, paths: Paths) -> None:
    bm("config", "set", "routes.hook", "routes.py:choose")
    assert (bm("config", "check").code, bm("route", "opus").code) == (2, 1)
    script = paths.config.with_name("routes.py")
    script.write_text("def choose(model, needs, headers):\n    return 'haiku'\n")
    assert bm("config", "check").code == 0
    assert "the hook of [routes] chose haiku" in bm("route", "opus").out
    script.write_text("\nimport nothing_of_that_name\n")
    assert f"{script}:2: ModuleNotFoundError" in bm("config", "check").err
    assert f"{script}:2: ModuleNotFoundError" in bm("start").err


def test_why_explains_a_failover_with_and_without_a_daemon(bm: Bm, simulator: Simulator, http: httpx.Client) -> None:
    simulator.script(Rule(account="-first", status=429, retry_info="600s", message="far too many", times=None))
    ids = [ask(http, "anthropic").headers["x-bm-request-id"] for _ in range(2)]
    found = next(each for each in (bm("why", name, "--json").json for name in ids) if len(each["attempts"]) == 2)
    shown = bm("why", found["id"])
    assert shown.code == 0
    for words in (
        "far too many",
        "429 rate limited",
        "cools down for 10 min",
        "answered by gemini/second",
        "tokens in",
        found["id"],
    ):
        assert words in shown.out
    assert bm("why", "last", "--json").json["id"] == bm("why", "--json").json["id"] == ids[1]
    assert bm("stop").code == 0
    assert bm("why", found["id"]) == shown
    assert bm("why", found["id"], "--json").json == found
    assert bm("why", "last", "--json").json["id"] == ids[1]


@pytest.mark.parametrize("name", ["req_unknown", "", "../../models"])
def test_an_unknown_request(bm: Bm, name: str) -> None:
    ran = bm("why", name)
    assert (ran.code, ran.out) == (1, "")
    assert f"{name} is unknown" in ran.err


def test_before_the_first_request(bm: Bm) -> None:
    assert "no request has been recorded yet" in bm("why").err


BY = {"provider": "gemini", "account": "main", "model": "flash"}
LIMITED = {"kind": "rate_limited", "message": "slow down.", "retry_after": 45.0}
BROKEN = {"kind": "truncated", "message": "gemini broke off", "retry_after": None}
PLAIN = {
    "took": 2.0,
    "first_content": None,
    "answered_by": BY,
    "client_left": False,
    "failure": None,
    "passed_through": True,
    "continuations": 0,
    "status": 200,
    "finish": "stop",
}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "answered by gemini/main flash, passed through: 200 stop; 2.00 s in total"),
        (
            {"passed_through": False, "first_content": 0.5},
            "answered by gemini/main flash, translated: 200 stop; first content after 0.50 s, 2.00 s in total",
        ),
        (
            {"continuations": 1},
            "answered by gemini/main flash, passed through, finished after a cut: 200 stop; 2.00 s in total",
        ),
        ({"client_left": True}, "the client left (gemini/main flash); 2.00 s in total"),
        (
            {"answered_by": None, "status": 429, "failure": LIMITED},
            "failed with 429 (rate limited): slow down; retry after 45 s; 2.00 s in total",
        ),
        (
            {
                "failure": {"kind": "truncated", "message": "gemini broke off", "retry_after": None},
                "first_content": 1.0,
            },
            "broke off (truncated): gemini broke off; first content after 1.00 s, 2.00 s in total",
        ),
    ],
)
def test_how_a_request_ended(fields: dict[str, object], words: str) -> None:
    assert ending(PLAIN | fields) == words


def test_tokens() -> None:
    usage = {"input": 1_000, "cache_read": 200, "cache_write": 30, "output": 40, "thinking": 5}
    assert tokens(usage) == "1,230 tokens in (200 cached, 30 written to the cache), 40 out (5 thinking)"
    assert tokens(None) == "no usage reported"


SENT = {"status": 429, "outcome": "rate_limited", "took": 0.18, "wait": 0.0, "effect": "cooldown", "cooldown": 40.0}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "429 rate limited after 0.18 s; account cools down for 40 s"),
        (
            {"effect": "cooldown, rolled back", "cooldown": 0.0},
            "429 rate limited after 0.18 s; rolled back: the account was not at fault",
        ),
        (
            {"status": 400, "outcome": "upstream_auth", "effect": "disabled", "cooldown": 0.0},
            "400 key refused after 0.18 s; account disabled until verified",
        ),
        ({"status": 0, "outcome": "timeout", "effect": "", "cooldown": 0.0}, "timeout after 0.18 s"),
        (
            {"status": 200, "outcome": "answered", "effect": "", "wait": 3.0, "cooldown": 0.0},
            "200 answered after 0.18 s, after waiting 3.00 s",
        ),
        ({"status": 0, "outcome": "", "effect": "", "cooldown": 0.0}, "cancelled after 0.18 s"),
    ],
)
def test_an_attempt(fields: dict[str, object], words: str) -> None:
    assert attempt_end(SENT | fields) == words
