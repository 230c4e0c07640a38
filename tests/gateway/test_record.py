"""The one line of the log, and what a record lets go of when its call is over."""

from __future__ import annotations

import re
from typing import Any

import pytest

from bm.chat.events import Usage
from bm.chat.request import Loss
from bm.dispatch.target import Target
from bm.errors import Failure
from bm.gateway.record import AttemptRecord, Record
from tests.gateway.world import World

TARGET = Target("gemini", "main", "gemini-2.5-flash", "gemini")
ATTEMPT = AttemptRecord(target=TARGET, reason="first")


def record(**fields: Any) -> Record:
    known: dict[str, Any] = {"id": "req_1", "at": 0.0, "protocol": "anthropic", "model": "claude-sonnet-5"}
    return Record(**(known | {"stream": True, "attempts": [ATTEMPT], "status": 200, "took": 2.0} | fields))


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        (
            {"target": TARGET, "finish": "stop", "first_content": 0.5, "usage": Usage(input=3, output=4)},
            "req_1 anthropic claude-sonnet-5 -> gemini/main gemini-2.5-flash 2.00s 1 tried first content 0.50s"
            " 3+4 tokens 200 stop",
        ),
        (
            {"target": TARGET, "losses": (Loss("top_k", "unknown there"), Loss("user", "unknown there"))},
            "req_1 anthropic claude-sonnet-5 -> gemini/main gemini-2.5-flash 2.00s 1 tried dropped top_k, user"
            " 200 complete",
        ),
        (
            {"status": 429, "failure": Failure(kind="rate_limited", message="slow down")},
            "req_1 anthropic claude-sonnet-5 -> gemini/main gemini-2.5-flash 2.00s 1 tried 429 rate_limited: slow down",
        ),
        (
            {"status": 503, "attempts": [], "failure": Failure(kind="unavailable", message="no account")},
            "req_1 anthropic claude-sonnet-5 -> no target 2.00s 0 tried 503 unavailable: no account",
        ),
        (
            {"client_left": True, "status": 0},
            "req_1 anthropic claude-sonnet-5 -> gemini/main gemini-2.5-flash 2.00s 1 tried the client left",
        ),
    ],
)
def test_the_line(fields: dict[str, Any], line: str) -> None:
    assert record(**fields).line() == line


def test_the_cost_is_worked_out_when_somebody_asks_for_it() -> None:
    settled = record(target=TARGET, usage=Usage(input=1_000_000))
    settled.settle(1.5, b"{}")
    assert (settled.took, settled.cost) == (1.5, None)
    settled.price()
    assert settled.cost is not None and settled.cost > 0


def test_each_part_of_an_answer_costs_what_its_own_target_takes() -> None:
    dear, cheap = Target("anthropic", "key", "claude-opus-4-1", "anthropic"), TARGET
    both = record(target=cheap, usage=Usage(input=1_000_000, output=3_000))
    both.shares = [(dear, Usage(input=1_000_000, output=1_000)), (cheap, Usage(input=1_000_000, output=2_000))]
    both.price()
    alone = [record(target=target, usage=usage) for target, usage in both.shares]
    for each in alone:
        each.price()
    assert both.cost is not None and both.cost > 15
    assert both.cost == pytest.approx(sum(each.cost or 0 for each in alone))


def test_a_part_without_a_known_price_leaves_none_for_the_whole() -> None:
    unknown = Target("acme", "key", "acme-1", "openai-chat")
    both = record(target=TARGET, usage=Usage(input=5), shares=[(TARGET, Usage(input=5)), (unknown, Usage(input=5))])
    both.price()
    assert both.cost is None


def test_without_usage_there_is_no_cost() -> None:
    settled = record(target=TARGET)
    settled.price()
    assert settled.cost is None


def test_it_does_not_hold_on_to_an_upstreams_body() -> None:
    settled = record(failure=Failure(kind="server", message="words", upstream_body=b"x" * 1_000))
    settled.settle(1.0, b"{}")
    assert settled.failure == Failure(kind="server", message="words")


def test_it_does_not_hold_on_to_what_is_quoted_of_the_prompt() -> None:
    settled = record(failure=Failure(kind="server", message="claude-sonnet-5 minds 'my secret' at gemini-2.5-flash"))
    settled.settle(1.0, b'{"model": "claude-sonnet-5", "content": "my secret of gemini-2.5-flash"}')
    assert settled.failure is not None
    assert settled.failure.message == "claude-sonnet-5 minds '…' at gemini-2.5-flash"


def test_the_daemon_logs_one_line_a_request(world: World) -> None:
    answer = world.ask("anthropic")
    world.ask("anthropic")
    lines = [line for line in world.daemon.log().splitlines() if answer.bm("request-id") in line]
    assert len(lines) == 1, "the answer before the last one is in the log"
    assert re.search(r"1 tried first content \d+\.\d\ds \d+\+\d+ tokens", lines[0])
