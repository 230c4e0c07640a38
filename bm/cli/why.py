"""`bm why`: how a request came to its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from bm.cli import admin, render
from bm.duration import duration
from bm.ledger.advice import advice

if TYPE_CHECKING:
    from bm.config.paths import Paths


WORDS = {"upstream_auth": "key refused", "billing": "out of credit", "permission": "not permitted"}
"""Outcomes whose name says less than they mean."""

BORNE = {
    "disabled": "disabled until verified",
    "fault": "counts against its health",
    "excluded": "no more asked for this model",
}
"""What an account has to bear, where it is no rest."""


def why(
    request: Annotated[str, typer.Argument(help="The request's id (header x-bm-request-id), or `last`.")] = "last",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Tell how a request came to its answer: plan, attempts, what was dropped, usage and cost."""
    found = decision_of(admin.here(), request)
    if as_json:
        render.json(found)
    else:
        draw(found)


def decision_of(paths: Paths, request: str) -> dict[str, Any]:
    """What is known of a request: by the daemon, or without one by the ledger.

    Raises:
        DaemonError: nothing is known of it, or the daemon does not answer.
        LedgerError: the ledger cannot be read.
    """
    from urllib.parse import quote

    from bm.errors import DaemonError
    from bm.ledger.reader import decision, unknown

    daemon = admin.running(paths)
    found: dict[str, Any] | None
    if daemon is None:
        found = decision(paths.ledger, request)
        found = found and found | {"advice": list(advice(found))}
    else:
        found = admin.ask_daemon(paths, daemon, "GET", f"/admin/why/{quote(request, safe='')}")
    if found is None:
        raise DaemonError(unknown(request).message)
    return found


def draw(found: dict[str, Any]) -> None:
    """Print a decision: the end and what to do about it, then how it came to that."""
    kind = found["protocol"] if found["operation"] == "generate" else f"{found['protocol']} {found['operation']}"
    stream = ", streamed" if found["stream"] else ""
    render.paragraph(f"{found['id']}  {moment(found['at'])}  {kind} {found['model']}{stream}")
    render.paragraph(ending(found))
    for each in advice(found):
        render.paragraph(f"to do: {each}")
    if found["usage"] or found["cost"] is not None:
        render.paragraph(f"{tokens(found['usage'])}, {money(found['cost'])}")
    for each in found["dropped"]:
        render.paragraph(f"dropped: {each['field']}: {each['reason']}")
    _draw_attempts(found["attempts"])
    _draw_plan(found)
    if found["left_out"]:
        render.note(f"note: {found['left_out']} further lines were too many to keep")


def _draw_plan(found: dict[str, Any]) -> None:
    places = {(each["provider"], each["account"]): place for place, each in enumerate(found["targets"], 1)}
    rows = [
        (
            str(places.get((each["provider"], each["account"]), "")),
            each["provider"],
            each["account"] or "",
            each["model"],
            standing(each),
            " ".join(each["reason"].split()),
        )
        for each in found["considered"]
    ]
    rows.sort(key=lambda row: int(row[0] or len(rows) + 1))
    render.line()
    for step in found["steps"]:
        render.paragraph(step)
    render.table(("plan", "provider", "account", "model", "", "why"), rows, empty="nothing was considered")


def standing(line: dict[str, Any]) -> str:
    """How an account stands to a plan: `in`, `cooling 5 min`, `out`."""
    if line["in"]:
        return "in"
    return f"cooling {duration(line['seconds'])}" if line["verdict"] == "cooling" else str(line["verdict"])


def _draw_attempts(attempts: list[dict[str, Any]]) -> None:
    render.line()
    for number, each in enumerate(attempts, 1):
        target = f"{each['provider']}/{each['account']} {each['model']}"
        render.paragraph(f"attempt {number}: {target}: {attempt_end(each)}")
        render.paragraph(each["reason"], indent=4)
        if message := each["message"]:
            render.paragraph(f'"{message}"', indent=4)
    if not attempts:
        render.line("nothing was sent")


def attempt_end(attempt: dict[str, Any]) -> str:
    """What became of an attempt: `429 rate limited after 0.18 s; rests 40 s`."""
    status = f"{attempt['status']} " if attempt["status"] else ""
    waited = f", {seconds(attempt['wait'])} waited for it" if attempt["wait"] else ""
    outcome = WORDS.get(attempt["outcome"], attempt["outcome"].replace("_", " ")) or "cancelled"
    return f"{status}{outcome} after {seconds(attempt['took'])}{waited}{_booked(attempt)}"


def _booked(attempt: dict[str, Any]) -> str:
    """What the account has to bear for it."""
    kind, _, undone = attempt["booked"].partition(", ")
    if not kind:
        return ""
    if undone:
        return f"; {undone}: the account is not to blame"
    if attempt["rests"]:
        return f"; rests {duration(attempt['rests'])}"
    return f"; {BORNE.get(kind, kind.replace('_', ' '))}"


def ending(found: dict[str, Any]) -> str:
    """The end of a request in a sentence."""
    times = f"{seconds(found['took'])} in all"
    if found["first_content"] is not None:
        times = f"first content after {seconds(found['first_content'])}, {times}"
    by = found["answered_by"]
    where = f"{by['provider']}/{by['account']} {by['model']}" if by else "no target"
    if found["client_left"]:
        return f"the client left ({where}); {times}"
    if failure := found["failure"]:
        kind = WORDS.get(failure["kind"], failure["kind"].replace("_", " "))
        again = f"; told to come back in {duration(failure['retry_after'])}" if failure["retry_after"] else ""
        broke = "broke off" if found["first_content"] is not None else f"failed with {found['status']}"
        return f"{broke} ({kind}): {failure['message'].rstrip('.')}{again}; {times}"
    lane = "" if by is None else ", passed through" if found["passed_through"] else ", translated"
    seam = ", finished after a cut" if found["seams"] else ""
    return f"answered by {where}{lane}{seam}: {found['status']} {found['finish'] or 'complete'}; {times}"


def tokens(usage: dict[str, int] | None) -> str:
    """Tokens in a few words."""
    if usage is None:
        return "no usage told"
    total = usage["input"] + usage["cache_read"] + usage["cache_write"]
    return (
        f"{total:,} tokens in ({usage['cache_read']:,} cached, {usage['cache_write']:,} written to the cache), "
        f"{usage['output']:,} out ({usage['thinking']:,} thinking)"
    )


def money(cost: float | None) -> str:
    """US dollars, with as many digits as a small request needs."""
    if cost is None:
        return "no known price"
    return f"${cost:,.2f}" if cost >= 10 else f"${cost:.6f}".rstrip("0").rstrip(".")


def seconds(value: float) -> str:
    """`0.42 s`."""
    return f"{value:.2f} s"


def moment(at: float) -> str:
    """A Unix time as local date and time."""
    from datetime import datetime

    return datetime.fromtimestamp(at).strftime("%Y-%m-%d %H:%M:%S")


COMMANDS = {"why": why}
