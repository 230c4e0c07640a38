from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bm.dispatch.classify import classify
from bm.dispatch.failover import (
    MAX_REMEDIES,
    Attempt,
    Course,
    failing_alike,
    network_at_fault,
    request_at_fault,
    still_cooling_down,
)
from bm.dispatch.outcome import Outcome
from bm.dispatch.plan import Plan
from bm.dispatch.snapshot import Limits, Requirements, RouteQuery
from bm.errors import Failure
from tests.dispatch.transcript import FAILURES, USUAL, attempts, check, course, outcome
from tests.dispatch.world import MODEL, account, gemini, paid, planned

TWO = planned(gemini("a", "b"))
ONE = planned(gemini("a"))
WITH_FALLBACK = planned(gemini("a", "b"), paid("groq", "fallback"))
EXCLUSIVE = planned(gemini("a"), paid("groq", "exclusive", "one", "two"))


def test_an_answer_ends_it() -> None:
    check(
        TWO,
        """
        << gemini/a
        >> ok
        << answered
        """,
    )


def test_429_with_a_delay_goes_to_the_next_target() -> None:
    check(
        TWO,
        """
        << gemini/a
        >> 429 12
        << gemini/b
        >> ok
        << answered
        """,
    )


def test_a_short_delay_is_waited_for_when_nothing_else_is_left() -> None:
    check(
        TWO,
        """
        << gemini/a
        >> 429 12
        << gemini/b
        >> 429 5
        << gemini/b wait 5
        >> ok
        << answered
        """,
    )


def test_the_duration_of_attempts_is_subtracted_from_the_wait() -> None:
    check(
        TWO,
        """
        << gemini/a
        >> 429 12
        << gemini/b
        >> 429 20 took=4
        << gemini/a wait 8
        >> ok
        << answered
        """,
    )


def test_a_delay_beyond_the_limit_is_returned_and_not_waited_for() -> None:
    check(
        TWO,
        """
        << gemini/a
        >> 429 44
        << gemini/b
        >> 429 40
        << 429 rate_limited after 40 retry
        """,
    )


def test_an_account_of_the_pool_is_waited_for_a_little_before_a_fallback() -> None:
    made = planned(gemini("a"), paid("groq", "fallback"))
    lines = """
        << gemini/a
        >> 429 3
        << gemini/a wait 3
        >> 429 3
        << groq/key
        >> ok
        << answered
        """
    check(made, lines, Limits(patience=5))
    assert course(made, ">> 429 3", Limits())[-1] == "<< groq/key"
    assert course(made, ">> 429 6", Limits(patience=5))[-1] == "<< groq/key"
    assert course(made, ">> 503", Limits(patience=5))[-1] == "<< groq/key"
    assert course(made, ">> 429", Limits(patience=5))[-1] == "<< groq/key"


def test_all_waits_together_stay_within_the_limit() -> None:
    check(
        ONE,
        """
        << gemini/a
        >> 429 20
        << gemini/a wait 20
        >> 429 20
        << 429 rate_limited after 20 retry
        """,
    )


@pytest.mark.parametrize(
    ("delay", "line"),
    [
        ("45", "after 45 retry"),
        # The client comes back after 45 s and is held for the rest: more than 60 s would make Claude Code give up.
        ("61", "after 45 retry"),
        ("75", "after 45 retry"),
        ("76", "after 76 give-up"),
        ("7200", "after 7200 give-up"),
    ],
)
def test_the_client_gets_a_delay_that_helps_or_is_asked_to_give_up(delay: str, line: str) -> None:
    assert course(ONE, f">> 429 {delay}")[-1] == f"<< 429 rate_limited {line}"


def test_429_without_a_delay_is_never_a_tight_loop() -> None:
    check(
        ONE,
        """
        << gemini/a
        >> 429
        << gemini/a wait 1
        >> 429
        << gemini/a wait 2
        >> 429
        << gemini/a wait 4
        >> 429
        << 429 rate_limited after 8 retry
        """,
    )


