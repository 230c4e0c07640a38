"""`bm record`: whole exchanges, kept for a look and a replay."""

from __future__ import annotations

from typing import Annotated

import typer

from bm.cli import admin, edit, render
from bm.cli.why import draw, moment

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Id = Annotated[str, typer.Argument(help="The request's id, or `last`.")]


def on() -> None:
    """Keep every exchange from now on, with prompts and answers but without keys."""
    from bm.ledger.recordings import folder_of

    paths = admin.here()
    edit.settings(paths, {"record.enabled": True})
    render.line(f"recording is on: prompts and answers are kept in {folder_of(paths)} (bm record off)")


def off() -> None:
    """Keep no further exchanges; those that were kept stay."""
    edit.settings(admin.here(), {"record.enabled": False})
    render.line("recording is off (bm record delete --all removes what was kept)")


def list_(as_json: Json = False) -> None:
    """Show what was kept, the newest first."""
    import msgspec

    from bm.ledger.recordings import folder_of, listed

    found = listed(folder_of(admin.here()))
    if as_json:
        render.json({"recordings": [msgspec.structs.asdict(each) for each in found]})
        return
    rows = [
        (each.id, moment(each.at), each.protocol, each.model, str(each.status), f"{each.size / 1024:,.0f} kB")
        for each in found
    ]
    empty = "nothing was recorded (bm record on)"
    render.table(("request", "at", "protocol", "model", "status", "size"), rows, empty=empty)


def show(recording: Id = "last", as_json: Json = False) -> None:
    """Show an exchange: what the client sent, what went upstream, what came back."""
    import msgspec

    from bm.ledger.recordings import Message, folder_of, load

    kept = load(folder_of(admin.here()), recording)
    if as_json:
        render.json(msgspec.to_builtins(kept))
        return

    def draw_message(title: str, message: Message) -> None:
        render.line()
        render.line(title)
        for name, value in message.headers:
            render.line(f"{name}: {value}")
        render.line()
        for text in message.content.decode("utf-8", "replace").splitlines():
            render.line(text)

    draw(kept.decision)
    draw_message(f"the client: POST {kept.path}", kept.request)
    for asked in kept.upstream:
        draw_message(f"to {asked.provider}: {asked.method} {asked.url}", asked.message)
    draw_message(f"the answer: {kept.status}", kept.answer)
    if not kept.complete:
        render.note("note: the answer was broken off")
    if not kept.whole:
        render.note("note: the answer was too long to be kept to its end")


def delete(
    recording: Annotated[str, typer.Argument(help="The request's id.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="All that was kept.")] = False,
) -> None:
    """Remove what was kept."""
    from bm.cli.exits import UsageError
    from bm.ledger.recordings import clear, folder_of
    from bm.ledger.recordings import delete as remove

    if bool(recording) == everything:
        raise UsageError("name one recording, or give --all")
    folder = folder_of(admin.here())
    if everything:
        render.line(f"{clear(folder)} removed")
    else:
        remove(folder, recording)
        render.line(f"{recording}: removed")


COMMANDS = {"on": on, "off": off, "list": list_, "show": show, "delete": delete}
