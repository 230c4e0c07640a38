"""`bm ask`: one question from the terminal, streamed, and who answered it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bm.cli import admin, completion, render
from bm.cli.render import Json

if TYPE_CHECKING:
    from http.client import HTTPResponse

    from bm.chat.events import Event, Usage
    from bm.config.paths import Paths

SILENCE = 600.0
"""Seconds without a byte after which the daemon is given up; it sends keep-alives."""

MAX_TOKENS = 32_000
"""bm lowers it to what the model allows."""


def ask(
    words: Annotated[list[str] | None, typer.Argument(metavar="[QUESTION]...", help="The question.")] = None,
    model: Annotated[
        str, typer.Option("--model", "-m", help="The model, as a tool would name it.", autocompletion=completion.models)
    ] = "sonnet",
    system: Annotated[str, typer.Option("--system", "-s", help="Instructions for the model.")] = "",
    as_json: Json = False,
) -> None:
    """Ask a model a question and print its answer as it comes.

    Standard input is added to the question. Starts the daemon if needed. Who answered is printed to standard error.
    """
    from bm.cli.exits import UsageError

    question = " ".join(words or ()).strip()
    piped = "" if sys.stdin is None or sys.stdin.isatty() else sys.stdin.read().strip()
    if not question and not piped:
        raise UsageError('what is the question? bm ask "what does HTTP 429 mean?"')
    body: dict[str, Any] = {"model": model, "max_tokens": MAX_TOKENS, "stream": True}
    body["messages"] = [{"role": "user", "content": "\n\n".join(filter(None, (piped, question)))}]
    body |= {"system": system} if system else {}
    _answer(admin.here(), body, as_json=as_json)


def _answer(paths: Paths, body: dict[str, Any], *, as_json: bool) -> None:
    import http.client

    import msgspec

    from bm.accounts.credentials import ensure_local_key
    from bm.cli.clients import started
    from bm.errors import DaemonError

    daemon = started(paths)
    headers = {"authorization": f"Bearer {ensure_local_key(paths.accounts)}", "content-type": "application/json"}
    headers["anthropic-version"] = "2023-06-01"
    began = time.monotonic()
    connection = http.client.HTTPConnection(daemon.address, daemon.port, timeout=SILENCE)
    try:
        with closing(connection):
            connection.request("POST", "/v1/messages", msgspec.json.encode(body), headers)
            response = connection.getresponse()
            if response.status != 200:
                raise DaemonError(_words(response.read()))
            text, usage = _shown(response, silent=as_json)
    except (http.client.HTTPException, OSError) as error:
        raise DaemonError(f"the daemon broke off its answer: {str(error) or type(error).__name__}") from None
    about = {name: response.headers.get(f"x-bm-{name}", "") for name in ("provider", "account", "model", "request-id")}
    took = time.monotonic() - began
    if as_json:
        counts = msgspec.to_builtins(usage) if usage else None
        render.json({"text": text, **about, "took": round(took, 3), "usage": counts})
        return
    tokens = f", {usage.input} + {usage.output} tokens" if usage else ""
    attempts = response.headers.get("x-bm-attempts", "1")
    tried = f", {attempts} attempts (bm why last)" if attempts not in ("0", "1") else ""
    render.note(f"[{about['provider']}/{about['account']} {about['model']}, {render.seconds(took)}{tokens}{tried}]")


def _words(body: bytes) -> str:
    """The message of an error, with the command that explains it unless it names one."""
    import msgspec

    try:
        message = str(msgspec.json.decode(body)["error"]["message"])
    except (msgspec.DecodeError, KeyError, TypeError):
        message = body.decode("utf-8", "replace")[:500]
    return message if "bm " in message else f"{message} (bm why last)"


def _shown(response: HTTPResponse, *, silent: bool) -> tuple[str, Usage | None]:
    """Print the text as it comes. Returns the whole text and the usage.

    Raises:
        DaemonError: the answer fails or is incomplete.
    """
    from bm.chat.events import Failed, Finish, PartDelta, PartStart, UsageUpdate
    from bm.errors import DaemonError

    text: list[str] = []
    usage: Usage | None = None
    kinds: dict[int, str] = {}
    for event in _events(response):
        match event:
            case PartStart(index=index, kind=kind):
                kinds[index] = kind
            case PartDelta(index=index, text=piece) if kinds.get(index) in ("text", "refusal"):
                text.append(piece)
                if not silent:
                    render.part(piece)
            case UsageUpdate(usage=usage):
                pass
            case Finish(reason="length"):
                render.note("\nnote: the answer is cut off: the model's limit is reached")
            case Failed(failure=failure):
                if text and not silent:
                    render.line()
                raise DaemonError(f"the answer broke off: {failure.message} (bm why last)")
            case _:
                pass
    if not text:
        render.note("note: the answer has no text")
    elif not silent and not text[-1].endswith("\n"):
        render.line()
    return "".join(text), usage


def _events(response: HTTPResponse) -> Iterator[Event]:
    from bm.protocols.anthropic.stream_decoder import AnthropicStreamDecoder
    from bm.protocols.codec import IdFactory
    from bm.sse import Parser

    # No id is shown.
    parser, decoder = Parser(), AnthropicStreamDecoder(IdFactory(str))
    while chunk := response.read1(65_536):
        for each in parser.feed(chunk):
            yield from decoder.feed(each)
    for each in parser.close():
        yield from decoder.feed(each)
    yield from decoder.close()
