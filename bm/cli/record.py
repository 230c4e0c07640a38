"""`bm record` and `bm replay`: keep whole exchanges, look at them, send one again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from bm.cli import admin, render
from bm.cli.dispatch import draw
from bm.cli.render import Json

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from bm.config.paths import Paths
    from bm.daemon.runtime import Daemon
    from bm.ledger.recordings import Message, Recording

Id = Annotated[str, typer.Argument(help="The request's id, or `last`.")]

REPLAY_LIMIT = 600.0
"""Seconds of silence after which a replay is given up."""
_LEDGER_LIMIT = 2.0
"""Seconds within which a finished request is in the ledger."""


def on() -> None:
    """Keep every exchange: prompts and answers, but no keys."""
    from bm.ledger.recordings import folder_of

    paths = admin.here()
    admin.change_settings(paths, {"record.enabled": True})
    render.line(f"recording is on; prompts and answers are kept in {folder_of(paths)} (bm record off)")


def off() -> None:
    """Stop recording. Recordings that exist are kept."""
    admin.change_settings(admin.here(), {"record.enabled": False})
    render.line("recording is off (bm record delete --all deletes the recordings)")


def list_(as_json: Json = False) -> None:
    """List the recordings, newest first."""
    import msgspec

    from bm.ledger.recordings import folder_of, summaries

    found = summaries(folder_of(admin.here()))
    if as_json:
        render.json({"recordings": [msgspec.structs.asdict(each) for each in found]})
        return
    rows = [
        (each.id, render.moment(each.at), each.protocol, each.model, str(each.status), f"{each.size / 1024:,.0f} kB")
        for each in found
    ]
    empty = "no recordings (bm record on)"
    render.table(
        ("request", "time", "protocol", "model", "status", "size"), rows, empty=empty, spare=("size", "protocol")
    )


def show(recording: Id = "last", as_json: Json = False) -> None:
    """Show what was sent and received for a request."""
    import msgspec

    from bm.ledger.recordings import folder_of, load

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
        render.note("note: the answer was cut off")
    if not kept.whole:
        render.note("note: the answer was too long to be kept in full")


def delete(
    recording: Annotated[str, typer.Argument(help="The request's id.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="Delete all recordings.")] = False,
) -> None:
    """Delete a recording, or all of them."""
    from bm.cli.exits import UsageError
    from bm.ledger.recordings import clear, folder_of
    from bm.ledger.recordings import delete as remove

    if bool(recording) == everything:
        raise UsageError("name one recording, or give --all")
    folder = folder_of(admin.here())
    if everything:
        render.line(f"{clear(folder)} recordings deleted")
    else:
        remove(folder, recording)
        render.line(f"{recording}: deleted")


def replay(
    recording: Annotated[str, typer.Argument(help="The recorded request's id, or `last`.")] = "last",
    to: Annotated[str, typer.Option("--to", help="Another target: PROVIDER or PROVIDER:MODEL.")] = "",
    as_json: Json = False,
) -> None:
    """Send a recorded request again and compare the answers.

    Compares text, latency, tokens and cost. You pay for it again.
    """
    from bm.accounts.credentials import load as load_credentials
    from bm.daemon.client import send
    from bm.ledger.recordings import folder_of, load
    from bm.upstream.headers import to_upstream

    paths = admin.here()
    kept = load(folder_of(paths), recording)
    daemon = admin.daemon_of(paths)
    path, body = addressed(kept, to, _providers(paths, daemon) if to else ())
    headers, key = dict(to_upstream(kept.request.headers)), load_credentials(paths.accounts).local_key
    status, received, answer = send(daemon, "POST", path, body, headers, key=key, timeout=REPLAY_LIMIT)
    decision = _decision(paths, daemon, received.get("x-bm-request-id", ""))
    before = _summary(kept.decision, kept.status, text_of(kept, kept.path, kept.status, kept.answer.content))
    after = _summary(decision, status, text_of(kept, path, status, answer))
    if as_json:
        render.json({"recorded": before, "replayed": after})
    else:
        _compare(before, after)
    if status >= 400:
        raise typer.Exit(1)


def addressed(kept: Recording, to: str, providers: Collection[str]) -> tuple[str, bytes]:
    """Path and body of a recorded request, for the target `to` unless that is empty.

    Raises:
        UsageError: `to` does not name a provider.
    """
    from urllib.parse import quote

    from bm.cli.exits import UsageError
    from bm.protocols.splice import splice_model

    body = kept.request.content
    if not to:
        return kept.path, body
    provider, _, model = to.partition(":")
    if provider not in providers:
        raise UsageError(f"your configuration has no provider {provider!r} ({', '.join(sorted(providers))})")
    prefix, _, rest = kept.model.partition(":")
    name = f"{provider}:{model or (rest if prefix in providers else kept.model)}"
    if kept.protocol != "gemini":
        return kept.path, splice_model(body, name)
    path, mark, query = kept.path.partition("?")
    root, method = path.partition("/models/")[0], path.rpartition(":")[2]
    return f"{root}/models/{quote(name, safe='/:')}:{method}{mark}{query}", body


def _providers(paths: Paths, daemon: Daemon) -> set[str]:
    return {row["name"] for row in admin.ask_daemon(paths, daemon, "GET", "/admin/providers")["providers"]}


def _decision(paths: Paths, daemon: Daemon, request_id: str) -> dict[str, Any]:
    """The record of a request, which is in the ledger a moment after its answer ends."""
    import time

    from bm.errors import DaemonError

    limit = time.monotonic() + _LEDGER_LIMIT
    while True:
        try:
            found: dict[str, Any] = admin.ask_daemon(paths, daemon, "GET", f"/admin/why/{request_id}")
        except DaemonError:
            if time.monotonic() > limit:
                raise
            time.sleep(0.05)
        else:
            return found


def text_of(kept: Recording, path: str, status: int, body: bytes) -> str:
    """The text, calls and refusals of an answer; the body itself when it is not an answer of a model."""
    import msgspec

    from bm.errors import RequestError
    from bm.protocols.codec import IdFactory
    from bm.protocols.registry import CODECS

    if status != 200 or kept.operation != "generate":
        return body.decode("utf-8", "replace")
    codec = CODECS[kept.protocol]
    ids = IdFactory(lambda prefix: prefix + "0" * 24)
    try:
        if not kept.stream:
            return _said(codec.decode_response(msgspec.json.decode(body), ids))
        decoder, parser = codec.stream_decoder(ids), _parser(kept, path)
        parts = [*parser.feed(body), *parser.close()]
        return _said(event for part in parts for event in decoder.feed(part))
    except (msgspec.DecodeError, RequestError, UnicodeDecodeError):
        return body.decode("utf-8", "replace")


def _parser(kept: Recording, path: str) -> Any:
    from bm import sse
    from bm.protocols.gemini.array import ArraySplitter

    return ArraySplitter() if kept.protocol == "gemini" and "alt=sse" not in path else sse.Parser()


def _said(events: Iterable[Any]) -> str:
    """The texts, calls and media, in the order in which they began."""
    from bm.chat.events import PartDelta, PartStart, PartWhole
    from bm.chat.parts import Media

    begun: dict[int, tuple[int, str, str]] = {}
    texts: dict[int, str] = {}
    for event in events:
        match event:
            case PartStart(kind="thinking"):
                pass
            case PartStart(kind=kind, name=name):
                begun[event.index] = (event.choice, f"{name}(", ")") if kind == "tool_call" else (event.choice, "", "")
            case PartWhole(part=Media(kind=kind)):
                begun[event.index] = event.choice, f"[{kind}", "]"
            case PartDelta(index=index):
                texts[index] = texts.get(index, "") + event.text
    ordered = sorted(begun.items(), key=lambda row: row[1][0])
    return "\n".join(f"{before}{texts.get(index, '')}{after}" for index, (_, before, after) in ordered)


def _summary(decision: dict[str, Any], status: int, text: str) -> dict[str, Any]:
    none = {"provider": None, "account": None, "model": None}
    tried = {name: decision["attempts"][-1][name] for name in none} if decision["attempts"] else none
    by = decision["answered_by"] or tried
    names = ("id", "first_content", "took", "usage", "cost", "finish", "failure")
    return {name: decision[name] for name in names} | {
        "status": status,
        **by,
        "attempts": len(decision["attempts"]),
        "text": text,
    }


def _compare(before: dict[str, Any], after: dict[str, Any]) -> None:
    rows = [(name, show(before), show(after)) for name, show in _LINES.items()]
    render.table(("", "recorded", "replayed"), rows, empty="")
    titles = {"recorded answer": before, "replayed answer": after}
    if before["text"] == after["text"]:
        titles = {"both answers": after}
    for title, answer in titles.items():
        render.line()
        render.line(f"{title}:")
        for text in answer["text"].splitlines():
            render.line(text)


def _count(name: str) -> Any:
    return lambda summary: f"{summary['usage'][name]:,}" if summary["usage"] else "-"


_LINES: dict[str, Any] = {
    "request": lambda summary: summary["id"],
    "status": lambda summary: str(summary["status"]),
    "provider": lambda summary: summary["provider"] or "-",
    "model": lambda summary: summary["model"] or "-",
    "attempts": lambda summary: str(summary["attempts"]),
    "first content": lambda summary: render.seconds(summary["first_content"]),
    "total": lambda summary: render.seconds(summary["took"]),
    "input": _count("input"),
    "cached": _count("cache_read"),
    "output": _count("output"),
    "thinking": _count("thinking"),
    "cost": lambda summary: render.money(summary["cost"]),
    "end": lambda summary: summary["failure"]["kind"] if summary["failure"] else summary["finish"] or "complete",
}
