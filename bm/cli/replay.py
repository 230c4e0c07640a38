"""`bm replay`: send a recorded request once more, and compare."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bm.cli import admin, render
from bm.cli.why import money, seconds

if TYPE_CHECKING:
    from collections.abc import Collection

    from bm.config.paths import Paths
    from bm.daemon.runtime import Daemon
    from bm.ledger.recordings import Recording

PATIENCE = 600.0
"""Seconds of silence after which a replay is given up."""
_RECORDED_SOON = 2.0
"""Seconds until the daemon has a request on record that it has just answered."""


def replay(
    recording: Annotated[str, typer.Argument(help="The recorded request's id, or `last`.")] = "last",
    to: Annotated[str, typer.Option("--to", help="Another target: PROVIDER or PROVIDER:MODEL.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Send a recorded request once more and show both answers: latency, tokens, cost. It is paid for again."""
    from bm.cli.exits import NotRunning
    from bm.ledger.recordings import folder_of, load

    paths = admin.here()
    kept = load(folder_of(paths), recording)
    daemon = admin.running(paths)
    if daemon is None:
        raise NotRunning
    path, body = addressed(kept, to, _providers(paths, daemon) if to else ())
    status, request_id, answer = _send(paths, daemon, kept, path, body)
    told = _decision(paths, daemon, request_id)
    before = _summary(kept.decision, kept.status, text_of(kept, kept.path, kept.status, kept.answer.content))
    after = _summary(told, status, text_of(kept, path, status, answer))
    if as_json:
        render.json({"recorded": before, "replayed": after})
    else:
        _draw(before, after)
    if status >= 400:
        raise typer.Exit(1)


def addressed(kept: Recording, to: str, providers: Collection[str]) -> tuple[str, bytes]:
    """Path and body of a recorded request, for the target `to` if one is given.

    Raises:
        UsageError: `to` names no provider.
    """
    from urllib.parse import quote

    from bm.cli.exits import UsageError
    from bm.protocols.splice import splice_model

    body = kept.request.content
    if not to:
        return kept.path, body
    provider, _, model = to.partition(":")
    if provider not in providers:
        raise UsageError(f"{provider!r} is no provider in your configuration ({', '.join(sorted(providers))})")
    prefix, _, rest = kept.model.partition(":")
    name = f"{provider}:{model or (rest if prefix in providers else kept.model)}"
    if kept.protocol != "gemini":
        return kept.path, splice_model(body, name)
    path, mark, query = kept.path.partition("?")
    root, method = path.partition("/models/")[0], path.rpartition(":")[2]
    return f"{root}/models/{quote(name, safe='/:')}:{method}{mark}{query}", body


def _providers(paths: Paths, daemon: Daemon) -> set[str]:
    return {row["name"] for row in admin.ask_daemon(paths, daemon, "GET", "/admin/providers")["providers"]}


def _send(paths: Paths, daemon: Daemon, kept: Recording, path: str, body: bytes) -> tuple[int, str, bytes]:
    """Status, the new request's id, and the answer's bytes, as far as they came.

    Raises:
        DaemonError: the daemon does not answer.
    """
    import http.client

    from bm.accounts.credentials import load
    from bm.errors import DaemonError
    from bm.upstream.headers import to_upstream

    headers = dict(to_upstream(kept.request.headers)) | {"authorization": f"Bearer {load(paths.accounts).local_key}"}
    connection = http.client.HTTPConnection(daemon.address, daemon.port, timeout=PATIENCE)
    try:
        connection.request("POST", path, body, headers)
        response = connection.getresponse()
        try:
            content = response.read()
        except http.client.IncompleteRead as cut:
            content = cut.partial
        return response.status, response.getheader("x-bm-request-id", ""), content
    except (OSError, http.client.HTTPException) as error:
        raise DaemonError(f"{daemon.url} does not answer: {str(error) or type(error).__name__}") from None
    finally:
        connection.close()


def _decision(paths: Paths, daemon: Daemon, request_id: str) -> dict[str, Any]:
    """The decision, which is on record a moment after the answer's end."""
    from bm.errors import DaemonError

    limit = time.monotonic() + _RECORDED_SOON
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
    """What an answer says: its text, its calls, its refusal; the body itself where it is no answer of a model."""
    import msgspec

    from bm.chat.response import fold
    from bm.errors import RequestError
    from bm.protocols.codec import IdFactory
    from bm.protocols.registry import CODECS

    if status != 200 or kept.operation != "generate":
        return body.decode("utf-8", "replace")
    codec = CODECS[kept.protocol]
    ids = IdFactory(lambda prefix: prefix + "0" * 24)
    try:
        if not kept.stream:
            return _said(fold(codec.decode_response(msgspec.json.decode(body), ids)))
        decoder, parser = codec.stream_decoder(ids), _parser(kept, path)
        parts = [*parser.feed(body), *parser.close()]
        return _said(fold([event for part in parts for event in decoder.feed(part)]))
    except (msgspec.DecodeError, RequestError, UnicodeDecodeError):
        return body.decode("utf-8", "replace")


def _parser(kept: Recording, path: str) -> Any:
    from bm import sse
    from bm.protocols.gemini.array import ArraySplitter

    return ArraySplitter() if kept.protocol == "gemini" and "alt=sse" not in path else sse.Parser()


def _said(answer: Any) -> str:
    from bm.chat.parts import Media, Refusal, Text, ToolCall

    pieces = []
    for choice in answer.choices:
        for part in choice.parts:
            match part:
                case Text() | Refusal():
                    pieces.append(part.text)
                case ToolCall():
                    pieces.append(f"{part.name}({part.raw})")
                case Media():
                    pieces.append(f"[{part.kind}]")
    return "\n".join(pieces)


def _summary(decision: dict[str, Any], status: int, text: str) -> dict[str, Any]:
    nobody = {"provider": None, "account": None, "model": None}
    tried = {name: decision["attempts"][-1][name] for name in nobody} if decision["attempts"] else nobody
    by = decision["answered_by"] or tried
    names = ("id", "first_content", "took", "usage", "cost", "finish", "failure")
    return {name: decision[name] for name in names} | {
        "status": status,
        **by,
        "attempts": len(decision["attempts"]),
        "text": text,
    }


def _draw(before: dict[str, Any], after: dict[str, Any]) -> None:
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
    "first content": lambda summary: "-" if summary["first_content"] is None else seconds(summary["first_content"]),
    "in all": lambda summary: seconds(summary["took"]),
    "input": _count("input"),
    "cached": _count("cache_read"),
    "output": _count("output"),
    "thinking": _count("thinking"),
    "cost": lambda summary: money(summary["cost"]),
    "end": lambda summary: summary["failure"]["kind"] if summary["failure"] else summary["finish"] or "complete",
}

COMMANDS = {"replay": replay}