def test_a_delay_of_nothing_is_still_a_pause() -> None:
    assert course(ONE, ">> 429 0")[-1] == "<< gemini/a wait 1"


def test_the_cooldown_of_the_pool_counts() -> None:
    assert course(ONE, ">> 429 cooldown=7")[-1] == "<< gemini/a wait 7"
    assert course(ONE, ">> day cooldown=40000")[-1] == "<< 429 quota_exhausted after 40000 give-up"


@pytest.mark.parametrize("fault", ["401", "402", "403", "tier", "garbage"])
def test_what_does_not_recover_by_itself_is_not_waited_for(fault: str) -> None:
    lines = course(TWO, f">> {fault} cooldown=0\n>> {fault} cooldown=0")
    assert [line for line in lines if line.startswith("<< gemini")] == ["<< gemini/a", "<< gemini/b"]


def test_a_daily_quota_is_not_waited_for_by_the_delay_beside_it() -> None:
    check(
        TWO,
        """
        << gemini/a
        >> day
        << gemini/b
        >> tier
        << 429 quota_exhausted give-up
        """,
    )


@pytest.mark.parametrize("fault", ["500", "reset", "empty"])
def test_a_single_fault_is_tried_once_more_on_the_same_target(fault: str) -> None:
    check(
        TWO,
        f"""
        << gemini/a
        >> {fault}
        << gemini/a wait 0.2
        >> {fault}
        << gemini/b
        >> ok
        << answered
        """,
    )


@pytest.mark.parametrize(("number", "wait"), [(0.0, 0.2), (0.5, 0.35), (0.999, 0.4997)])
def test_the_random_number_spreads_the_pause_before_a_retry(number: float, wait: float) -> None:
    steps = attempts(planned(gemini("a"), number=number), Limits())
    next(steps)
    assert steps.send(outcome("500")).wait == pytest.approx(wait)


def test_a_fault_everywhere_is_returned() -> None:
    check(
        ONE,
        """
        << gemini/a
        >> 500
        << gemini/a wait 0.2
        >> 500
        << 502 server
        """,
    )


@pytest.mark.parametrize("fault", ["503", "529"])
def test_overload_goes_to_the_next_target_at_once(fault: str) -> None:
    check(
        TWO,
        f"""
        << gemini/a
        >> {fault}
        << gemini/b
        >> ok
        << answered
        """,
    )


def test_a_single_overloaded_target_is_asked_with_growing_pauses_and_then_no_more() -> None:
    check(
        ONE,
        """
        << gemini/a
        >> 503
        << gemini/a wait 1
        >> 503
        << gemini/a wait 2
        >> 503
        << gemini/a wait 4
        >> 503
        << 503 overloaded after 8 retry
        """,
    )


def test_a_silent_target_is_not_asked_again() -> None:
    check(
        TWO,
        """
        << gemini/a
        >> silent
        << gemini/b
        >> 429 3
        << gemini/b wait 3
        >> silent
        << 504 timeout
        """,
    )


def test_when_two_accounts_get_no_answer_other_providers_are_tried_before_the_rest() -> None:
    check(
        planned(gemini("a", "b", "c"), paid("groq", "fallback")),
        """
        << gemini/a
        >> silent
        << gemini/b
        >> silent
        << groq/key
        >> 400
        << 400 bad_request
        """,
    )
    assert course(planned(gemini("a", "b", "c"), paid("groq", "fallback")), ">> silent\n" * 3)[-1] == "<< gemini/c"


@pytest.mark.parametrize("fault", ["401", "402", "403"])
def test_a_refused_key_goes_to_the_next_target(fault: str) -> None:
    check(
        TWO,
        f"""
        << gemini/a
        >> {fault}
        << gemini/b
        >> ok
        << answered
        """,
    )


