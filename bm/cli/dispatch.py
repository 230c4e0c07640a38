"""`bm route` and `bm why`: where a request would go, and how one was answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from bm.cli import admin, completion, render
from bm.cli.render import Json
from bm.duration import duration
from bm.ledger.advice import advice
from bm.names import MAIN_KEY, ProtocolName, ToolName

if TYPE_CHECKING:
    from bm.config.paths import Paths


OUTCOMES = {"upstream_auth": "key refused", "billing": "out of credit", "permission": "not permitted"}
"""Outcomes whose names say too little; others are printed as they are."""

EFFECTS = {
    "disabled": "account disabled until verified",
    "fault": "counts against its health",
    "excluded": "not asked for this model again",
}
"""What an attempt does to its account, other than a cooldown."""


def route(
    model: Annotated[str, typer.Argument(help="The model, as a tool would name it.", autocompletion=completion.models)],
    protocol: Annotated[ProtocolName, typer.Option("--protocol", help="The tool's protocol.")] = "anthropic",
    tool: Annotated[ToolName | None, typer.Option("--tool", help="The tool that asks.")] = None,
    image: Annotated[bool, typer.Option("--image", help="The request contains an image.")] = False,
    think: Annotated[bool, typer.Option("--think", help="It asks for thinking.")] = False,
    web_search: Annotated[bool, typer.Option("--web-search", help="The service is to search the web.")] = False,
    tokens: Annotated[int, typer.Option("--tokens", min=0, help="The length of the prompt.")] = 0,
    key: Annotated[
        str, typer.Option("--key", help="The client's key that it comes with.", autocompletion=completion.keys)
    ] = MAIN_KEY,
    as_json: Json = False,
) -> None:
    """Show where a request would go, without sending it.

    Options say what the request is, for the routes of the configuration.
    """
    asked = {
        "model": model,
        "protocol": protocol,
        "tool": tool,
        "requirements": ["images"] if image else [],
        "thinking": think,
        "web_search": web_search,
        "tokens": tokens,
        "key": key,
    }
    answer = admin.ask(admin.here(), "POST", "/admin/route", asked)
    if as_json:
        render.json(answer)
    else:
        _draw_route(answer)
    if answer["failure"]:
        raise typer.Exit(1)


def _draw_route(answer: dict[str, Any]) -> None:
    for step in answer.get("steps", ()):
        render.paragraph(step)
    defaults = [each["mapping"] for each in answer["targets"] if "its default is" in each["mapping"]]
    for each in dict.fromkeys(defaults):
        render.paragraph(each)
    if near := answer.get("near"):
        render.paragraph(f"did you mean {near}? bm models lists what there is")
    targets = [
        (str(number), each["provider"], each["account"], each["model"], each["reason"])
        for number, each in enumerate(answer["targets"], 1)
    ]
    render.table(("", "provider", "account", "model", "why"), targets, empty="nothing can serve this request")
    if answer["failure"]:
        render.paragraph(answer["failure"]["message"])
    left_out = [
        (each["provider"], each["account"] or "", state(each), each["reason"])
        for each in answer["considered"]
        if not each["in"]
    ]
    if left_out:
        render.line()
        render.table(("not planned", "account", "state", "why"), left_out, empty="")


def why(
    request: Annotated[str, typer.Argument(help="The request's id (header x-bm-request-id), or `last`.")] = "last",
    as_json: Json = False,
) -> None:
    """Explain how a request was answered.

    Shows the plan, the attempts, what was dropped, usage and cost.
    """
    found = decision_of(admin.here(), request)
    if as_json:
        render.json(found)
    else:
        draw(found)


def decision_of(paths: Paths, request: str) -> dict[str, Any]:
    """The record of a request, from the daemon or, without one, from the ledger.

    Raises:
        DaemonError: the request is unknown, or the daemon does not respond.
        LedgerError: the ledger cannot be read.
    """
    from urllib.parse import quote

    from bm.errors import DaemonError
    from bm.ledger.reader import decision, unknown

    daemon = admin.running(paths)
    found: dict[str, Any] | None
    if not request or "/" in request:
        found = None  # no id; in a path it would be another one
    elif daemon is None:
        found = decision(admin.ledger(paths), request)
        found = found and found | {"advice": list(advice(found))}
    else:
        found = admin.ask_daemon(paths, daemon, "GET", f"/admin/why/{quote(request, safe='')}")
    if found is None:
        raise DaemonError(unknown(request).message)
    return found


def explained(found: dict[str, Any]) -> list[str]:
    """What `draw` prints, as lines."""
    import io
    from contextlib import redirect_stdout

    with redirect_stdout(io.StringIO()) as written:
        draw(found)
    return written.getvalue().splitlines()


def draw(found: dict[str, Any]) -> None:
    """Print a request: how it ended and what to do about it, then its attempts and the plan."""
    kind = found["protocol"] if found["operation"] == "generate" else f"{found['protocol']} {found['operation']}"
    stream = ", streamed" if found["stream"] else ""
    # What an earlier version has recorded has no key.
    stream += f", key {key}" if (key := found.get("key", MAIN_KEY)) != MAIN_KEY else ""
    render.paragraph(f"{found['id']}  {render.moment(found['at'])}  {kind} {found['model']}{stream}")
    render.paragraph(ending(found))
    for each in advice(found):
        render.paragraph(f"to do: {each}")
    if found["usage"] or found["cost"] is not None:
        render.paragraph(f"{tokens(found['usage'])}, {render.money(found['cost'])}")
    for each in found["dropped"]:
        render.paragraph(f"dropped: {each['field']}: {each['reason']}")
    _draw_attempts(found["attempts"])
    _draw_plan(found)
    if found["left_out"]:
        render.note(f"note: {found['left_out']} more lines were not kept")


def _draw_plan(found: dict[str, Any]) -> None:
    places = {(each["provider"], each["account"]): place for place, each in enumerate(found["targets"], 1)}
    rows = [
        (
            str(places.get((each["provider"], each["account"]), "")),
            each["provider"],
            each["account"] or "",
            each["model"],
            state(each),
            each["reason"],
        )
        for each in found["considered"]
    ]
    last = str(len(rows) + 1)
    rows.sort(key=lambda row: int(row[0] or last))
    render.line()
    for step in found["steps"]:
        render.paragraph(step)
    render.table(("plan", "provider", "account", "model", "state", "why"), rows, empty="no provider was considered")


def state(line: dict[str, Any]) -> str:
    """The state of a candidate: `planned`, `cooling down 5 min`, `disabled`, `excluded`."""
    if line["in"]:
        return "planned"
    verdict = str(line["verdict"])
    return f"{verdict} {duration(line['seconds'])}" if verdict == "cooling down" else verdict


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
    """The result of an attempt: `429 rate limited after 0.18 s; account cools down for 40 s`."""
    status = f"{attempt['status']} " if attempt["status"] else ""
    waited = f", after waiting {render.seconds(attempt['wait'])}" if attempt["wait"] else ""
    outcome = OUTCOMES.get(attempt["outcome"], attempt["outcome"].replace("_", " ")) or "cancelled"
    return f"{status}{outcome} after {render.seconds(attempt['took'])}{waited}{_effect(attempt)}"


def _effect(attempt: dict[str, Any]) -> str:
    kind, _, undone = attempt["effect"].partition(", ")
    if not kind:
        return ""
    if undone:
        return f"; {undone}: the account was not at fault"
    if attempt["cooldown"]:
        return f"; account cools down for {duration(attempt['cooldown'])}"
    return f"; {EFFECTS.get(kind, kind.replace('_', ' '))}"


def ending(found: dict[str, Any]) -> str:
    """How a request ended, in a sentence."""
    times = f"{render.seconds(found['took'])} in total"
    if found["first_content"] is not None:
        times = f"first content after {render.seconds(found['first_content'])}, {times}"
    by = found["answered_by"]
    where = f"{by['provider']}/{by['account']} {by['model']}" if by else "no target"
    if found["client_left"]:
        return f"the client left ({where}); {times}"
    if failure := found["failure"]:
        kind = OUTCOMES.get(failure["kind"], failure["kind"].replace("_", " "))
        retry = f"; retry after {duration(failure['retry_after'])}" if failure["retry_after"] else ""
        how = "broke off" if found["first_content"] is not None else f"failed with {found['status']}"
        return f"{how} ({kind}): {failure['message'].rstrip('.')}{retry}; {times}"
    form = "" if by is None else ", passed through" if found["passed_through"] else ", translated"
    continued = ", finished after a cut" if found["continuations"] else ""
    return f"answered by {where}{form}{continued}: {found['status']} {found['finish'] or 'complete'}; {times}"


def tokens(usage: dict[str, int] | None) -> str:
    """Token counts in a few words."""
    if usage is None:
        return "no usage reported"
    total = usage["input"] + usage["cache_read"] + usage["cache_write"]
    return (
        f"{total:,} tokens in ({usage['cache_read']:,} cached, {usage['cache_write']:,} written to the cache), "
        f"{usage['output']:,} out ({usage['thinking']:,} thinking)"
    )
