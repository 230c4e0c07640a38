"""`bm why`: how a request came to its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from bm.cli import admin, render

if TYPE_CHECKING:
    from bm.config.paths import Paths


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
    else:
        found = admin.ask_daemon(paths, daemon, "GET", f"/admin/why/{quote(request, safe='')}")
    if found is None:
        raise DaemonError(unknown(request).message)
    return found


def draw(found: dict[str, Any]) -> None:
    """Print a decision."""
    kind = found["protocol"] if found["operation"] == "generate" else f"{found['protocol']} {found['operation']}"
    stream = ", streamed" if found["stream"] else ""
    render.line(f"{found['id']}  {moment(found['at'])}  {kind} {found['model']}{stream}")
    for step in found["steps"]:
        render.line(step)
    _draw_plan(found)
    _draw_attempts(found["attempts"])
    for each in found["dropped"]:
        render.line(f"dropped: {each['field']}: {each['reason']}")
    render.line(ending(found))
    if found["usage"] or found["cost"] is not None:
        render.line(f"{tokens(found['usage'])}, {money(found['cost'])}")
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
            "in" if each["in"] else _verdict(each),
            each["reason"],
        )
        for each in found["considered"]
    ]
    rows.sort(key=lambda row: int(row[0] or len(rows) + 1))
    render.line()
    render.table(("plan", "provider", "account", "model", "", "why"), rows, empty="nothing was considered")


def _verdict(line: dict[str, Any]) -> str:
    return f"cooling {render.duration(line['seconds'])}" if line["verdict"] == "cooling" else str(line["verdict"])


def _draw_attempts(attempts: list[dict[str, Any]]) -> None:
    render.line()
    for number, each in enumerate(attempts, 1):
        target = f"{each['provider']}/{each['account']} {each['model']}"
        render.line(f"attempt {number}: {target}: {attempt_end(each)}")
        render.line(f"    {each['message'] or each['reason']}")
    if not attempts:
        render.line("nothing was sent")
    render.line()


def attempt_end(attempt: dict[str, Any]) -> str:
    """What became of an attempt: `429 rate_limited after 0.18 s; booked: cooldown 40 s`."""
    status = f"{attempt['status']} " if attempt["status"] else ""
    waited = f", {seconds(attempt['wait'])} waited for it" if attempt["wait"] else ""
    rest = f" {render.duration(attempt['rests'])}" if attempt["rests"] else ""
    booked = f"; booked: {attempt['booked']}{rest}" if attempt["booked"] else ""
    return f"{status}{attempt['outcome'] or 'cancelled'} after {seconds(attempt['took'])}{waited}{booked}"


def ending(found: dict[str, Any]) -> str:
    """The end of a request in a sentence."""
    times = f"{seconds(found['took'])} in all"
    if found["first_content"] is not None:
        times = f"first content after {seconds(found['first_content'])}, {times}"
    by = found["answered_by"]
    where = f"{by['provider']}/{by['account']} {by['model']}" if by else "no target"
    if found["client_left"]:
        return f"the client left ({where}); {times}"
    if found["failure"]:
        return f"failed: {found['status']} {found['failure']['kind']}: {found['failure']['message']}; {times}"
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