@pytest.mark.parametrize(("fault", "kind"), [("401", "upstream_auth"), ("402", "billing"), ("403", "permission")])
def test_the_client_never_sees_401_for_an_upstream_key(fault: str, kind: str) -> None:
    assert course(ONE, f">> {fault}")[-1] == f"<< 400 {kind} give-up"
    steps = attempts(ONE, Limits())
    next(steps)
    with pytest.raises(StopIteration) as end:
        steps.send(outcome(fault))
    failure = end.value.value
    assert (failure.upstream_status, failure.upstream_body) == (0, b"")
    assert "bm accounts verify a" in failure.message


def test_a_failure_of_a_key_does_not_hide_other_failures() -> None:
    assert course(TWO, ">> silent\n>> 401")[-1] == "<< 504 timeout"


@pytest.mark.parametrize("fault", ["400", "404", "413", "422"])
def test_the_clients_own_error_is_returned_at_once(fault: str) -> None:
    lines = course(WITH_FALLBACK, f">> {fault}")
    assert lines[-1].split()[1] == fault
    assert len(lines) == 3


def test_the_clients_own_error_keeps_the_upstreams_words() -> None:
    steps = attempts(TWO, Limits())
    next(steps)
    with pytest.raises(StopIteration) as end:
        steps.send(outcome("400"))
    assert end.value.value == FAILURES["400"]


def test_a_context_too_long_goes_to_another_model_with_a_larger_or_unknown_context() -> None:
    small = paid("small", "fallback", models={"default": "llama-3.3-70b"}, serves=("x",))
    unknown = paid("acme", "fallback", models={"default": "acme-1"}, serves=("x",))
    check(
        planned(gemini("a", "b"), small, unknown),
        """
        << gemini/a
        >> long
        << acme/key
        >> ok
        << answered
        """,
    )


def test_a_context_too_long_everywhere_keeps_its_kind() -> None:
    check(
        TWO,
        """
        << gemini/a
        >> long
        << 400 context_too_long
        """,
    )


def test_a_refusal_with_a_remedy_is_sent_once_more_to_the_same_target() -> None:
    check(
        TWO,
        """
        << gemini/a
        >> 400 healed
        << gemini/a changed
        >> ok
        << answered
        """,
    )


def test_remedies_are_tried_so_often_and_no_more() -> None:
    lines = course(TWO, ">> 400 healed\n" * 10)
    assert lines[-1] == "<< 400 bad_request"
    assert lines.count(">> 400 healed") == MAX_REMEDIES + 1


def test_a_changed_request_that_fails_goes_on_to_the_next_target() -> None:
    check(
        WITH_FALLBACK,
        """
        << gemini/a
        >> 400 healed
        << gemini/a changed
        >> 503
        << gemini/b
        >> ok
        << answered
        """,
    )


def test_the_client_reads_the_refusal_where_a_remedy_leads_to_an_endpoint_that_is_not_there() -> None:
    assert course(TWO, ">> 400 healed\n>> 404")[-1] == "<< 400 bad_request"


def test_a_tool_call_that_was_left_out_is_asked_for_at_once_and_at_the_same_target() -> None:
    steps = attempts(TWO, Limits())
    first = next(steps)
    left_out = Outcome(failure=Failure(kind="malformed", message="no call"), request="ask")
    second = steps.send(left_out)
    assert (second.target, second.wait, second.repeat, second.retry_hint) == (first.target, 0.0, True, True)


def test_a_model_that_bm_has_chosen_and_that_is_gone_is_looked_for_elsewhere() -> None:
    made = planned(gemini("a", "b", "c"), paid("acme", "fallback"), model="sonnet")
    lines = course(made, ">> 404\n>> 404\n>> ok")
    assert [line for line in lines if line.startswith("<<")] == [
        "<< gemini/a",
        "<< gemini/b",
        "<< acme/key",
        "<< answered",
    ]
    assert course(made, ">> 404\n>> 404\n>> 404")[-1] == "<< 404 not_found"


def test_a_model_that_the_client_has_named_and_that_is_gone_is_reported_at_once() -> None:
    made = planned(gemini("a", "b"), paid("acme", "fallback"), model="gemini-9")
    assert course(made, ">> 404")[-1] == "<< 404 not_found"


