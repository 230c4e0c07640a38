"""An upstream's stream of chunks, turned into events.

Written for what compatible services really send: calls without an index or an id, names repeated or ids late, whole
calls in one chunk, content as an array or an object, usage in every chunk, errors among the chunks, and streams that
end without a finish reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from bm import sse
from bm.chat.capabilities import Dialect
from bm.chat.events import (
    End,
    Event,
    Failed,
    Finish,
    PartAnnotation,
    PartDelta,
    PartEnd,
    PartSignature,
    PartStart,
    PartWhole,
    Start,
    StreamedKind,
    Usage,
    UsageUpdate,
)
from bm.chat.parts import Json, Opaque
from bm.chat.signature import Signature
from bm.errors import Failure
from bm.names import CHAT
from bm.protocols.codec import IdFactory
from bm.protocols.openai.citations import decode_citation, executed_tool
from bm.protocols.openai.content import media_at, thinking_text
from bm.protocols.openai_chat.calls import CallAssembler
from bm.protocols.openai_chat.errors import failed_choice, in_band
from bm.protocols.openai_chat.thinking import TagSplitter, read_signature
from bm.protocols.openai_chat.usage import decode_usage, finish_reason

_decode = msgspec.json.Decoder().decode
_USUAL = frozenset({"role", "content", "tool_calls", "function_call", "refusal", "reasoning", "reasoning_content"})


class Numbers:
    """Hands out the indices of the parts of one answer."""

    def __init__(self) -> None:
        self._next = 0

    def take(self) -> int:
        """The next free index."""
        index = self._next
        self._next += 1
        return index


class ChoiceDecoder:
    """Turns the deltas of one choice into events. A whole message is a single delta to it."""

    def __init__(self, number: int, numbers: Numbers, ids: IdFactory, dialect: Dialect) -> None:
        self.number = number
        self.finish = ""
        self.began = False
        self._numbers = numbers
        self._open: StreamedKind | None = None
        self._index = -1
        self._calls = CallAssembler(number, numbers.take, ids)
        self._splitter = TagSplitter(dialect.thinking_tag) if dialect.thinking_tag else None

    @property
    def calls(self) -> bool:
        """Whether the model has called a tool."""
        return self._calls.any

    def delta(self, delta: Json, out: list[Event]) -> None:
        """Take one delta."""
        thinking = delta.get("reasoning_content") or delta.get("reasoning")
        if isinstance(thinking, str) and thinking:
            self._say("thinking", thinking, out)
        elif not thinking and delta.get("reasoning_details"):
            self._details(delta["reasoning_details"], out)
        content = delta.get("content")
        if content:
            self._content(content, out)
        refusal = delta.get("refusal")
        if isinstance(refusal, str) and refusal:
            self._say("refusal", refusal, out)
        calls = delta.get("tool_calls")
        if isinstance(calls, list) and calls:
            self._flush(out)
            self._shut(out)
            for call in calls:
                if isinstance(call, dict):
                    self._calls.add(call, out)
        legacy = delta.get("function_call")
        if isinstance(legacy, dict) and (legacy.get("name") or legacy.get("arguments")):
            self._flush(out)
            self._shut(out)
            self._calls.add({"index": "legacy", "function": legacy}, out)
        if not delta.keys() <= _USUAL:
            self._rarities(delta, out)

    def _rarities(self, delta: Json, out: list[Event]) -> None:
        signature = read_signature(delta)
        if signature is not None:
            self._sign(signature, out)
        for annotation in delta.get("annotations") or ():
            if isinstance(annotation, dict):
                cited = decode_citation(annotation, CHAT)
                out.append(PartAnnotation(self._ensure("text", out), CHAT, annotation, cited.sources))
        for tool in delta.get("executed_tools") or ():
            # Groq tells of each twice: when it begins and with its result.
            if isinstance(tool, dict) and (tool.get("output") is not None or tool.get("search_results")):
                self._whole(executed_tool(tool), out)
        for image in delta.get("images") or ():
            self._image(image, out)
        audio = delta.get("audio")
        if isinstance(audio, dict) and audio.get("data"):
            self._whole(Opaque(CHAT, "audio", audio, summary=str(audio.get("transcript") or "")), out)

    def _sign(self, signature: Signature, out: list[Event]) -> None:
        if not self._calls.sign(signature, out):
            out.append(PartSignature(self._ensure("text", out), signature))

    def _image(self, image: Any, out: list[Event]) -> None:
        """OpenRouter's `images`, of models that draw."""
        match image:
            case {"image_url": {"url": str(url)}} if not url.startswith("data:") or ";base64," in url[:64]:
                self._whole(media_at("image", url, ""), out)
            case dict():
                self._whole(Opaque(CHAT, "image", image), out)

    def _whole(self, part: Any, out: list[Event]) -> None:
        self._shut(out)
        self.began = True
        out.append(PartWhole(self._numbers.take(), part, choice=self.number))

    def _content(self, content: Any, out: list[Event]) -> None:
        if isinstance(content, str):
            self._text(content, out)
        elif isinstance(content, list):
            for part in content:
                self._part(part, out)
        else:
            # Cloudflare answers with the object itself where JSON was asked for.
            self._text(msgspec.json.encode(content).decode(), out)

    def _part(self, part: Any, out: list[Event]) -> None:
        match part:
            case str():
                self._text(part, out)
            case {"type": "thinking", "thinking": thinking}:
                self._say("thinking", thinking_text(thinking), out)
            case {"type": "text" | "output_text", "text": str(text)}:
                self._text(text, out)
            case {"type": "image_url"}:
                self._image(part, out)
            case {"type": str(kind)}:
                self._whole(Opaque(CHAT, kind, part), out)

    def _text(self, text: str, out: list[Event]) -> None:
        if self._splitter is None:
            self._say("text", text, out)
            return
        for kind, piece in self._splitter.feed(text):
            self._say(kind, piece, out)

    def _details(self, details: Any, out: list[Event]) -> None:
        """OpenRouter's structured reasoning, where the plain member is missing."""
        for detail in details if isinstance(details, list) else ():
            text = (detail.get("text") or detail.get("summary")) if isinstance(detail, dict) else None
            if isinstance(text, str):
                self._say("thinking", text, out)

    def _say(self, kind: StreamedKind, text: str, out: list[Event]) -> None:
        if text:
            out.append(PartDelta(self._index if self._open == kind else self._ensure(kind, out), text))

    def _ensure(self, kind: StreamedKind, out: list[Event]) -> int:
        """The index of the open part of this kind, which is opened if need be."""
        if self._open != kind:
            self._shut(out)
            self._index = self._numbers.take()
            self._open = kind
            self.began = True
            out.append(PartStart(self._index, kind, choice=self.number))
        return self._index

    def _shut(self, out: list[Event]) -> None:
        if self._open is not None:
            out.append(PartEnd(self._index))
            self._open = None

    def _flush(self, out: list[Event]) -> None:
        if self._splitter is not None:
            for kind, piece in self._splitter.close():
                self._say(kind, piece, out)

    def close(self, out: list[Event], *, complete: bool) -> None:
        """No more deltas will come: end the open parts. A call that never got its name is dropped."""
        self._flush(out)
        self._shut(out)
        self._calls.close(out, complete=complete)

    def end(self) -> Finish:
        """How the choice finished; a service that did not say so is judged by what it sent."""
        return Finish(finish_reason(self.finish, calls=self.calls), native=self.finish, choice=self.number)


