"""`bm why` tells the same with a daemon and without one."""

from __future__ import annotations

import httpx
import pytest

from bm.cli.why import attempt_end, ending, money, tokens
from bm.simulator import Rule, Simulator
from tests.cli.conftest import Bm
from tests.simulator.streams import ask


def test_a_failover_is_told_with_and_without_a_daemon(bm: Bm, simulator: Simulator, http: httpx.Client) -> None:
    simulator.script(Rule(account="-first", status=429, retry_info="600s", message="far too many", times=None))
    ids = [ask(http, "anthropic").headers["x-bm-request-id"] for _ in range(2)]
    told = next(each for each in (bm("why", name, "--json").json for name in ids) if len(each["attempts"]) == 2)
    shown = bm("why", told["id"])
    assert shown.code == 0
    for words in (
        "far too many",
        "429 rate limited",
        "rests 10 min",
        "answered by gemini/second",
        "tokens in",
        told["id"],
    ):
        assert words in shown.out
    assert bm("why", "last", "--json").json["id"] == bm("why", "--json").json["id"] == ids[1]
    assert bm("stop").code == 0
    assert bm("why", told["id"]) == shown
    assert bm("why", told["id"], "--json").json == told
    assert bm("why", "last", "--json").json["id"] == ids[1]


def test_an_unknown_request(bm: Bm) -> None:
    ran = bm("why", "req_unknown")
    assert (ran.code, ran.out) == (1, "")
    assert "nothing is known of req_unknown" in ran.err


def test_before_the_first_request(bm: Bm) -> None:
    assert "no request is on record yet" in bm("why").err


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
    "seams": 0,
    "status": 200,
    "finish": "stop",
}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "answered by gemini/main flash, passed through: 200 stop; 2.00 s in all"),
        (
            {"passed_through": False, "first_content": 0.5},
            "answered by gemini/main flash, translated: 200 stop; first content after 0.50 s, 2.00 s in all",
        ),
        ({"seams": 1}, "answered by gemini/main flash, passed through, finished after a cut: 200 stop; 2.00 s in all"),
        ({"client_left": True}, "the client left (gemini/main flash); 2.00 s in all"),
        (
            {"answered_by": None, "status": 429, "failure": LIMITED},
            "failed with 429 (rate limited): slow down; told to come back in 45 s; 2.00 s in all",
        ),
        (
            {
                "failure": {"kind": "truncated", "message": "gemini broke off", "retry_after": None},
                "first_content": 1.0,
            },
            "broke off (truncated): gemini broke off; first content after 1.00 s, 2.00 s in all",
        ),
    ],
)
def test_the_end(fields: dict[str, object], words: str) -> None:
    assert ending(PLAIN | fields) == words


@pytest.mark.parametrize(
    ("cost", "words"), [(None, "no known price"), (0.0, "$0"), (0.0021, "$0.0021"), (12.3456, "$12.35")]
)
def test_money(cost: float | None, words: str) -> None:
    assert money(cost) == words


def test_tokens() -> None:
    usage = {"input": 1_000, "cache_read": 200, "cache_write": 30, "output": 40, "thinking": 5}
    assert tokens(usage) == "1,230 tokens in (200 cached, 30 written to the cache), 40 out (5 thinking)"
    assert tokens(None) == "no usage told"


SENT = {"status": 429, "outcome": "rate_limited", "took": 0.18, "wait": 0.0, "booked": "cooldown", "rests": 40.0}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "429 rate limited after 0.18 s; rests 40 s"),
        (
            {"booked": "cooldown, rolled back", "rests": 0.0},
            "429 rate limited after 0.18 s; rolled back: the account is not to blame",
        ),
        (
            {"status": 400, "outcome": "upstream_auth", "booked": "disabled", "rests": 0.0},
            "400 key refused after 0.18 s; disabled until verified",
        ),
        ({"status": 0, "outcome": "timeout", "booked": "", "rests": 0.0}, "timeout after 0.18 s"),
        (
            {"status": 200, "outcome": "answered", "booked": "", "wait": 3.0, "rests": 0.0},
            "200 answered after 0.18 s, 3.00 s waited for it",
        ),
        ({"status": 0, "outcome": "", "booked": "", "rests": 0.0}, "cancelled after 0.18 s"),
    ],
)
def test_an_attempt(fields: dict[str, object], words: str) -> None:
    assert attempt_end(SENT | fields) == words