def test_the_default_is_asked_for_where_a_provider_turns_out_not_to_have_the_named_model() -> None:
    made = planned(paid("acme", "exclusive"), model="gpt-9")
    lines = course(made, ">> 404\n>> ok")
    assert [line for line in lines if line.startswith("<<")] == ["<< acme/key", "<< acme/key", "<< answered"]
    steps = attempts(made, Limits())
    assert next(steps).target.model == "gpt-9"
    instead = steps.send(classify(FAILURES["404"]))
    assert (instead.target.model, instead.reason) == ("acme-model", "acme has no gpt-9: its default is acme-model")
    assert course(made, ">> 404\n>> 404")[-1] == "<< 404 not_found"


def test_a_model_that_turns_out_to_take_no_media_is_asked_once_more_without_the_earlier_ones() -> None:
    made = planned(gemini("a", "b"), requirements=Requirements(images=True, replaceable=frozenset({"images"})))
    steps = attempts(made, Limits())
    blind = Outcome(
        failure=Failure(kind="bad_request", message="This model does not support image input"), request="return"
    )
    first = next(steps)
    second = steps.send(blind)
    assert second.target == first.target and not first.without and second.without == {"images"}
    third = steps.send(outcome("503"))
    assert third.target.account == "b" and third.without == {"images"}, "its model is the same"
    with pytest.raises(StopIteration) as end:
        steps.send(blind)
    assert end.value.value == blind.failure


def test_a_target_that_takes_the_images_is_waited_for_before_one_that_does_not() -> None:
    blind = paid("groq", "pooled", account("key", cooldown=2), models={"default": "llama-3.3-70b"}, serves=("x",))
    able = paid("acme", "fallback", account("key", cooldown=5), models={"default": "acme-1"}, serves=("x",))
    made = planned(blind, able, requirements=Requirements(images=True, replaceable=frozenset({"images"})))
    attempt = next(attempts(made, Limits()))
    assert (attempt.target.provider, attempt.wait, attempt.without) == ("acme", 5.0, frozenset())


def test_media_in_the_newest_message_are_never_left_out() -> None:
    steps = attempts(planned(gemini("a", "b"), requirements=Requirements(images=True)), Limits())
    next(steps)
    refusal = Failure(kind="bad_request", message="This model does not support image input")
    with pytest.raises(StopIteration) as end:
        steps.send(classify(refusal))
    assert end.value.value == refusal


def test_a_malformed_tool_call_is_tried_once_more() -> None:
    check(
        TWO,
        """
        << gemini/a
        >> garbled
        << gemini/a wait 0.2
        >> ok
        << answered
        """,
    )


def test_garbage_goes_to_the_next_target() -> None:
    assert course(TWO, ">> garbage")[-1] == "<< gemini/b"


@pytest.mark.parametrize("fault", ["429", "500", "503"])
def test_a_request_refused_alike_by_accounts_that_serve_others_is_the_cause(fault: str) -> None:
    made = planned(gemini("a", "b", "c", "d"), paid("groq", "fallback"))
    steps = attempts(made, Limits())
    tried: list[tuple[Attempt, Outcome]] = []
    attempt = next(steps)
    while attempt.target.provider == "gemini":
        tried.append((attempt, outcome(f"{fault} answers-others")))
        attempt = steps.send(tried[-1][1])
    assert {each.target.account for each, _ in tried} == {"a", "b"}
    assert attempt.target.provider == "groq"
    assert {target.account for target in request_at_fault(tried)} == {"a", "b"}


def test_a_request_that_is_the_cause_is_returned_without_a_fallback() -> None:
    check(
        planned(gemini("a", "b", "c")),
        """
        << gemini/a
        >> 429 5 answers-others
        << gemini/b
        >> 429 5 answers-others
        << 429 rate_limited after 5
        """,
    )


