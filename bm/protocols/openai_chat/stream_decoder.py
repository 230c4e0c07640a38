"""Read an upstream's stream of chunks, or a whole completion, into canonical events.

Written for what compatible services really send: calls without an index or an id, names repeated or ids late, whole
calls in one chunk, content as an array or an object, usage in every chunk, errors among the chunks, and streams that
end without a finish reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from bm import sse
from bm.chat.builder import PartBuilder
from bm.chat.capabilities import Dialect
from bm.chat.events import Event, Finish
from bm.chat.parts import Json, Opaque, Part, StreamedKind
from bm.chat.signature import Signature
from bm.errors import UNREADABLE, Failure
from bm.names import CHAT
from bm.protocols.codec import IdFactory, WireDecoder
from bm.protocols.errors import in_band
from bm.protocols.openai.citations import decode_citation, executed_tool
from bm.protocols.openai.content import media_at, thinking_text
from bm.protocols.openai_chat.errors import failed_choice, is_error
from bm.protocols.openai_chat.thinking import DETAILS, TagSplitter, details_signature, read_signature
from bm.protocols.openai_chat.usage import decode_usage, finish_reason
from bm.protocols.reading import count_of, object_of, objects_of, string_of

_decode = msgspec.json.Decoder().decode
_USUAL = frozenset({"role", "content", "tool_calls", "function_call", "refusal", "reasoning", "reasoning_content"})

_OPENAI = Dialect()


class _Choice:
    """Names the parts in the deltas of one choice. A whole message is a single delta to it.

    Text, thinking and refusals follow one another under the choice's number; several calls may be open at once.
    """

    def __init__(self, number: int, parts: PartBuilder, dialect: Dialect, model: str) -> None:
        self.number = number
        self._model = model
        self._details: list[Json] = []
        self._unnumbered = False
        self.finish = self._stop_sequence = ""
        self.names_finish = self.resumed = False
        self._parts = parts
        self._splitter = TagSplitter(dialect.thinking_tag) if dialect.thinking_tag else None

    @property
    def steady(self) -> bool:
        """Whether text stays text, whatever it says.

        Thinking may be tagged, or gathered for its signature. Calls without a number are separated by their arguments.
        """
        return not (self._details or self._unnumbered) and (self._splitter is None or self._splitter.in_text)

    def delta(self, delta: Json) -> None:
        """Take one delta."""
        thinking = delta.get("reasoning_content") or delta.get("reasoning")
        if isinstance(thinking, str) and thinking:
            self._say("thinking", thinking)
        elif not thinking and delta.get(DETAILS):
            for detail in objects_of(delta[DETAILS]):
                self._say("thinking", string_of(detail.get("text") or detail.get("summary")))
        content = delta.get("content")
        if type(content) is str and self._splitter is None:
            self._parts.text(self.number, "text", content, self.number)
        elif content:
            self._content(content)
        refusal = delta.get("refusal")
        if refusal:
            self._say("refusal", string_of(refusal))
        if calls := delta.get("tool_calls"):
            self.pause()
            for call in objects_of(calls):
                self._call(call.get("index"), call)
        legacy = delta.get("function_call")
        if isinstance(legacy, dict) and (legacy.get("name") or legacy.get("arguments")):
            self.pause()
            self._call("legacy", {"function": legacy})
        if not delta.keys() <= _USUAL:
            self._rarities(delta)

    def _say(self, kind: StreamedKind, text: str) -> None:
        self._parts.text(self.number, kind, text, self.number)

    def _whole(self, part: Part) -> None:
        self._parts.close(self.number)
        self._parts.add(part, self.number)

    def _call(self, index: Any, fragment: Json) -> None:
        custom = fragment.get("type") == "custom" or ("custom" in fragment and "function" not in fragment)
        owner = object_of(fragment.get("custom" if custom else "function"))
        given = owner.get("input" if custom else "arguments")
        key = (self.number, index) if isinstance(index, int | str) else None
        self._unnumbered |= key is None
        self._parts.call(
            key,
            str(fragment.get("id") or ""),
            str(owner.get("name") or ""),
            # Ollama and others send the object itself.
            given if isinstance(given, str) else "" if given is None else msgspec.json.encode(given).decode(),
            kind="custom" if custom else "function",
            signature=read_signature(fragment),
            choice=self.number,
        )

    def _rarities(self, delta: Json) -> None:
        self._details += objects_of(delta.get(DETAILS))
        if (signature := read_signature(delta)) is not None:
            self._sign(signature)
        for annotation in objects_of(delta.get("annotations")):
            self._parts.open(self.number, "text", self.number)
            self._parts.cite(self.number, decode_citation(annotation, CHAT))
        for tool in objects_of(delta.get("executed_tools")):
            # Groq reports each twice: when it begins and with its result.
            if tool.get("output") is not None or tool.get("search_results"):
                self._whole(executed_tool(tool))
        for image in objects_of(delta.get("images")):
            self._image(image)
        audio = object_of(delta.get("audio"))
        if audio.get("data"):
            self._whole(Opaque(CHAT, "audio", audio, summary=str(audio.get("transcript") or "")))

    def _sign(self, signature: Signature) -> None:
        if not self._parts.sign_first_call(signature, self.number):
            self._parts.open(self.number, "text", self.number)
            self._parts.sign(self.number, signature)

    def _image(self, image: Json) -> None:
        """OpenRouter's `images`, of models that draw."""
        match image:
            case {"image_url": {"url": str(url)}} if not url.startswith("data:") or ";base64," in url[:64]:
                self._whole(media_at("image", url, ""))
            case _:
                self._whole(Opaque(CHAT, "image", image))

    def _content(self, content: Any) -> None:
        if isinstance(content, str):
            self._text(content)
        elif isinstance(content, list):
            for part in content:
                self._part(part)
        else:
            # Cloudflare answers with the object itself where JSON was asked for.
            self._text(msgspec.json.encode(content).decode())

    def _part(self, part: Any) -> None:
        match part:
            case str():
                self._text(part)
            case {"type": "thinking", "thinking": thinking}:
                self._say("thinking", thinking_text(thinking))
            case {"type": "text" | "output_text", "text": str(text)}:
                self._text(text)
            case {"type": "image_url"}:
                self._image(part)
            case {"type": str(kind)}:
                self._whole(Opaque(CHAT, kind, part))

    def _text(self, text: str) -> None:
        if self._splitter is None:
            self._say("text", text)
            return
        for kind, piece in self._splitter.feed(text):
            self._say(kind, piece)

    def pause(self) -> None:
        """Something other than text follows, or nothing."""
        if self._splitter is not None:
            for kind, piece in self._splitter.close():
                self._say(kind, piece)
        self._parts.close(self.number)

    def close(self) -> None:
        """No more deltas will come."""
        signature = details_signature(self._details, self._model)
        self._details.clear()
        if signature is not None and (self._parts.is_open(self.number, "text") or self.number in self._parts.called):
            self._sign(signature)
        self.pause()
        self._parts.close_choice(self.number)

    def ends(self, choice: Json, *, says: bool) -> None:
        """Read a `finish_reason`. vLLM and SGLang name the stop sequence that matched.

        Some services finish every chunk (https://github.com/su-kaka/gcli2api/issues/403, August 2026). So the last
        reason counts, and a chunk that also says something closes nothing: its text may go on in the next.
        """
        if not (finish := string_of(choice["finish_reason"])):
            return
        if not self.finish or self.resumed:
            self.finish = finish
            self._stop_sequence = string_of(choice.get("stop_reason")) or string_of(choice.get("matched_stop"))
        if not says:
            self.resumed = False
            self.close()

    def is_complete(self) -> bool:
        """Whether the choice had all its content when the service sent `[DONE]`.

        Some services have no finish reasons at all (Snowflake); where it is null to the end, only whole calls count.
        """
        if self.finish or self._parts.has_whole_calls(self.number):
            return True
        return self.number in self._parts.begun and not self.names_finish

    def end(self) -> Finish:
        """How the choice finished; a service that did not say so is judged by what it sent."""
        reason = finish_reason(self.finish, calls=self.number in self._parts.called)
        if reason == "stop" and self._stop_sequence:
            reason = "stop_sequence"
        return Finish(reason, native=self.finish, stop_sequence=self._stop_sequence, choice=self.number)


