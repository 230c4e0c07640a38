"""The table of outcomes over real sockets: what the client gets, which accounts were asked, what it means for them.

The transcripts in tests/dispatch/test_failover.py go through every case; here each row is seen once from end to end.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import count
from typing import Any, NamedTuple

import pytest

from bm.simulator import Rule
from tests.gateway.world import EVERY_CLIENT, EVERY_PROTOCOL, MODELS, World
from tests.support.waiting import soon

GEMINI = "gemini"
DAY = "GenerateRequestsPerDayPerProjectPerModel-FreeTier"
MINUTE = "GenerateRequestsPerMinutePerProjectPerModel-FreeTier"
PAGE = "<html><head><title>Just a moment...</title></head></html>"
SHORT = "[timeouts]\nfirst_byte = 0.6\nwhole = 0.6\nidle = 30\n"


class Row(NamedTuple):
    """What the first account does, and what that means: `calls` in all, its state, the seconds it cools down."""

    rules: Sequence[Rule]
    calls: int = 2
    state: str = "usable"
    cooldown: tuple[float, float] | None = None
    stream: bool | None = None
    config: str = ""


def cooling(low: float, high: float, **rule: Any) -> Row:
    return Row([Rule(**rule)], state="cooling down", cooldown=(low, high))


FAILS_OVER = {
    "429 with Google's delay": cooling(20, 31.5, status=429, retry_info="31.5s"),
    "429 without a delay": cooling(0, 3, status=429),
    "quota of a day": cooling(21, 90_000, status=429, retry_info="20.5s", quota_ids=(MINUTE, DAY), limit=250),
    "502": cooling(0, 2, status=502),
    "503": cooling(0, 2, status=503),
    "529": cooling(0, 2, status=529),
    "error as first event": cooling(0, 2, status=503, error_after=0)._replace(stream=True),
    "500 twice": Row([Rule(status=500)] * 2, calls=3),
    "reset twice": Row([Rule(cut_after=0)] * 2, calls=3),
    "empty stream twice": Row([Rule(end_after=0)] * 2, calls=3, stream=True),
    "empty body": Row([Rule(end_after=0)], stream=False),
    "silence": Row([Rule(silent=True)], config=SHORT),
    "no first token": Row([Rule(first_token_delay=20.0)], stream=True, config="[timeouts]\nfirst_token = 0.6\n"),
    "API_KEY_INVALID": Row([Rule(error="invalid_key")], state="disabled"),
    "401": Row([Rule(status=401)], state="disabled"),
    "403": Row([Rule(status=403)], state="disabled"),
    "401 with a page": cooling(0, 2, status=401, raw_body=PAGE, content_type="text/html"),
    "403 with a page": cooling(0, 2, status=403, raw_body=PAGE, content_type="text/html"),
    "407": cooling(0, 2, status=407, raw_body=PAGE, content_type="text/html"),
}


@pytest.mark.each_row(FAILS_OVER)
def test_the_next_account_answers(world: World, row: Row, protocol: str, stream: bool) -> None:
    world.set_up(more=row.config)
    world.sim.script(*row.rules)
    answer = world.ask(protocol, stream=stream if row.stream is None else row.stream)
    assert answer.complete, answer
    first, *_, last = asked = world.asked()
    assert {first, last} == set(world.pool) and set(asked[:-1]) == {first}
    assert (answer.bm("account"), answer.bm("attempts"), len(asked)) == (last, str(row.calls), row.calls)
    account = world.account(first)
    assert account["state"] == row.state and world.account(last)["state"] == "usable"
    assert [each["model"] for each in account["cooldowns"]] == [world.calls()[0].model] * (row.cooldown is not None)
    if row.cooldown is not None:
        assert row.cooldown[0] < account["cooldowns"][0]["seconds"] <= row.cooldown[1]
    if row.state == "disabled":
        assert account["last_error"]
        assert {world.ask(protocol).bm("account") for _ in range(3)} == {last}


@EVERY_CLIENT
def test_a_model_outside_the_tier_is_excluded_for_the_account(world: World, protocol: str, stream: bool) -> None:
    world.sim.script(Rule(status=429, retry_info="20.5s", quota_ids=(DAY,), limit=0))
    answer = world.ask(protocol, stream=stream)
    first, last = world.asked()
    row = world.account(first)
    assert answer.complete and (list(row["excluded"]), row["state"]) == ([world.calls()[0].model], "usable")
    assert {world.ask(protocol, stream=stream).bm("account") for _ in range(3)} == {last}


REFUSED_KEYS = {"API_KEY_INVALID": Rule(error="invalid_key", times=None), "401": Rule(status=401, times=None)}


@pytest.mark.each_row(REFUSED_KEYS)
def test_the_client_never_sees_401_for_an_upstreams_key(world: World, row: Rule, protocol: str, stream: bool) -> None:
    world.sim.script(row)
    for _ in range(2):
        answer = world.ask(protocol, stream=stream)
        assert answer.status == 400 and "bm accounts verify" in answer.message
        assert answer.headers["x-should-retry"] == "false"
    assert sorted(world.asked()) == world.pool, "a refused key is not used again"


@EVERY_CLIENT
def test_silence_everywhere_is_reported_as_504(world: World, protocol: str, stream: bool) -> None:
    world.set_up(more=SHORT, max_wait=5)
    world.sim.script(Rule(silent=True, times=None))
    answer = world.ask(protocol, stream=stream)
    assert answer.status == 504 and "0.6 s" in answer.message
    assert sorted(world.asked()) == world.pool


@pytest.mark.each_row({"400": 400, "404": 404, "413": 413, "422": 422})
def test_a_faulty_request_is_returned_with_the_upstreams_message_and_no_effect(
    world: World, row: int, protocol: str, stream: bool
) -> None:
    world.sim.script(Rule(status=row, message="the upstream minds this very much"))
    answer = world.ask(protocol, MODELS["gemini"], stream=stream)
    # Between protocols only the statuses that both know have a counterpart.
    assert answer.status == (400 if row == 422 and protocol != GEMINI else row)
    assert "the upstream minds this very much" in answer.message
    assert len(world.asked()) == 1
    account = world.account(world.asked()[0])
    effects = (account["state"], account["cooldowns"], account["excluded"], account["failures_today"])
    assert effects == ("usable", [], {}, 0)
    assert world.ask(protocol, stream=stream).complete


OPENAIS_ERRORS = {
    "xAI's wrong key": (400, {"code": "x", "error": "Incorrect API key provided: xa***yz."}, 400, "disabled"),
    "OpenRouter's moderation": (403, {"error": {"code": 403, "metadata": {"reasons": ["x"]}}}, 400, "usable"),
    "Groq's flex tier": (498, {"error": {"message": "flex tier at capacity"}}, 498, "cooling down"),
    "Cloudflare": (520, {}, 503, "cooling down"),
    "Groq's context": (400, {"error": {"message": "Please reduce the length of the messages"}}, 400, "usable"),
}


@pytest.mark.parametrize("name", OPENAIS_ERRORS)
@pytest.mark.parametrize("protocol", ["openai-chat", "openai-responses"])
def test_an_error_means_the_same_on_both_of_openais_apis(world: World, protocol: str, name: str) -> None:
    status, body, answered, state = OPENAIS_ERRORS[name]
    world.set_up(modes={"openai": "exclusive"})
    world.sim.script(Rule(status=status, raw_body=json.dumps(body), times=None))
    assert world.ask(protocol).status == answered
    (account,) = world.paid["openai"]
    assert world.account(account)["state"] == state


def in_a_minute(seconds: int) -> str:
    """A minute and this many seconds from now, as headers write it."""
    return format_datetime(datetime.now(UTC) + timedelta(seconds=60 + seconds), usegmt=True)


@pytest.mark.parametrize(
    ("fields", "low", "high"),
    [
        ({"retry_after": 40.0}, 30, 40),
        ({"retry_after": "40"}, 30, 40),
        ({"retry_after_ms": 40_000}, 30, 40),
        ({"retry_after": "date"}, 45, 61),
        ({"message": "Rate limit reached. Please try again in 40.2s."}, 30, 41),
    ],
    ids=["seconds", "text", "milliseconds", "date", "message"],
)
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_429_with_each_kind_of_delay(
    world: World, fields: dict[str, Any], low: float, high: float, stream: bool
) -> None:
    world.set_up(accounts=0, modes={"groq": "exclusive"}, keys=2)
    dated = {"retry_after": in_a_minute(0), "headers": {"date": in_a_minute(-60)}}
    world.sim.script(Rule(status=429, **(dated if fields.get("retry_after") == "date" else fields)))
    answer = world.ask("openai-chat", stream=stream)
    assert answer.complete and answer.bm("attempts") == "2"
    (rest,) = world.account(world.asked()[0])["cooldowns"]
    assert low < rest["seconds"] <= high


@EVERY_CLIENT
def test_a_short_delay_is_waited_for_when_nothing_else_is_left(world: World, protocol: str, stream: bool) -> None:
    world.set_up(accounts=1, max_wait=5)
    world.sim.script(Rule(status=429, retry_info="1s"))
    answer = world.ask(protocol, stream=stream)
    assert answer.complete and answer.bm("attempts") == "2"
    first, second = world.calls()
    assert second.t - first.t >= 1


@EVERY_CLIENT
def test_the_earliest_delay_is_reported_when_all_are_limited(world: World, protocol: str, stream: bool) -> None:
    first, second = world.pool
    world.sim.script(
        Rule(account=first, status=429, retry_info="500s", message="the quota of the minute is used up"),
        Rule(account=second, status=429, retry_info="20s", message="the quota of the minute is used up"),
    )
    answer = world.ask(protocol, stream=stream)
    assert answer.status == 429 and "the quota of the minute is used up" in answer.message
    assert 15 < int(answer.headers["retry-after"]) <= 20
    assert answer.headers["x-should-retry"] == "true"
    assert sorted(world.asked()) == world.pool
    again = world.ask(protocol, stream=stream)
    assert again.status == 429 and again.bm("attempts") == "0" and len(world.asked()) == 2
    assert 15 < int(again.headers["retry-after"]) <= 20


@EVERY_CLIENT
def test_a_long_delay_is_reported_in_full_and_not_to_be_retried(world: World, protocol: str, stream: bool) -> None:
    world.sim.script(Rule(status=429, retry_info="900s", times=None))
    answer = world.ask(protocol, stream=stream)
    assert answer.status == 429 and answer.headers["x-should-retry"] == "false"
    assert 800 < int(answer.headers["retry-after"]) <= 900


@EVERY_CLIENT
def test_500_is_tried_once_more_on_the_same_target(world: World, protocol: str, stream: bool) -> None:
    world.sim.script(Rule(status=500))
    answer = world.ask(protocol, stream=stream)
    assert answer.complete and answer.bm("attempts") == "2"
    first, second = world.calls()
    assert first.account == second.account and second.t - first.t >= 0.2
    assert world.account(first.account)["state"] == "usable"


@EVERY_PROTOCOL
def test_repeated_overload_opens_the_circuit_and_one_request_that_is_answered_closes_it(
    world: World, protocol: str
) -> None:
    world.set_up(accounts=1)
    (name,) = world.pool
    world.sim.script(Rule(status=503), Rule(status=503), Rule(status=503), Rule(text="well again", head_delay=1.5))
    for stream in (True, False, True):
        assert world.ask(protocol, stream=stream).status == 503
        cooling = world.ask(protocol, stream=stream)
        assert (cooling.status, cooling.bm("attempts")) == (503, "0"), "no limit is the cause"
        assert soon(lambda: world.account(name)["state"] == "usable", seconds=20)
    with ThreadPoolExecutor(1) as users:
        trying = users.submit(world.ask, protocol)
        world.sim.wait(lambda log: sum(call.operation != "models" for call in log) == 4)
        waiting = world.ask(protocol, stream=False)
        assert (waiting.status, waiting.bm("attempts"), trying.done()) == (503, "0", False), "one may try"
        assert trying.result().complete
    assert world.ask(protocol, stream=False).complete


@EVERY_CLIENT
def test_overload_of_all_accounts_is_reported_as_503_with_a_delay(world: World, protocol: str, stream: bool) -> None:
    world.sim.script(Rule(status=503, message="the model is overloaded today", times=None))
    answer = world.ask(protocol, stream=stream)
    assert answer.status == 503 and "the model is overloaded today" in answer.message
    assert answer.headers["retry-after"] in ("1", "2") and answer.headers["x-should-retry"] == "true"


@pytest.mark.parametrize(
    ("protocol", "provider"), [("gemini", None), ("anthropic", "anthropic"), ("openai-chat", "groq")]
)
def test_a_refusal_passes_byte_for_byte_where_the_protocols_agree(
    world: World, protocol: str, provider: str | None
) -> None:
    world.set_up(modes={provider: "exclusive"} if provider else {})
    refusal = '{"error": {"type": "made_up", "message": "unheard of", "code": 400, "beta": [1, 2]}}'
    world.sim.script(Rule(status=400, raw_body=refusal))
    answer = world.ask(protocol)
    assert (answer.status, answer.body) == (400, refusal.encode())


@EVERY_CLIENT
def test_an_html_error_is_reported_in_the_clients_protocol(world: World, protocol: str, stream: bool) -> None:
    world.set_up(modes={"anthropic": "exclusive"} if protocol == "anthropic" else {})
    page = "<html><head><title>502 Bad Gateway</title></head></html>"
    world.sim.script(Rule(status=502, raw_body=page, content_type="text/html", times=None))
    answer = world.ask(protocol, stream=stream)
    assert answer.status == 503 and "502 Bad Gateway" in answer.message and "<" not in answer.message


@EVERY_CLIENT
def test_a_page_in_the_way_is_a_bad_gateway_also_while_the_account_cools_down(
    world: World, protocol: str, stream: bool
) -> None:
    world.set_up(accounts=1, modes={"anthropic": "exclusive"} if protocol == "anthropic" else {})
    world.sim.script(Rule(status=403, raw_body=PAGE, content_type="text/html", times=None))
    answer = world.ask(protocol, stream=stream)
    assert answer.status == 502 and "Just a moment" in answer.message


@EVERY_CLIENT
def test_a_compressed_error_is_read(world: World, protocol: str, stream: bool) -> None:
    world.sim.script(Rule(status=400, gzip=True, message="said under pressure"))
    assert "said under pressure" in world.ask(protocol, stream=stream).message


@EVERY_PROTOCOL
def test_an_error_after_the_first_content_is_reported_where_rescue_is_off(world: World, protocol: str) -> None:
    world.set_up(pool="rescue = false")
    world.sim.script(Rule(chunks=8, text="one two three four five six", cut_after=4))
    answer = world.ask(protocol)
    assert answer.status == 200 and not answer.complete
    assert len(world.asked()) == 1, "a second answer is never appended"
    assert b"error" in answer.body


@EVERY_PROTOCOL
def test_the_effects_of_a_bad_request_are_rolled_back(world: World, protocol: str) -> None:
    """Two accounts refuse it while they answer others: the third is not asked, and all stay usable."""
    world.set_up(accounts=3)
    model = "gemini-2.5-flash"
    path = f"/v1beta/models/{model}:generateContent"
    world.sim.script(Rule(path=path, status=429, retry_info="600s", head_delay=0.5, times=None))
    sessions = [{"x-session-id": f"{name} of {protocol}"} for name in world.pool]
    for session in sessions:
        world.ask(protocol, model, headers=session)
    with ThreadPoolExecutor(1) as others:
        bad = others.submit(world.ask, protocol, model, stream=False)
        while not bad.done():
            assert all(world.ask(protocol, model, headers=session).complete for session in sessions)
    answer = bad.result()
    assert answer.status == 429 and answer.bm("attempts") == "2"
    assert set(world.states().values()) == {"usable"}


@EVERY_PROTOCOL
def test_another_request_ends_the_cooldowns_of_a_bad_one(world: World, protocol: str) -> None:
    """All accounts refuse it and cool down, also for its repetition; the next request probes one and ends them all."""
    world.set_up(accounts=3)
    model = "gemini-2.5-flash"
    path = f"/v1beta/models/{model}:generateContent"
    world.sim.script(Rule(path=path, status=429, retry_info="600s", times=None))
    assert all(world.ask(protocol, model).complete for _ in world.pool)
    bad = world.ask(protocol, model, stream=False)
    assert (bad.status, bad.bm("attempts")) == (429, "3")
    again = world.ask(protocol, model, stream=False)
    assert (again.status, again.bm("attempts")) == (429, "0")
    assert set(world.states().values()) == {"cooling down"}
    answer = world.ask(protocol, model, text="another question")
    assert answer.complete and answer.bm("attempts") == "1"
    assert set(world.states().values()) == {"usable"}


@EVERY_PROTOCOL
def test_a_request_that_two_accounts_fail_alike_goes_to_another_provider(world: World, protocol: str) -> None:
    world.set_up(accounts=4, modes={"together": "fallback"})
    model = "gemini-2.5-flash"
    path = f"/v1beta/models/{model}:generateContent"
    world.sim.script(Rule(path=path, status=500, message="the request cannot be processed", times=None))
    assert all(world.ask(protocol, model).complete for _ in world.pool)
    answer = world.ask(protocol, model, stream=False)
    assert answer.complete and (answer.bm("provider"), answer.bm("attempts")) == ("together", "5")
    assert set(world.states().values()) == {"usable"}


@EVERY_PROTOCOL
def test_a_request_that_every_account_fails_alike_is_returned_after_four(world: World, protocol: str) -> None:
    world.set_up(accounts=6)
    model = "gemini-2.5-flash"
    path = f"/v1beta/models/{model}:generateContent"
    world.sim.script(Rule(path=path, status=500, message="the request cannot be processed", times=None))
    assert all(world.ask(protocol, model).complete for _ in world.pool)
    answer = world.ask(protocol, model, stream=False)
    # An upstream of the client's own protocol tells it in its own bytes.
    assert (answer.status, answer.bm("attempts")) == (500 if protocol == GEMINI else 502, "8")
    assert set(world.states().values()) == {"usable"}


@EVERY_PROTOCOL
def test_no_other_request_probes_accounts_at_a_named_limit(world: World, protocol: str) -> None:
    """No other request probes the accounts before their cooldown ends."""
    world.set_up(accounts=2)
    model = "gemini-2.5-flash"
    path = f"/v1beta/models/{model}:generateContent"
    quota = ("GenerateRequestsPerMinutePerProjectPerModel-FreeTier",)
    world.sim.script(Rule(path=path, status=429, retry_info="600s", quota_ids=quota, limit=15, times=None))
    assert all(world.ask(protocol, model).complete for _ in world.pool)
    assert world.ask(protocol, model, stream=False).status == 429
    asked = len(world.asked())
    assert world.ask(protocol, model, text="another question").status == 429
    assert len(world.asked()) == asked
    quotas = world.account(world.pool[0])["quotas"]
    assert [(each["used"], each["limit"]) for each in quotas if each["window"] == "minute"] == [(15, 15)]


SCHEMA = "Invalid JSON payload received. Unknown name in `tools.function_declarations[0].parameters`: bad schema"
_names = count()


def clock(protocol: str) -> list[Any]:
    """A tool that no other test has: bm remembers which ones were refused."""
    name, at = f"clock_{next(_names)}", {"type": "string", "format": "date-time"}
    schema = {"type": "object", "properties": {"at": at}, "required": ["at"]}
    match protocol:
        case "anthropic":
            return [{"name": name, "description": "Sets it.", "input_schema": schema}]
        case "openai-chat":
            return [{"type": "function", "function": {"name": name, "parameters": schema}}]
        case "openai-responses":
            return [{"type": "function", "name": name, "parameters": schema, "strict": False}]
        case _:
            return [{"functionDeclarations": [{"name": name, "parameters": schema}]}]


@pytest.mark.parametrize("protocol", ["anthropic", "openai-chat", "openai-responses"])
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_a_refused_tool_schema_is_simplified_once(world: World, protocol: str, stream: bool) -> None:
    world.sim.script(Rule(status=400, message=SCHEMA))
    answer = world.ask(protocol, stream=stream, tools=clock(protocol))
    assert answer.complete and answer.bm("attempts") == "2"
    first, second = world.calls()
    assert first.account == second.account and first.body["tools"] != second.body["tools"]
    assert world.account(first.account)["state"] == "usable"


@pytest.mark.parametrize("protocol", ["anthropic", "openai-chat", "openai-responses"])
def test_a_tool_schema_that_was_refused_is_simplified_at_once_from_then_on(world: World, protocol: str) -> None:
    world.sim.script(Rule(status=400, message=SCHEMA))
    tools = clock(protocol)
    assert world.ask(protocol, tools=tools).bm("attempts") == "2"
    again = world.ask(protocol, tools=tools)
    assert again.complete and again.bm("attempts") == "1"
    _, simplified, at_once = world.calls()
    assert at_once.body["tools"] == simplified.body["tools"]


@pytest.mark.parametrize("protocol", ["anthropic", "openai-chat", "openai-responses"])
def test_a_tool_schema_refused_twice_is_returned(world: World, protocol: str) -> None:
    world.sim.script(Rule(status=400, message=SCHEMA, times=None))
    answer = world.ask(protocol, tools=clock(protocol))
    assert answer.status == 400 and "bad schema" in answer.message
    assert len(world.asked()) == 2


def test_a_tool_schema_that_passes_through_is_sent_as_json_schema(world: World) -> None:
    world.sim.script(Rule(status=400, message=SCHEMA))
    assert world.ask("gemini", tools=clock("gemini")).complete
    assert len(world.asked()) == 2


@EVERY_CLIENT
def test_a_context_too_long_goes_to_a_larger_one(world: World, protocol: str, stream: bool) -> None:
    world.set_up(modes={"together": "fallback"})
    world.sim.script(Rule(api="gemini", error="context_too_long", times=None))
    answer = world.ask(protocol, "together-has-it", stream=stream)
    assert answer.complete and answer.bm("provider") == "together"
    assert len(world.asked()) == 2, "the same model is never asked again"
    assert {row["state"] for row in world.admin("accounts")["accounts"]} == {"usable"}


@EVERY_CLIENT
def test_a_context_too_long_everywhere_is_returned(world: World, protocol: str, stream: bool) -> None:
    world.sim.script(Rule(error="context_too_long", times=None))
    answer = world.ask(protocol, stream=stream)
    assert answer.status == 400 and len(world.asked()) == 1


@EVERY_CLIENT
def test_a_mixture_of_limits_and_faults_is_reported_with_the_delay(world: World, protocol: str, stream: bool) -> None:
    first, second = world.pool
    world.sim.script(Rule(account=first, status=429, retry_info="20s"), Rule(account=second, status=500, times=2))
    answer = world.ask(protocol, stream=stream)
    assert answer.status in (429, 503)
    assert 15 < int(answer.headers["retry-after"]) <= 20