@pytest.mark.parametrize(("fault", "calls"), [("500", 4), ("503", 2)])
def test_a_fault_of_two_accounts_that_worked_lately_tries_another_provider_first(fault: str, calls: int) -> None:
    made = planned(gemini("a", "b", "c"), paid("groq", "fallback"))
    faults = f">> {fault} lately\n" * calls
    assert course(made, faults)[-1] == "<< groq/key"
    assert course(made, faults + ">> 503")[-1] == "<< gemini/c"


@pytest.mark.parametrize("words", ["500", "503", "429 lately", "429 50 lately"])
def test_limits_and_faults_of_unproven_accounts_are_all_tried_before_another_provider(words: str) -> None:
    made = planned(gemini("a", "b", "c"), paid("groq", "fallback"))
    lines = course(made, f">> {words}\n" * (4 if words == "500" else 2))
    assert lines[-1] == "<< gemini/c"


def test_a_fault_of_four_accounts_that_worked_lately_is_returned_and_an_overload_is_not() -> None:
    made = planned(gemini("a", "b", "c", "d", "e"))
    assert course(made, ">> 500 lately\n" * 8)[-1] == "<< 502 server"
    assert course(made, ">> 503 lately\n" * 4)[-1] == "<< gemini/e"


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("internal error", "internal error", 2),
        ("internal error, id 7f3a", "internal error, id 9c01", 2),
        ("internal error", "deadline exceeded", 1),
    ],
)
def test_failures_are_alike_if_their_messages_are(one: str, other: str, alike: int) -> None:
    reported = [
        (Attempt(target=target), Outcome(failure=Failure(kind="server", message=message), worked_lately=True))
        for target, message in zip(TWO.targets, (one, other), strict=True)
    ]
    assert failing_alike(reported, frozenset({"server"}), "gemini") == alike
    assert failing_alike(reported, frozenset({"overloaded"}), "gemini") == 0
    assert failing_alike(reported, frozenset({"server"}), "groq") == 0


def test_accounts_that_answer_no_other_requests_are_simply_limited() -> None:
    lines = course(planned(gemini("a", "b", "c")), ">> 429 5\n>> 429 5\n>> 429 5 answers-others")
    assert lines[-1] == "<< gemini/a wait 5"
    assert request_at_fault([]) == ()


def test_the_fallback_comes_when_the_pool_has_failed_and_then_the_account_that_recovers_soonest() -> None:
    check(
        WITH_FALLBACK,
        """
        << gemini/a
        >> 429 25
        << gemini/b
        >> 429 9
        << groq/key
        >> 529
        << gemini/b wait 9
        >> ok
        << answered
        """,
    )


def test_a_cooling_account_is_waited_for_after_the_fallback_has_failed() -> None:
    check(
        planned(gemini(account("a", cooldown=6)), paid("groq", "fallback")),
        """
        << groq/key
        >> silent
        << gemini/a wait 6
        >> ok
        << answered
        """,
    )


def test_an_exclusive_providers_error_is_the_answer() -> None:
    check(
        EXCLUSIVE,
        """
        << groq/one
        >> 429 90
        << groq/two
        >> silent
        << 503 overloaded after 90 give-up
        """,
    )


def test_all_cooling_is_waited_for_within_the_limit() -> None:
    made = planned(gemini(account("a", cooldown=20), account("b", cooldown=8)))
    assert course(made, ">> ok") == ["<< gemini/b wait 8", ">> ok", "<< answered"]


def test_all_cooling_for_long_is_returned_at_once() -> None:
    made = planned(gemini(account("a", cooldown=300), account("b", cooldown=200)))
    assert course(made, "") == ["<< 429 rate_limited after 200 give-up"]


def test_an_upstream_that_says_do_not_retry_is_not_asked_again() -> None:
    failure = Failure(kind="server", message="broken", should_retry=False)
    steps = attempts(TWO, Limits())
    next(steps)
    assert steps.send(Outcome(failure=failure, request="retry")).target.account == "b"