class StreamDecoder:
    """Turns server-sent events into canonical events. One decoder a stream."""

    def __init__(self, ids: IdFactory, dialect: Dialect) -> None:
        self._ids = ids
        self._dialect = dialect
        self._numbers = Numbers()
        self._choices: dict[int, ChoiceDecoder] = {}
        self._usage: Usage | None = None
        self._started = False
        self._over = False

    def feed(self, event: sse.Event) -> Sequence[Event]:
        """Return what one server-sent event tells."""
        data = event.data
        if self._over or not data:
            return ()
        if data.strip() == b"[DONE]":
            return self._done()
        try:
            chunk: Any = _decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return self._fail(Failure(kind="malformed", message=f"the upstream sent a chunk that is no JSON: {error}"))
        if not isinstance(chunk, dict):
            return self._fail(Failure(kind="malformed", message="the upstream sent a chunk that is no object"))
        if chunk.get("error") or event.name == "error" or chunk.get("object") == "error":
            return self._error(chunk)
        return self._chunk(chunk)

    def _chunk(self, chunk: Json) -> list[Event]:
        out: list[Event] = []
        choices = chunk.get("choices")
        if not self._started and (choices or chunk.get("id")):
            self._started = True
            out.append(Start(str(chunk.get("id") or ""), str(chunk.get("model") or "")))
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict):
                self._choice(choice, out)
            if self._over:
                return out
        usage = chunk.get("usage") or _groq_usage(chunk)
        if usage and self._started:
            counted = decode_usage(usage)
            if counted is not None and counted != self._usage:
                self._usage = counted
                out.append(UsageUpdate(counted))
        return out

    def _choice(self, choice: Json, out: list[Event]) -> None:
        number = choice.get("index")
        number = number if isinstance(number, int) else 0
        decoder = self._choices.get(number)
        if decoder is None:
            decoder = ChoiceDecoder(number, self._numbers, self._ids, self._dialect)
            self._choices[number] = decoder
        # Some services end their stream with a whole `message` in place of a delta.
        delta = choice.get("delta") or (None if decoder.began else choice.get("message"))
        if isinstance(delta, dict):
            decoder.delta(delta, out)
        finish = choice.get("finish_reason")
        if finish == "error" or choice.get("error"):
            out += self._fail(failed_choice(choice))
        elif isinstance(finish, str) and finish:
            decoder.finish = decoder.finish or finish
            decoder.close(out, complete=True)

    def _error(self, chunk: Json) -> list[Event]:
        """Usage may come with the error (OpenRouter), and was paid for."""
        out: list[Event] = []
        counted = decode_usage(chunk.get("usage"))
        if counted is not None and self._started:
            out.append(UsageUpdate(counted))
        return out + self._fail(in_band(chunk))

    def _fail(self, failure: Failure) -> list[Event]:
        out: list[Event] = []
        for choice in self._choices.values():
            choice.close(out, complete=False)
        self._over = True
        out.append(Failed(failure))
        return out

    def _done(self) -> list[Event]:
        """`[DONE]`: some services never give a finish reason, but whoever sends this has sent all."""
        if not any(choice.finish or choice.began or choice.calls for choice in self._choices.values()):
            return self._fail(Failure(kind="truncated", message="the upstream ended its answer before any content"))
        out: list[Event] = []
        for choice in self._choices.values():
            choice.close(out, complete=True)
        out += [choice.end() for choice in self._choices.values()]
        self._over = True
        out.append(End())
        return out

    def close(self) -> Sequence[Event]:
        """The connection has ended. Without a finish reason for every choice the answer was cut."""
        if self._over:
            return ()
        if self._choices and all(choice.finish for choice in self._choices.values()):
            return self._done()
        return self._fail(Failure(kind="truncated", message="the upstream's answer ended before its end"))


def _groq_usage(chunk: Json) -> Any:
    groq = chunk.get("x_groq")
    return groq.get("usage") if isinstance(groq, dict) else None
