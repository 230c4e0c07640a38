"""The record of a call: what happened, without the prompt, within limits."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from bm.chat.events import Usage
from bm.chat.request import Loss
from bm.config.secrets import Mask
from bm.dispatch.plan import Considered, Plan
from bm.dispatch.target import Target
from bm.errors import Failure
from bm.gateway.record import MAX_LINES, MAX_TEXT, RECENT, AttemptRecord, CallLog, Record, document_of, entry_of
from bm.ledger.reader import decision
from bm.simulator import Rule
from bm.simulator.rules import Usage as SimulatedUsage
from tests.gateway.world import EVERY_CLIENT, EVERY_PROTOCOL, World

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
            {"target": TARGET, "key": "ci", "losses": (Loss("top_k", "unknown there"), Loss("user", "unknown there"))},
            "req_1 anthropic claude-sonnet-5 -> gemini/main gemini-2.5-flash 2.00s 1 tried key ci dropped top_k, user"
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
    assert str(record(**fields)) == line


def test_the_cost_is_computed_on_demand() -> None:
    settled = record(target=TARGET, usage=Usage(input=1_000_000))
    settled.close(1.5, b"{}")
    assert (settled.took, settled.cost) == (1.5, None)
    settled.set_cost()
    assert settled.cost is not None and settled.cost > 0


def test_each_part_of_a_continued_answer_has_its_own_price() -> None:
    dear, cheap = Target("anthropic", "key", "claude-opus-4-1", "anthropic"), TARGET
    both = record(target=cheap, usage=Usage(input=1_000_000, output=3_000))
    both.shares = [(dear, Usage(input=1_000_000, output=1_000)), (cheap, Usage(input=1_000_000, output=2_000))]
    both.set_cost()
    alone = [record(target=target, usage=usage) for target, usage in both.shares]
    for each in alone:
        each.set_cost()
    assert both.cost is not None and both.cost > 15
    assert both.cost == pytest.approx(sum(each.cost or 0 for each in alone))


def test_a_part_without_a_known_price_leaves_the_cost_unknown() -> None:
    unknown = Target("acme", "key", "acme-1", "openai-chat")
    both = record(target=TARGET, usage=Usage(input=5), shares=[(TARGET, Usage(input=5)), (unknown, Usage(input=5))])
    both.set_cost()
    assert both.cost is None


def test_without_usage_there_is_no_cost() -> None:
    settled = record(target=TARGET)
    settled.set_cost()
    assert settled.cost is None


def test_a_closed_record_keeps_no_upstream_body() -> None:
    settled = record(failure=Failure(kind="server", message="words", upstream_body=b"x" * 1_000))
    settled.close(1.0, b"{}")
    assert settled.failure == Failure(kind="server", message="words")


def test_a_closed_record_quotes_no_prompt() -> None:
    settled = record(failure=Failure(kind="server", message="claude-sonnet-5 minds 'my secret' at gemini-2.5-flash"))
    settled.close(1.0, b'{"model": "claude-sonnet-5", "content": "my secret of gemini-2.5-flash"}')
    assert settled.failure is not None
    assert settled.failure.message == "claude-sonnet-5 minds '…' at gemini-2.5-flash"


def test_the_daemon_logs_one_line_a_request(world: World) -> None:
    answer = world.ask("anthropic")
    world.ask("anthropic")
    assert world.daemon.logs(answer.bm("request-id"))
    lines = [line for line in world.daemon.log().splitlines() if answer.bm("request-id") in line]
    assert len(lines) == 1, "the answer before the last one is in the log"
    assert re.search(r"1 tried first content \d+\.\d\ds \d+\+\d+ tokens", lines[0])


KEY = "planted-key-0123456789"


def attempt(**fields: Any) -> AttemptRecord:
    known: dict[str, Any] = {"target": TARGET, "reason": "first"}
    return AttemptRecord(**(known | fields))


def why(world: World, request_id: str) -> dict[str, Any]:
    reported: dict[str, Any] = world.admin(f"why/{request_id}")
    return reported


@EVERY_CLIENT
def test_why_reports_a_failover_as_it_happened(world: World, protocol: str, stream: bool) -> None:
    world.set_up(accounts=2, modes={"groq": "fallback"})
    world.sim.script(
        Rule(account="g0", status=429, retry_info="600s", message="far too many", times=None),
        Rule(account="g1", status=503, message="come back later", times=None),
        Rule(usage=SimulatedUsage(input=50, output=7, cached=20, thinking=3), times=None),
    )
    answer = world.ask(protocol, stream=stream)
    reported = why(world, answer.bm("request-id"))
    assert [each["account"] for each in reported["attempts"]] == world.asked()
    assert reported["answered_by"]["account"] == world.paid["groq"][0] == answer.bm("account")
    by_account = {each["account"]: each for each in reported["attempts"]}
    limited, down = by_account[world.pool[0]], by_account[world.pool[1]]
    assert (limited["status"], limited["outcome"], limited["effect"]) == (429, "rate_limited", "cooldown")
    assert "far too many" in limited["message"] and 500 < limited["cooldown"] < 601
    assert (down["status"], down["outcome"], down["effect"]) == (503, "overloaded", "overload")
    assert reported["attempts"][-1]["outcome"] == "answered"
    assert (reported["status"], reported["finish"], reported["failure"]) == (200, "stop", None)
    assert {(each["provider"], each["account"]) for each in reported["targets"]} == {
        *(("gemini", name) for name in world.pool),
        ("groq", world.paid["groq"][0]),
    }
    assert reported["usage"] == msgspec.structs.asdict(Usage(input=30, cache_read=20, output=10, thinking=3))
    times = [each["at"] for each in reported["attempts"]]
    assert times == sorted(times) and reported["took"] >= times[-1]


@EVERY_PROTOCOL
def test_why_reports_a_failure_with_the_plan(world: World, protocol: str) -> None:
    world.set_up(accounts=2, modes={"groq": "off"})
    world.sim.script(Rule(status=429, retry_info="600s", message="far too many", times=None))
    answer = world.ask(protocol)
    reported = why(world, answer.bm("request-id"))
    assert (reported["status"], reported["failure"]["kind"]) == (429, "rate_limited")
    assert reported["answered_by"] is None and len(reported["attempts"]) == 2
    off = next(each for each in reported["considered"] if each["provider"] == "groq")
    assert not off["in"] and "bm providers mode groq" in off["reason"]
    second = why(world, world.ask(protocol).bm("request-id"))
    assert second["attempts"] == []
    assert {each["verdict"] for each in second["considered"] if each["provider"] == "gemini"} == {"cooling down"}


def test_why_reports_what_was_dropped(world: World) -> None:
    world.set_up(modes={"groq": "exclusive"})
    answer = world.ask("anthropic", top_k=5)
    assert [each["field"] for each in why(world, answer.bm("request-id"))["dropped"]] == ["top_k"]


def test_last_is_the_latest(world: World) -> None:
    answer = world.ask("anthropic")
    assert why(world, "last")["id"] == answer.bm("request-id")


def test_an_unknown_request_is_not_found(world: World) -> None:
    answer = world.http.get("/admin/why/req_unknown")
    assert answer.status_code == 404
    assert "req_unknown" in answer.json()["error"]


def test_neither_memory_nor_ledger_hold_the_prompt_or_a_key(world: World) -> None:
    world.sim.script(
        Rule(status=400, message=f"the key key-of-the-account-{world.pool[0]} is wrong in this", times=None)
    )
    prompt = "a prompt like no other"
    answer = world.ask("anthropic", messages=[{"role": "user", "content": prompt}])
    request_id = answer.bm("request-id")
    world.admin("usage")
    for reported in (why(world, request_id), decision(world.daemon.paths.ledger, request_id)):
        text = msgspec.json.encode(reported).decode()
        assert prompt not in text and "key-of-the-account" not in text
        assert "is wrong in this" in text


def test_a_document_is_bounded() -> None:
    long = "x" * 10_000
    target = Target("gemini", "main", long, "gemini")
    plan = Plan(
        asked=long,
        steps=(long,) * 1_000,
        considered=(Considered(provider="gemini", model=long, verdict="disabled", reason=long),) * 1_000,
    )
    full = record(
        model=long,
        plan=plan,
        target=target,
        attempts=[attempt(target=target, reason=long, message=long)] * 1_000,
        losses=(Loss(long, long),) * 1_000,
        failure=Failure(kind="server", message=long, upstream_body=b"x" * 100_000),
    )
    document = document_of(full, Mask())
    assert len(entry_of(full, Mask()).decision) < 200_000
    assert len(document["attempts"]) == len(document["considered"]) == len(document["dropped"]) == MAX_LINES
    assert document["left_out"] == 3 * (1_000 - MAX_LINES)
    assert len(document["failure"]["message"]) == len(document["model"]) == MAX_TEXT


def test_a_key_in_the_place_of_a_model_is_masked() -> None:
    row = entry_of(record(model=f"x {KEY}"), Mask([KEY]))
    assert row.model == "x [secret]" and KEY.encode() not in row.decision


def test_a_key_in_an_upstreams_words_is_masked() -> None:
    reported = document_of(record(attempts=[attempt(message=f"bad key {KEY}")]), Mask([KEY]))
    assert reported["attempts"][0]["message"] == "bad key [secret]"


def test_a_rescued_answer_is_marked() -> None:
    assert document_of(record(target=TARGET, continuations=1), Mask())["continuations"] == 1


def test_a_lone_surrogate_is_replaced() -> None:
    assert document_of(record(model="half \ud83d"), Mask())["model"] == "half ?"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"target": TARGET, "finish": "stop", "status": 200}, ("main", "stop", "")),
        ({"attempts": [attempt()], "failure": Failure(kind="timeout", message="")}, ("main", "", "timeout")),
        ({"attempts": [], "failure": Failure(kind="unavailable", message="")}, ("", "", "unavailable")),
        ({"attempts": [attempt()], "client_left": True}, ("main", "client_left", "")),
    ],
)
def test_the_row_of_the_ledger(fields: dict[str, Any], expected: tuple[str, str, str]) -> None:
    entry = entry_of(record(**fields), Mask())
    assert (entry.account, entry.finish, entry.failure) == expected


def test_the_row_has_the_tokens() -> None:
    usage = Usage(input=1, cache_read=2, cache_write=3, output=5, thinking=4)
    entry = entry_of(record(target=TARGET, usage=usage), Mask())
    assert (entry.input, entry.cache_read, entry.cache_write, entry.output, entry.thinking) == (1, 2, 3, 5, 4)


def ended(number: int, failure: Failure | None = None) -> Record:
    return Record(
        id=f"req_{number}", at=0.0, protocol="anthropic", model="opus", stream=True, failure=failure, status=200
    )


def test_a_call_is_under_way_until_it_ends() -> None:
    log, record = CallLog(str), ended(1)
    log.begin(record)
    assert (log.active, log.total, log.find("last")) == (1, 1, None)
    log.end(record)
    assert (log.active, log.total, log.find("last")) == (0, 1, record)


def test_the_latest_calls_are_found_by_id() -> None:
    log = CallLog(str)
    for number in range(RECENT + 5):
        log.end(ended(number))
    assert log.find("req_0") is None
    middle, last = log.find(f"req_{RECENT}"), log.find("last")
    assert middle is not None and middle.id == f"req_{RECENT}"
    assert last is not None and last.id == f"req_{RECENT + 4}"


def test_failures_are_counted_and_observers_see_every_call() -> None:
    log, seen = CallLog(str), list[str]()
    log.observers.append(lambda record: seen.append(record.id))
    log.end(ended(1))
    log.end(ended(2, Failure(kind="server", message="broken")))
    assert (log.failed, seen) == (1, ["req_1", "req_2"])