def test_the_number_of_calls_is_bounded() -> None:
    made = planned(gemini(*(f"account{number}" for number in range(9))))
    assert course(made, ">> 500\n" * 9, Limits(max_attempts=5))[-1] == "<< 502 server"


WORLDS = st.builds(
    lambda usable, cooling, fallback, number: planned(
        gemini(*(f"a{n}" for n in range(usable)), *(account(f"c{n}", cooldown=n + 1) for n in range(cooling))),
        paid("groq", "fallback" if fallback else "pooled", "x", "y"),
        number=number,
    ),
    st.integers(0, 4),
    st.integers(0, 3),
    st.booleans(),
    st.floats(0, 1, exclude_max=True),
)
WORDS = st.tuples(
    st.sampled_from([*FAILURES, "ok"]),
    st.sampled_from(["", " 0", " 3", " 500", " answers-others", " lately", " took=2", " as-is"]),
).map("".join)


@given(WORLDS, st.lists(WORDS, min_size=40, max_size=40), st.integers(1, 25), st.floats(0, 60))
def test_every_course_ends_within_its_bounds(made: Plan, script: list[str], most: int, max_wait: float) -> None:
    limits = Limits(max_attempts=most, max_wait=max_wait)
    steps = attempts(made, limits)
    seen: list[tuple[Attempt, Outcome]] = []
    failure: Failure | None = None
    try:
        attempt = next(steps)
        while True:
            seen.append((attempt, outcome(script[len(seen)])))
            attempt = steps.send(seen[-1][1])
    except StopIteration as end:
        failure = end.value
    assert len(seen) <= most
    assert [each.number for each, _ in seen] == list(range(1, len(seen) + 1))
    assert all(each.reason for each, _ in seen)
    assert sum(each.wait for each, _ in seen) <= max_wait + len(seen)
    assert (failure is None) == (bool(seen) and seen[-1][1].failure is None)
    assert failure is None or failure.http_status not in (401, 403)
    silent = [index for index, (_, result) in enumerate(seen) if result.request == "silent"]
    assert all(seen[at][0].target not in [later.target for later, _ in seen[at + 1 :]] for at in silent)


REFUSED = Failure(kind="connection", message="cannot be reached", code="connect")
RESET = Failure(kind="connection", message="closed the connection", code="reset")
SLOW_TO_CONNECT = Failure(kind="timeout", message="not accepted in 10 s", code="connect")
SILENT = Failure(kind="timeout", message="no answer", code="first_byte")


@pytest.mark.parametrize(
    ("failures", "found"),
    [
        ([REFUSED, REFUSED, SLOW_TO_CONNECT], ["gemini/a", "gemini/b"]),
        ([REFUSED, RESET, REFUSED], []),
        ([REFUSED, SILENT], []),
        ([REFUSED, None], []),
        ([], []),
    ],
    ids=["none reached", "one closes", "one is silent", "one answers", "none tried"],
)
def test_if_no_target_can_be_reached_the_network_is_at_fault(failures: list[Failure | None], found: list[str]) -> None:
    first, second = TWO.targets
    targets = [first, first, second]
    reported = [(Attempt(target=at), classify(failure)) for at, failure in zip(targets, failures, strict=False)]
    assert ["/".join(target.account_id) for target in network_at_fault(reported)] == found


def test_a_cut_response_is_continued_on_another_target_or_else_on_the_same() -> None:
    cut = msgspec.structs.replace(classify(Failure(kind="truncated", message="cut")), request="resume")
    steps = attempts(TWO, Limits())
    assert next(steps).target.account == "a"
    assert steps.send(cut).target.account == "b"
    again = steps.send(cut)
    assert again.target.account == "b" and again.wait > 0
    with pytest.raises(StopIteration) as end:
        steps.send(cut)
    assert end.value.value.kind == "truncated"


def begun(plan: Plan, limits: Limits = USUAL) -> tuple[Course, Attempt]:
    """A course whose first attempt is under way."""
    course = Course(plan, limits)
    attempt = course.next()
    assert attempt is not None
    return course, attempt


