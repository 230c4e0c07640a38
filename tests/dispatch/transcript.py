"""The course of a request as a transcript.

    << gemini/a             bm tries account a
    >> 429 12               the upstream answers 429 with a delay of 12 s
    << gemini/b wait 12     bm waits 12 s and tries account b
    >> ok
    << answered

The last line is what the client gets: `answered`, or the status, the kind and the delay.
"""

from __future__ import annotations

from collections.abc import Generator

import msgspec

from bm.dispatch.classify import classify
from bm.dispatch.failover import Attempt, Course
from bm.dispatch.outcome import Outcome
from bm.dispatch.plan import Plan
from bm.dispatch.snapshot import Limits
from bm.errors import Failure

USUAL = Limits()

FAILURES: dict[str, Failure] = {
    "429": Failure(kind="rate_limited", message="slow down", upstream_status=429),
    "day": Failure(kind="quota_exhausted", message="PerDay", upstream_status=429, retry_after=20.0),
    "tier": Failure(kind="quota_exhausted", message="limit: 0", upstream_status=429, code="not_in_tier"),
    "500": Failure(kind="server", message="internal error", upstream_status=500),
    "reset": Failure(kind="connection", message="reset by peer"),
    "503": Failure(kind="overloaded", message="overloaded", upstream_status=503),
    "529": Failure(kind="overloaded", message="overloaded", upstream_status=529, status=529),
    "silent": Failure(kind="timeout", message="no response head in 120 s"),
    "401": Failure(kind="upstream_auth", message="bad key", status=401, upstream_status=401, upstream_body=b"{}"),
    "402": Failure(kind="billing", message="no credit", status=402, upstream_status=402),
    "403": Failure(kind="permission", message="not allowed", status=403, upstream_status=403),
    "page": Failure(kind="blocked", message="Just a moment...", upstream_status=403),
    "400": Failure(kind="bad_request", message="messages: empty", upstream_status=400),
    "404": Failure(kind="not_found", message="no such model", upstream_status=404),
    "413": Failure(kind="too_large", message="too large", upstream_status=413),
    "422": Failure(kind="bad_request", message="unprocessable", status=422, upstream_status=422),
    "long": Failure(kind="context_too_long", message="prompt is too long: 9 tokens > 8 maximum"),
    "empty": Failure(kind="truncated", message="the stream ended before any content"),
    "garbled": Failure(kind="malformed", message="MALFORMED_FUNCTION_CALL", should_retry=True),
    "garbage": Failure(kind="malformed", message="not JSON"),
}


def outcome(words: str) -> Outcome:
    """`429 12` with a delay, `503 took=5` after 5 s.

    `400 healed` where a remedy changes the request. `500 answers-others` from an account that serves others meanwhile,
    `500 lately` from one that did minutes ago.
    """
    name, *rest = words.split()
    if name == "ok":
        return classify(None)
    failure = FAILURES[name]
    if delays := [float(word) for word in rest if word.replace(".", "").isdigit()]:
        failure = msgspec.structs.replace(failure, retry_after=delays[0])
    facts = dict(word.split("=") for word in rest if "=" in word)
    judged = classify(failure)
    if "healed" in rest:
        judged = Outcome(failure=failure, request="heal", remedy="drop top_k")
    return msgspec.structs.replace(
        judged,
        answers_others="answers-others" in rest,
        worked_lately="lately" in rest,
        elapsed=float(facts.get("took", 0)),
        cooldown=float(facts["cooldown"]) if "cooldown" in facts else None,
    )


def line_of(attempt: Attempt) -> str:
    """An attempt as a line of the transcript."""
    words = ["/".join(attempt.target.account_id)]
    if attempt.wait:
        words.append(f"wait {attempt.wait:g}")
    if attempt.repeat and "drop top_k" in attempt.reason:
        words.append("changed")
    return " ".join(words)


def result(failure: Failure | None) -> str:
    """What the client gets as a line of the transcript."""
    if failure is None:
        return "answered"
    words = [str(failure.http_status), failure.kind]
    if failure.retry_after is not None:
        words.append(f"after {failure.retry_after:g}")
    if failure.should_retry is not None:
        words.append("retry" if failure.should_retry else "give-up")
    return " ".join(words)


def attempts(plan: Plan, limits: Limits) -> Generator[Attempt, Outcome, Failure | None]:
    """The attempts of a plan, one after the other. Each is sent its outcome; the result is what the client gets."""
    course = Course(plan, limits)
    while attempt := course.next():
        course.record(attempt, (yield attempt))
    return course.result


def course(plan: Plan, script: str, limits: Limits = USUAL) -> list[str]:
    """Feed the script's outcomes to a plan and return the whole transcript as it came out."""
    outcomes = [line.strip().removeprefix(">> ") for line in script.splitlines() if line.strip().startswith(">>")]
    steps = attempts(plan, limits)
    lines: list[str] = []
    try:
        attempt = next(steps)
        for words in outcomes:
            lines += [f"<< {line_of(attempt)}", f">> {words}"]
            attempt = steps.send(outcome(words))
        lines.append(f"<< {line_of(attempt)}")
    except StopIteration as end:
        lines.append(f"<< {result(end.value)}")
    return lines


def check(plan: Plan, script: str, limits: Limits = USUAL) -> None:
    """Assert that the course of the plan is the script."""
    assert course(plan, script, limits) == [line.strip() for line in script.splitlines() if line.strip()]
