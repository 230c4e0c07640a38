from __future__ import annotations

import msgspec
import pytest

from bm.dispatch.candidates import Candidate, Verdict
from bm.dispatch.refusal import cooling_down, no_candidate, presentable, unavailable
from bm.dispatch.snapshot import Limits
from bm.dispatch.target import Target
from bm.errors import Failure, FailureKind


def candidate(verdict: Verdict, reason: str, provider: str = "gemini", context: int = 0) -> Candidate:
    target = Target(provider, "work", "m", "gemini")
    return Candidate(target=target, stage="pool", verdict=verdict, reason=reason, mapping="", context=context)


@pytest.mark.parametrize(
    ("seconds", "max_wait", "reported", "retry"),
    [
        (0.0, 30, 1, True),
        (0.2, 30, 1, True),
        (12.1, 30, 13, True),
        (20.000000000000227, 30, 20, True),
        (45.0, 0, 45, True),
        (46.0, 0, 46, False),
        (60.0, 30, 45, True),
        (80.0, 30, 80, False),
    ],
)
def test_the_delay_is_whole_seconds_and_honest(seconds: float, max_wait: float, reported: int, retry: bool) -> None:
    failure = cooling_down("all are", seconds, Limits(max_wait=max_wait))
    assert (failure.retry_after, failure.should_retry, failure.http_status) == (reported, retry, 429)


def test_overload_is_no_rate_limit() -> None:
    assert cooling_down("all are", 3, Limits(), limited=False).http_status == 503


@pytest.mark.parametrize(
    ("overloaded", "status"), [([False], 429), ([False, False], 429), ([True], 503), ([True, False], 503)]
)
def test_only_limits_are_reported_as_a_limit(overloaded: list[bool], status: int) -> None:
    target = Target("gemini", "work", "m", "gemini")
    candidates = [
        Candidate(
            target=target, stage="pool", verdict="cooling down", reason="429", mapping="", seconds=9.5, overloaded=each
        )
        for each in overloaded
    ]
    failure = no_candidate("m", candidates, [], Limits())
    assert (failure.http_status, failure.retry_after, failure.should_retry) == (status, 10, True)


def test_waiting_does_not_help_where_a_person_must_act() -> None:
    assert unavailable("x").should_retry is False


def test_other_failures_are_shown_as_they_are() -> None:
    failure = Failure(kind="server", message="boom", upstream_status=500, upstream_body=b"{}")
    assert presentable(failure, "groq", "key") == failure


def test_a_failure_of_a_key_names_the_account_and_the_remedy() -> None:
    failure = presentable(Failure(kind="upstream_auth", message="bad key", status=401), "gemini", "work")
    assert failure.http_status == 400
    assert failure.message == (
        "gemini does not accept the key of account work (bm accounts verify work). What the service said: bm why last"
    )
    paid = presentable(Failure(kind="billing", message="broke"), "groq", "config")
    assert paid.message.startswith("account config of groq is out of credit (bm providers key groq)")


def test_a_failure_that_names_its_own_command_keeps_it() -> None:
    revoked = Failure(kind="upstream_auth", message="the sign-in was revoked (bm accounts login work)")
    assert "(bm accounts login work)" in presentable(revoked, "gemini", "work").message


@pytest.mark.parametrize(("kind", "status"), [("declined", 400), ("quota_exhausted", 429)])
def test_what_is_declined_or_limited_is_no_matter_of_the_clients_sign_in(kind: FailureKind, status: int) -> None:
    failure = Failure(kind=kind, message="flagged", upstream_status=403, upstream_body=b"{}")
    shown = presentable(failure, "openrouter", "main")
    assert (shown.http_status, shown.message, shown.upstream_body) == (status, "flagged", b"")


def test_a_request_too_large_for_a_service_keeps_its_status() -> None:
    failure = Failure(kind="declined", message="too large", upstream_status=413, upstream_body=b"{}")
    assert presentable(failure, "groq", "main") == failure


def test_what_a_service_said_of_an_account_stays_in_the_record() -> None:
    named = candidate("disabled", "disabled: invalid x-api-key", provider="anthropic")
    failure = no_candidate("m", [msgspec.structs.replace(named, refused=True)], [], Limits())
    assert failure.message == "no account can serve m: anthropic does not accept account work (bm accounts verify work)"


def test_disabled_accounts_are_named_with_the_remedy() -> None:
    failure = no_candidate("m", [candidate("disabled", "disabled: 401")], ["groq is off"], Limits())
    assert failure.message == (
        "no account can serve m: work of gemini: disabled: 401 (bm accounts verify work); groq is off"
    )


def test_a_reason_that_names_its_remedy_needs_no_other() -> None:
    failure = no_candidate(
        "m", [candidate("disabled", "disabled: switched off (bm accounts enable work)")], [], Limits()
    )
    assert failure.message.endswith("work of gemini: disabled: switched off (bm accounts enable work)")


def test_a_prompt_too_long_for_every_model_has_the_wording_clients_look_for() -> None:
    candidates = [
        candidate("too long", "m takes 8 tokens", context=8),
        candidate("too long", "n takes 9 tokens", context=9),
    ]
    failure = no_candidate("m", candidates, [], Limits())
    assert (failure.kind, failure.message) == ("context_too_long", "prompt is too long: n takes 9 tokens")


def test_equal_reasons_are_named_once() -> None:
    failure = no_candidate(
        "m", [candidate("unsuitable", "m takes no audio"), candidate("unsuitable", "m takes no audio")], [], Limits()
    )
    assert failure.message == "no available model can serve the request (gemini: m takes no audio)"


def test_equal_hints_are_named_once() -> None:
    hints = ["the request asks for acme alone"] * 3
    assert no_candidate("m", [], hints, Limits()).message == "no account can serve m: the request asks for acme alone"


def test_without_any_reason_the_first_step_is_named() -> None:
    assert no_candidate("m", [], [], Limits()).message == "no account can serve m: bm accounts add NAME"