def test_the_next_target_is_asked_beside_a_silent_one() -> None:
    course, first = begun(TWO)
    second = course.beside(45.0)
    assert second is not None and second.beside and not first.beside
    assert (first.target.account, second.target.account) == ("a", "b")
    assert (second.number, second.at, second.wait) == (2, 45.0, 0.0)
    assert "gemini/a" in second.reason and "silent" in second.reason
    assert course.beside(90.0) is None, "there is no third target"


@pytest.mark.parametrize("answered", ["first", "second"])
def test_the_answer_of_either_ends_the_course(answered: str) -> None:
    course, first = begun(TWO)
    second = course.beside(45.0)
    assert second is not None
    won, lost = (first, second) if answered == "first" else (second, first)
    course.cancelled(lost)
    course.record(won, outcome("ok"))
    assert (course.next(), course.result) == (None, None)


def test_a_failure_of_one_leaves_the_answer_to_the_other() -> None:
    course, first = begun(TWO)
    second = course.beside(45.0)
    assert second is not None
    course.record(first, outcome("400"))
    course.record(second, outcome("ok"))
    assert (course.next(), course.result) == (None, None)


def test_if_both_fail_the_course_goes_on() -> None:
    course, first = begun(planned(gemini("a", "b", "c")))
    second = course.beside(45.0)
    assert second is not None
    course.record(second, outcome("503 took=1"))
    course.record(first, outcome("silent took=120"))
    third = course.next()
    assert third is not None and (third.target.account, third.at, third.number) == ("c", 120.0, 3)


@pytest.mark.parametrize(("answered", "then"), [("first", "b"), ("second", "b")])
def test_a_cut_answer_goes_to_the_target_that_was_asked_beside_but_not_to_the_silent_one(
    answered: str, then: str
) -> None:
    cut = msgspec.structs.replace(classify(Failure(kind="truncated", message="cut")), request="resume")
    course, first = begun(TWO)
    second = course.beside(45.0)
    assert second is not None
    won, lost = (first, second) if answered == "first" else (second, first)
    course.cancelled(lost)
    course.record(won, cut)
    again = course.next()
    assert again is not None and again.target.account == then


def test_two_silent_accounts_lead_to_another_provider() -> None:
    course, _ = begun(planned(gemini("a", "b", "c"), paid("groq", "fallback")))
    second, third = course.beside(45.0), course.beside(90.0)
    assert second is not None and second.target.account == "b"
    assert third is not None and third.target.provider == "groq"


def test_the_links_of_a_chain_follow_one_another() -> None:
    members = (gemini("a"), paid("groq", "fallback"), paid("acme", "off", enabled=False))
    aliases = {"best": ("groq:x", "gemini:pro", "acme:y")}
    check(
        planned(*members, model="best", aliases=aliases),
        """
        << groq/key
        >> 404
        << gemini/a
        >> 503
        << 503 overloaded after 1 retry
        """,
        Limits(max_wait=0),
    )


def test_an_earlier_link_that_recovers_soon_is_waited_for() -> None:
    made = planned(paid("groq", "pooled"), paid("acme", "pooled"), model="best", aliases={"best": ("groq:x", "acme:y")})
    script = """
        << groq/key
        >> 429 3
        << groq/key wait 3
        >> 429 3
        << acme/key
        >> ok
        << answered
        """
    check(made, script, Limits(patience=5))
    assert course(made, ">> 429 3", Limits(patience=0))[-1] == "<< acme/key"


def test_an_account_that_recovers_soon_is_waited_for_before_a_fallback_is_asked_beside() -> None:
    made = planned(gemini("a", account("b", cooldown=47)), paid("groq", "fallback"))
    course, _ = begun(made, Limits(patience=5))
    assert (beside := course.beside(45.0)) is not None
    assert (beside.target.account, beside.wait) == ("b", 2.0)


