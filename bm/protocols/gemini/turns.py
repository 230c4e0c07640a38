"""Turns, read from a client's `contents` and written as an upstream's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from bm.chat.capabilities import Capabilities
from bm.chat.parts import Json, Media, Opaque, Part, Refusal, ResultPart, Text, Thinking, ToolCall, ToolResult
from bm.chat.repair import inline_system, paired
from bm.chat.request import ChatRequest, Loss, Role, Turn
from bm.chat.signature import Signature, accepted
from bm.protocols import reading
from bm.protocols.gemini.content import RESULT_TYPES, decode_media, encode_media, fetchable, is_bare, opaque_part
from bm.protocols.gemini.thinking import DUMMY, decode_signature, decode_thought
from bm.protocols.media import lacking, type_of
from bm.protocols.turns import Expressible

_ROLES: dict[str, Role] = {"user": "user", "model": "assistant", "function": "user", "tool": "user"}
_PART_EXTRAS = ("videoMetadata", "mediaResolution", "partMetadata")


class TurnReader:
    """Reads contents in order. Calls and results without ids are paired by name, first in first out, then by place.

    Ids that the client did not give are made from the position, so that the same conversation has the same ids again.
    """

    def __init__(self, unread: reading.Unread) -> None:
        self._unread = unread
        self._waiting: list[ToolCall] = []
        self._given: set[str] = set()
        self._made = 0

    def turns(self, contents: Any) -> tuple[Turn, ...]:
        """All turns. `contents` may be a text, one content or a list of either."""
        rows = contents if isinstance(contents, list) else [contents]
        parts = [part for row in reading.objects_of(rows) for part in reading.objects_of(row.get("parts"))]
        calls = (reading.object_of(reading.member(part, "functionCall")) for part in parts)
        self._given = {reading.string_of(call.get("id")) for call in calls}
        turns: list[Turn] = []
        for number, row in enumerate(rows):
            at = f"contents[{number}]" if isinstance(contents, list) else "contents"
            turns.append(self._turn(row, at, turns[-1].role if turns else "assistant"))
        return tuple(turns)

    def _turn(self, row: Any, at: str, before: Role) -> Turn:
        if isinstance(row, str):
            return Turn("user", (Text(row),))
        if not isinstance(row, dict):
            raise reading.mismatch(at, "a content object or a string", row)
        parts = _rows_of(row, at)
        role = self._role(row.get("role"), at, parts, before)
        return Turn(role, _joined(part for i, raw in enumerate(parts) for part in self._part(raw, f"{at}.parts[{i}]")))

    def _role(self, role: Any, at: str, parts: list[Any], before: Role) -> Role:
        if role is None or role == "":
            held = reading.objects_of(parts)
            if any(reading.member(part, "functionCall") is not None for part in held):
                return "assistant"
            if any(reading.member(part, "functionResponse") is not None for part in held):
                return "user"
            return "assistant" if before == "user" else "user"
        known = _ROLES.get(reading.string_of(role))
        if known is None:
            raise reading.refuse(f"{at}.role", "please use a valid role: user, model")
        return known

    def _part(self, raw: Any, at: str) -> Iterator[Part]:
        if isinstance(raw, str):
            raw = {"text": raw}
        if not isinstance(raw, dict):
            raise reading.mismatch(at, "a part object", raw)
        if len(raw) == 1 and isinstance(text := raw.get("text"), str):
            yield Text(text)
            return
        signature = decode_signature(reading.member(raw, "thoughtSignature"))
        call, result = reading.mapping(raw, "functionCall", at), reading.mapping(raw, "functionResponse", at)
        if call is not None:
            yield self._call(call, f"{at}.functionCall", signature)
        elif result is not None:
            yield self._result(result)
        elif raw.get("text") is not None:
            text = reading.string(raw, "text", at)
            thought = raw.get("thought") is True
            yield decode_thought(text, reading.member(raw, "thoughtSignature")) if thought else Text(text, signature)
        elif not is_bare(raw):
            yield self._media(raw, at, signature) or opaque_part(raw)
        elif signature is not None:
            yield Thinking("", signature)

    def _media(self, raw: Json, at: str, signature: Signature | None) -> Media | None:
        if reading.member(raw, "inlineData") is None and reading.member(raw, "fileData") is None:
            return None
        media = decode_media(raw, signature)
        if media is None:
            raise reading.refuse(at, "expected inlineData with mimeType and base64 data, or fileData with fileUri")
        for name in _PART_EXTRAS:
            if (value := reading.member(raw, name)) is not None:
                self._unread.add(f"{at}.{name}", value)
        return media

    def _call(self, call: Json, at: str, signature: Signature | None) -> ToolCall:
        name, arguments = reading.required_string(call, "name", at), reading.mapping(call, "args", at) or {}
        decoded = ToolCall(
            id=reading.string_of(call.get("id")) or self._ids(name), name=name, arguments=arguments, signature=signature
        )
        self._waiting.append(decoded)
        return decoded

    def _ids(self, name: str) -> str:
        word = "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "_" for c in name)[:40]
        while True:
            self._made += 1
            identity = f"call_{self._made}_{word}"
            if identity not in self._given:
                return identity

    def _result(self, result: Json) -> ToolResult:
        name, given = reading.string_of(result.get("name")), reading.string_of(result.get("id"))
        call = self._answered(given, name)
        identity = call.id if call is not None else given or self._ids(name)
        parts, is_error = _answer(result.get("response"), name)
        parts += [media for raw in reading.objects_of(result.get("parts")) if (media := decode_media(raw))]
        return ToolResult(identity, tuple(parts), is_error=is_error, name=call.name if call is not None else name)

    def _answered(self, given: str, name: str) -> ToolCall | None:
        rows = (
            [call for call in self._waiting if given and call.id == given]
            or [call for call in self._waiting if call.name == name and (not given or call.id not in self._given)]
            or [call for call in self._waiting if not given]
        )
        if not rows:
            return None
        self._waiting.remove(rows[0])
        return rows[0]


def _joined(parts: Iterable[Part]) -> tuple[Part, ...]:
    """The parts with streamed pieces joined: thinking into one part, and a signature onto the text it followed."""
    joined: list[Part] = []
    for part in parts:
        last = joined[-1] if joined else None
        match last, part:
            case Thinking(signature=None, redacted=False), Thinking(redacted=False):
                joined[-1] = Thinking(last.text + part.text, part.signature)
            case Text(signature=None), Text(text="", signature=Signature()):
                joined[-1] = Text(last.text, part.signature)
            case _:
                joined.append(part)
    return tuple(joined)


def _rows_of(row: Json, at: str) -> list[Any]:
    parts = row.get("parts")
    if parts is None and "text" in row:
        return [{"text": row["text"]}]
    if isinstance(parts, dict | str):
        return [parts]
    return reading.array(row, "parts", at)


def _answer(response: Any, name: str) -> tuple[list[ResultPart], bool]:
    """A result's text. A lone `output`, `result` or `error` is replaced by its value, as is the AI SDK's `content`."""
    match response:
        case {"error": value} | {"output": value} | {"result": value} if len(response) == 1:
            pass
        case {"name": said, "content": value} if len(response) == 2 and said == name:
            pass
        case _:
            value = None if response == {} else response
    is_error = isinstance(response, dict) and response.keys() == {"error"}
    if value is None or value == "":
        return [], is_error
    return [Text(value if isinstance(value, str) else msgspec.json.encode(value).decode())], is_error


def decode_system(instruction: Any) -> tuple[Text, ...]:
    """The texts of a `systemInstruction`: a string, a content, a part, or a list of them."""
    if instruction is None:
        return ()
    if isinstance(instruction, str):
        return (Text(instruction),) if instruction else ()
    if isinstance(instruction, list):
        return tuple(text for row in instruction for text in decode_system(row))
    if not isinstance(instruction, dict):
        raise reading.mismatch("systemInstruction", "a content object or a string", instruction)
    rows = _rows_of(instruction, "systemInstruction")
    texts = [reading.string_of(row) or reading.string_of(reading.object_of(row).get("text")) for row in rows]
    return tuple(Text(text) for text in texts if text)


NO_OUTPUT = "(no output)"
"""Replaces an empty result: Gemini would make one up."""
ATTACHED = "(see the attached file)"
BLANK = " "
"""A text without content, where Gemini requires a user content."""


def objection(media: Media, capabilities: Capabilities) -> str:
    """Why media cannot be sent to Gemini; empty when they can."""
    if media.file_id:
        return "the file was uploaded to another vendor; Gemini cannot read it"
    if media.url and not fetchable(media.url):
        host = media.url.partition("://")[2].partition("/")[0]
        return f"Gemini does not fetch URLs, and bm could not fetch this one{f' from {host[:200]}' if host else ''}"
    return lacking(media, capabilities) if media.kind in ("image", "document") else ""


class TurnWriter:
    """Writes the contents of one request."""

    def __init__(self, capabilities: Capabilities) -> None:
        self._capabilities = capabilities
        self._signatures: set[tuple[str, str]] = set()

    def contents(self, request: ChatRequest, losses: list[Loss]) -> list[Json]:
        """The contents of all turns, neighbours of one role merged."""
        known = Expressible("gemini", lambda media: objection(media, self._capabilities), assistant_media=True)
        repaired = paired(inline_system(known.turns(request, losses)))
        current = _validated_from(repaired)
        rows: list[Json] = []
        for number, turn in enumerate(repaired):
            if turn.role == "assistant":
                role, parts = "model", self._model(turn.parts, validated=number >= current)
            else:
                role, parts = "user", self._user(turn.parts)
            if not parts:
                continue
            if rows and rows[-1]["role"] == role:
                rows[-1]["parts"] += parts
            else:
                rows.append({"role": role, "parts": parts})
        if not rows or rows[0]["role"] == "model":
            rows.insert(0, {"role": "user", "parts": [{"text": BLANK}]})
        return rows

    def _model(self, turn: tuple[Part, ...], *, validated: bool) -> list[Json]:
        on_calls = {s.spelling for p in turn if isinstance(p, ToolCall) and (s := self._accepted(p.signature))}
        parts: list[Json] = []
        carried: Signature | None = None
        first_call = True
        for part in turn:
            own = part.signature if isinstance(part, Text | Thinking | Media | ToolCall) else None
            signature = self._accepted(own) or carried
            if isinstance(part, Thinking):
                carried = signature
                continue
            carried = None
            if signature is not None and not isinstance(part, ToolCall) and signature.spelling in on_calls:
                signature = None
            value = self._once(signature)
            if isinstance(part, ToolCall):
                if value is None and first_call and validated and self._capabilities.signatures_required:
                    value = DUMMY
                first_call = False
            parts += self._written(part, value)
        return parts

    def _accepted(self, signature: Signature | None) -> Signature | None:
        return accepted(signature, "gemini", self._capabilities.family)

    def _once(self, signature: Signature | None) -> str | None:
        """The signature's value, unless it has been written: Gemini bills for each copy."""
        if signature is None or signature.spelling in self._signatures:
            return None
        self._signatures.add(signature.spelling)
        return signature.value

    def _written(self, part: Part, signature: str | None = None) -> list[Json]:
        """The part with its signature; none for an empty text without one."""
        match part:
            case Text(text=text) | Refusal(text=text):
                written: Json = {"text": text}
            case Media():
                written = encode_media(part)
            case ToolCall():
                written = {"functionCall": self._with_id({"name": part.name, "args": part.arguments}, part.id)}
            case Opaque(raw=raw):
                written = raw
            case _:
                return []
        if signature is not None:
            written = {**written, "thoughtSignature": signature}
        return [] if written == {"text": ""} else [written]

    def _user(self, parts: tuple[Part, ...]) -> list[Json]:
        """Function responses stand first, then what they had attached, then the rest."""
        results = [self._response(part) for part in parts if isinstance(part, ToolResult)]
        attached = [media for _, beside in results for media in beside]
        others = (part for part in parts if not isinstance(part, ToolResult | Thinking))
        said = [row for part in others for row in self._written(part)]
        return [*(response for response, _ in results), *attached, *said]

    def _response(self, result: ToolResult) -> tuple[Json, list[Json]]:
        media = [part for part in result.parts if isinstance(part, Media)]
        within = [p for p in media if self._capabilities.media_in_results and p.data and type_of(p) in RESULT_TYPES]
        # Always a string: an object holding `$ref` would be read as a pointer into the response's parts.
        said = "\n".join(result.texts) or (ATTACHED if media else NO_OUTPUT)
        response: Json = {"name": result.name, "response": {"error" if result.is_error else "output": said}}
        if within:
            response["parts"] = [encode_media(part) for part in within]
        beside = [encode_media(part) for part in media if part not in within]
        return {"functionResponse": self._with_id(response, result.call_id)}, beside

    def _with_id(self, obj: Json, call_id: str) -> Json:
        return {"id": call_id, **obj} if self._capabilities.call_ids and call_id else obj


def _validated_from(turns: tuple[Turn, ...]) -> int:
    """The index of the first turn whose calls must be signed: Gemini 3 begins after the last question.

    A user turn with results is no new question, whatever else it contains: tools put reminders and pictures beside
    their results.
    """
    asked = (not any(isinstance(part, ToolResult) for part in turn.parts) for turn in turns)
    return max((at + 1 for at, new in enumerate(asked) if new and turns[at].role == "user"), default=0)