class ChatStreamDecoder(WireDecoder):
    """Reads one stream."""

    def __init__(self, ids: IdFactory, dialect: Dialect = _OPENAI) -> None:
        super().__init__(ids)
        self._dialect = dialect
        self._choices: dict[int, _Choice] = {}
        self._model = ""

    def feed(self, event: sse.Event) -> Sequence[Event]:
        data = event.data
        if self._parts.ended or not data:
            return ()
        if data.strip() == b"[DONE]":
            return self._done()
        try:
            chunk: Any = _decode(data)
        except UNREADABLE as error:
            return self._malformed(f"the upstream sent a chunk that is no JSON: {error}")
        if not isinstance(chunk, dict):
            return self._malformed("the upstream sent a chunk that is no object")
        if event.name == "error" or is_error(chunk):
            return self._error(chunk)
        return self._chunk(chunk)

    def whole(self, body: Json) -> Sequence[Event]:
        """Read a whole completion. An error under status 200 is a failure like any other."""
        choices = body.get("choices")
        if is_error(body):
            return self._error(body)
        if not choices or not isinstance(choices, list):
            return self._malformed("the upstream's answer holds no choices")
        if len(objects_of(choices)) < len(choices):
            return self._malformed("the upstream's answer holds a choice that is none")
        numbered = [choice | {"index": number} for number, choice in enumerate(choices)]
        events = self._chunk(body | {"choices": numbered})
        return events if self._parts.ended else [*events, *self._complete()]

    def _chunk(self, chunk: Json) -> Sequence[Event]:
        choices = chunk.get("choices")
        if not self._parts.started and (choices or chunk.get("id")):
            self._model = str(chunk.get("model") or "")
            self._parts.start(str(chunk.get("id") or ""), self._model)
        # Some clients get the usage of the prompt at the start, so it comes before the first part.
        usage = chunk.get("usage")
        if not usage and "x_groq" in chunk:
            usage = object_of(chunk["x_groq"]).get("usage")
        if usage and self._parts.started:
            self._parts.use(decode_usage(usage, chunk.get("service_tier")))
        for choice in objects_of(choices):
            if (failure := self._choice(choice)) is not None:
                return self._fail(failure)
        return self._parts.take()

    def _choice(self, choice: Json) -> Failure | None:
        number = count_of(index) if (index := choice.get("index")) else 0
        decoder = self._choices.get(number)
        if decoder is None:
            decoder = self._choices[number] = _Choice(number, self._parts, self._dialect, self._model)
        # Some services end their stream with a whole `message` in place of a delta.
        delta = choice.get("delta") or (None if number in self._parts.begun else choice.get("message"))
        says = False
        if isinstance(delta, dict):
            if decoder.finish or choice.get("finish_reason"):
                says = any(value for key, value in delta.items() if key != "role")
                decoder.resumed |= says and bool(decoder.finish)
            decoder.delta(delta)
        if "finish_reason" in choice:
            decoder.names_finish = True
        if choice.get("finish_reason"):
            decoder.ends(choice, says=says)
            if "usage" in choice:
                # Moonshot has it there in a stream (https://github.com/earendil-works/pi/issues/2017, read 2026-12-01).
                self._parts.use(decode_usage(choice["usage"]))
        elif "error" not in choice:
            return None
        return failed_choice(choice)

    def _error(self, chunk: Json) -> Sequence[Event]:
        """Usage may come with the error (OpenRouter), and was paid for."""
        if self._parts.started:
            self._parts.use(decode_usage(chunk.get("usage"), chunk.get("service_tier")))
        return self._broken(in_band(chunk))

    def _fail(self, failure: Failure) -> Sequence[Event]:
        for choice in self._choices.values():
            choice.pause()
        return super()._fail(failure)

    def _done(self) -> Sequence[Event]:
        if self._choices and all(choice.is_complete() for choice in self._choices.values()):
            return self._complete()
        return self._fail(Failure(kind="truncated", message="the upstream ended its answer without a finish reason"))

    def _complete(self) -> Sequence[Event]:
        for choice in self._choices.values():
            choice.close()
        return self._parts.end([choice.end() for choice in self._choices.values()])

    @property
    def steady(self) -> bool:
        return all(choice.steady for choice in self._choices.values())

    @property
    def finished(self) -> bool:
        """Whether every choice has a finish reason after which nothing came."""
        return bool(self._choices) and all(c.finish and not c.resumed for c in self._choices.values())