@pytest.mark.parametrize(
    "made",
    [
        planned(gemini("a"), paid("groq", "off")),
        planned(gemini("a", account("b", cooldown=900))),
        planned(paid("groq", "exclusive"), gemini("a")),
        planned(
            gemini("a"),
            paid("groq", "fallback", models={"default": "llama-3.3-70b"}, serves=("x",)),
            requirements=Requirements(images=True, replaceable=frozenset({"images"})),
        ),
    ],
    ids=["off", "cooling down", "exclusive", "takes no images"],
)
def test_a_silent_target_is_asked_alone_where_dispatch_has_no_other(made: Plan) -> None:
    course, _ = begun(made)
    assert course.beside(45.0) is None


def test_attempts_beside_others_count_towards_the_limit() -> None:
    course, _ = begun(planned(gemini("a", "b", "c")), Limits(max_attempts=2))
    assert course.beside(45.0) is not None and course.beside(90.0) is None


def test_a_model_that_cannot_call_a_tool_gets_one_retry_hint() -> None:
    garbled = outcome("garbled")
    steps = attempts(planned(gemini("a", "b"), paid("groq", "fallback", models={MODEL: "other"})), Limits())
    first = next(steps)
    second = steps.send(garbled)
    assert (second.target, first.retry_hint, second.retry_hint) == (first.target, False, True)
    third = steps.send(garbled)
    assert third.target.provider == "groq" and not third.retry_hint
    assert steps.send(garbled).retry_hint
    with pytest.raises(StopIteration) as end:
        steps.send(garbled)
    assert end.value.value.kind == "malformed"


def test_a_target_that_has_started_to_cool_down_is_not_asked_but_waited_for() -> None:
    steps = attempts(TWO, Limits(max_wait=30))
    assert next(steps).target.account == "a"
    assert steps.send(outcome("429 20 cooldown=20")).target.account == "b"
    waiting = steps.send(still_cooling_down(5.0))
    assert (waiting.target.account, waiting.wait, waiting.number) == ("b", 5.0, 2)
    with pytest.raises(StopIteration) as end:
        steps.send(outcome("ok"))
    assert end.value.value is None


def test_an_attempt_that_was_not_made_does_not_count() -> None:
    steps = attempts(TWO, Limits(max_wait=0, max_attempts=1))
    assert next(steps).target.account == "a"
    assert steps.send(still_cooling_down(50.0)).target.account == "b"
    with pytest.raises(StopIteration) as end:
        steps.send(still_cooling_down(70.0))
    assert (end.value.value.kind, end.value.value.retry_after) == ("rate_limited", 50.0)


@pytest.mark.parametrize("overloaded", [(True, True), (True, False), (False, True)])
def test_targets_found_overloaded_by_others_are_not_reported_as_limited(overloaded: tuple[bool, bool]) -> None:
    steps = attempts(TWO, Limits(max_wait=0))
    next(steps)
    steps.send(still_cooling_down(50.0, overloaded=overloaded[0]))
    with pytest.raises(StopIteration) as end:
        steps.send(still_cooling_down(70.0, overloaded=overloaded[1]))
    assert (end.value.value.kind, end.value.value.http_status) == ("overloaded", 503)


def test_a_partial_plan_is_completed_when_its_first_choice_fails() -> None:
    whole = planned(gemini("a", "b", account("c", cooldown=10.0)))
    first = whole.choices[0]
    query = RouteQuery(model=MODEL, protocol="anthropic")
    began = Course(msgspec.structs.replace(whole, choices=(first,), cooling_down=(), query=query), USUAL)
    attempt = began.next()
    assert attempt is not None
    assert (attempt.target, began.partial) == (first.target, True)
    began.complete(whole, 5.0)
    began.record(attempt, outcome("429 12 took=5"))
    second = began.next()
    assert second is not None
    assert (second.target.account, began.partial) == ("b", False)
    # It was said 5 s after the start that this one recovers in 10 s.
    assert began.ready_at[whole.cooling_down[0].target] == 15.0
