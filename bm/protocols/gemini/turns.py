"""Turns as `contents`: calls answered at once, signatures in their places, nothing that Gemini refuses."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from urllib.parse import urlsplit

from bm.chat.capabilities import Capabilities
from bm.chat.parts import Json, Media, Opaque, Part, Refusal, Text, Thinking, ToolCall, ToolResult
from bm.chat.repair import inline_system, paired
from bm.chat.request import ChatRequest, Loss, Turn
from bm.chat.signature import Signature
from bm.errors import RequestError
from bm.protocols.gemini.media import RESULT_TYPES, encode_media, fetchable, mime_of
from bm.protocols.gemini.refusing import place, refused
from bm.protocols.gemini.signatures import DUMMY, is_ours, spelling

NO_OUTPUT = "(no output)"
"""Stands for an empty result: Gemini makes one up otherwise."""
ATTACHED = "(see the attached file)"
BLANK = " "
"""A text that says nothing, where Gemini demands a user content."""


def check_parts(request: ChatRequest, capabilities: Capabilities) -> Iterator[Loss]:
    """What of the request's parts cannot be carried.

    Raises:
        RequestError: a part cannot be left out without changing the meaning.
    """
    for number, turn in enumerate(request.turns):
        for index, part in enumerate(turn.parts):
            at = place(request, number, index)
            yield from _check(part, at, capabilities)
            for inner in part.parts if isinstance(part, ToolResult) else ():
                yield from _check(inner, f"{at} (tool result)", capabilities)


def _check(part: Part, at: str, capabilities: Capabilities) -> Iterator[Loss]:
    match part:
        case Opaque(protocol=protocol, kind=kind, summary=summary):
            if protocol != "gemini" and not summary:
                yield Loss(f"{at} ({kind})", "Gemini has no such part")
        case Media():
            error = _unusable(part, at, capabilities)
            if error is not None:
                raise error
        case _:
            pass


def _unusable(media: Media, at: str, capabilities: Capabilities) -> RequestError | None:
    if media.file_id:
        return refused(at, "the file was uploaded to another vendor; Gemini cannot read it")
    if media.url and not fetchable(media.url):
        host = urlsplit(media.url).netloc
        origin = f" from {host[:200]}" if host else ""
        return refused(at, f"Gemini does not fetch URLs, and bm could not fetch this one{origin}")
    refuses = {"image": not capabilities.images, "document": not (capabilities.documents or media.text)}
    if refuses.get(media.kind):
        return refused(at, f"this model does not take {media.kind}s")
    return None


class ContentWriter:
    """Writes the contents of one request."""

    def __init__(self, capabilities: Capabilities) -> None:
        self._capabilities = capabilities
        self._written: set[str] = set()

    def contents(self, turns: tuple[Turn, ...]) -> list[Json]:
        """The contents of all turns, neighbours of one role merged."""
        repaired = paired(inline_system(turns))
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
        on_calls = {spelling(s) for p in turn if isinstance(p, ToolCall) and (s := p.signature) and self._is_ours(s)}
        parts: list[Json] = []
        carried: Signature | None = None
        first_call = True
        for part in turn:
            own = part.signature if isinstance(part, Text | Thinking | Media | ToolCall) else None
            if isinstance(part, Thinking):
                carried = own if self._is_ours(own) else carried
                continue
            signature = own if self._is_ours(own) else carried
            carried = None
            if signature is not None and not isinstance(part, ToolCall) and spelling(signature) in on_calls:
                signature = None
            value = self._once(signature)
            if isinstance(part, ToolCall):
                if value is None and first_call and validated and self._capabilities.signatures_required:
                    value = DUMMY
                first_call = False
            parts += self._signed(part, value)
        return parts

    def _is_ours(self, signature: Signature | None) -> bool:
        return is_ours(signature, self._capabilities)

    def _once(self, signature: Signature | None) -> str | None:
        """The signature's value, unless it has been written: Gemini bills for each copy."""
        if signature is None or spelling(signature) in self._written:
            return None
        self._written.add(spelling(signature))
        return signature.value

    def _signed(self, part: Part, signature: str | None) -> Iterator[Json]:
        for encoded in self._plain(part, keep_empty=signature is not None):
            yield encoded if signature is None else {**encoded, "thoughtSignature": signature}

    def _plain(self, part: Part, *, keep_empty: bool = False) -> Iterator[Json]:
        match part:
            case Text(text=text) | Refusal(text=text):
                if text or keep_empty:
                    yield {"text": text}
            case Media():
                yield encode_media(part)
            case ToolCall():
                call: Json = {"name": part.name, "args": part.arguments}
                yield {"functionCall": self._with_id(call, part.id)}
            case Opaque(protocol="gemini", raw=raw):
                yield raw
            case Opaque(summary=summary) if summary:
                yield {"text": summary}
            case _:
                pass

    def _user(self, parts: tuple[Part, ...]) -> list[Json]:
        """Function responses stand first, then what they had attached, then the rest."""
        responses: list[Json] = []
        rest: list[Json] = []
        for part in parts:
            if isinstance(part, ToolResult):
                response, attached = self._response(part)
                responses.append(response)
                rest += attached
        for part in parts:
            if not isinstance(part, ToolResult | Thinking):
                rest += self._plain(part)
        return responses + rest

    def _response(self, result: ToolResult) -> tuple[Json, list[Json]]:
        media = [part for part in result.parts if isinstance(part, Media) and not part.text]
        within = [p for p in media if self._capabilities.media_in_results and p.data and mime_of(p) in RESULT_TYPES]
        text = "\n".join(_texts(result))
        # Always a string: an object holding `$ref` would be read as a pointer into the response's parts.
        said = text or (ATTACHED if media else NO_OUTPUT)
        response: Json = {"name": result.name, "response": {"error" if result.is_error else "output": said}}
        if within:
            response["parts"] = [encode_media(part) for part in within]
        beside = [encode_media(part) for part in media if part not in within]
        return {"functionResponse": self._with_id(response, result.call_id)}, beside

    def _with_id(self, obj: Json, call_id: str) -> Json:
        return {"id": call_id, **obj} if self._capabilities.call_ids and call_id else obj


def _texts(result: ToolResult) -> Iterator[str]:
    for part in result.parts:
        match part:
            case Text(text=text) if text:
                yield text
            case Media(text=text) if text:
                yield encode_media(part)["text"]
            case Opaque(summary=summary) if summary:
                yield summary
            case _:
                pass


def _validated_from(turns: tuple[Turn, ...]) -> int:
    """The index of the first turn whose calls must be signed: Gemini 3 begins after the last question.

    Neighbouring user turns become one content, and one that holds results asks nothing new whatever else it says: tools
    put reminders and pictures beside their results.
    """
    start = 0
    for is_model, group in groupby(enumerate(turns), key=lambda each: each[1].role == "assistant"):
        neighbours = list(group)
        answers = any(isinstance(part, ToolResult) for _, turn in neighbours for part in turn.parts)
        if not is_model and not answers:
            start = neighbours[-1][0] + 1
    return start
