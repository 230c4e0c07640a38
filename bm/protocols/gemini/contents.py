"""A client's `contents` and `systemInstruction` as turns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from bm.chat.parts import Json, Media, Opaque, Part, Text, Thinking, ToolCall, ToolResult
from bm.chat.request import Extra, Role, Turn
from bm.chat.signature import Signature
from bm.protocols.gemini.casing import member
from bm.protocols.gemini.media import decode_file, decode_inline
from bm.protocols.gemini.opaque import opaque_part
from bm.protocols.gemini.refusing import expected, refused
from bm.protocols.gemini.signatures import decode_signature, decode_thought

_ROLES: dict[str, Role] = {"user": "user", "model": "assistant", "function": "user", "tool": "user"}
_PART_EXTRAS = ("videoMetadata", "mediaResolution", "partMetadata")


class ContentReader:
    """Reads contents in order. Calls and results without ids are paired by name, first in first out, then by place.

    Ids that the client did not give are made from the position, so that the same conversation has the same ids again.
    """

    def __init__(self) -> None:
        self.extras: list[Extra] = []
        self._waiting: list[ToolCall] = []
        self._given: set[str] = set()
        self._minted = 0

    def turns(self, contents: Any) -> tuple[Turn, ...]:
        """All turns. `contents` may be a text, one content or a list of either."""
        rows = contents if isinstance(contents, list) else [contents]
        self._given = set(_given_ids(rows))
        turns: list[Turn] = []
        for number, row in enumerate(rows):
            at = f"contents[{number}]" if isinstance(contents, list) else "contents"
            turns.append(self._turn(row, at, turns[-1].role if turns else "assistant"))
        return tuple(turns)

    def _turn(self, row: Any, at: str, before: Role) -> Turn:
        if isinstance(row, str):
            return Turn("user", (Text(row),))
        if not isinstance(row, dict):
            raise expected(at, "a content object or a string", row)
        parts = _rows_of(row, at)
        role = self._role(row.get("role"), at, parts, before)
        return Turn(role, _joined(part for i, raw in enumerate(parts) for part in self._part(raw, f"{at}.parts[{i}]")))

    def _role(self, role: Any, at: str, parts: list[Any], before: Role) -> Role:
        if role is None or role == "":
            held = [part for part in parts if isinstance(part, dict)]
            if any(member(part, "functionCall") is not None for part in held):
                return "assistant"
            if any(member(part, "functionResponse") is not None for part in held):
                return "user"
            return "assistant" if before == "user" else "user"
        known = _ROLES.get(role) if isinstance(role, str) else None
        if known is None:
            raise refused(f"{at}.role", "please use a valid role: user, model")
        return known

    def _part(self, raw: Any, at: str) -> Iterator[Part]:
        if isinstance(raw, str):
            raw = {"text": raw}
        if not isinstance(raw, dict):
            raise expected(at, "a part object", raw)
        signature = decode_signature(member(raw, "thoughtSignature"))
        call, result = member(raw, "functionCall"), member(raw, "functionResponse")
        if call is not None:
            yield self._call(call, f"{at}.functionCall", raw)
        elif result is not None:
            yield self._result(result, f"{at}.functionResponse")
        elif isinstance(raw.get("text"), str):
            text = raw["text"]
            thought = raw.get("thought") is True
            yield decode_thought(text, member(raw, "thoughtSignature")) if thought else Text(text, signature)
        elif raw.get("text") is not None:
            raise expected(f"{at}.text", "a string", raw["text"])
        elif "thoughtSignature" in raw or "thought_signature" in raw:
            yield Thinking("", signature) if _is_bare(raw) else opaque_part(raw)
        elif not _is_bare(raw):
            yield self._media(raw, at) or opaque_part(raw)

    def _media(self, raw: Json, at: str) -> Media | None:
        inline, file = member(raw, "inlineData"), member(raw, "fileData")
        if inline is None and file is None:
            return None
        media = decode_inline(inline) if inline is not None else decode_file(file)
        if media is None:
            wanted = "inlineData with mimeType and base64 data" if inline is not None else "fileData with fileUri"
            raise refused(at, f"expected {wanted}")
        for name in _PART_EXTRAS:
            if (value := member(raw, name)) is not None:
                self.extras.append(Extra("gemini", f"{at}.{name}", value))
        return media

    def _call(self, call: Any, at: str, raw: Json) -> ToolCall:
        if not isinstance(call, dict) or not isinstance(call.get("name"), str):
            raise expected(f"{at}.name", "the function's name", call.get("name") if isinstance(call, dict) else call)
        arguments = call.get("args")
        if arguments is not None and not isinstance(arguments, dict):
            raise expected(f"{at}.args", "an object", arguments)
        name, given = call["name"], call.get("id")
        decoded = ToolCall(
            id=given if isinstance(given, str) and given else self._ids(name),
            name=name,
            arguments=arguments or {},
            raw=msgspec.json.encode(arguments or {}).decode(),
            signature=decode_signature(member(raw, "thoughtSignature")),
        )
        self._waiting.append(decoded)
        return decoded

    def _ids(self, name: str) -> str:
        word = "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "_" for c in name)[:40]
        while True:
            self._minted += 1
            identity = f"call_{self._minted}_{word}"
            if identity not in self._given:
                return identity

    def _result(self, result: Any, at: str) -> ToolResult:
        if not isinstance(result, dict):
            raise expected(at, "an object", result)
        name = result.get("name")
        name = name if isinstance(name, str) else ""
        given = result.get("id")
        call = self._answered(given if isinstance(given, str) else "", name)
        identity = call.id if call is not None else given if isinstance(given, str) and given else self._ids(name)
        parts, is_error = _answer(result.get("response"), name)
        attached = result.get("parts")
        for raw in attached if isinstance(attached, list) else ():
            inline = member(raw, "inlineData") if isinstance(raw, dict) else None
            file = member(raw, "fileData") if isinstance(raw, dict) else None
            media = decode_inline(inline) or decode_file(file)
            if media is not None:
                parts.append(media)
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
    """The parts with streamed pieces put together: thinking in one, and a signature on what it came behind."""
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


def _given_ids(rows: list[Any]) -> Iterator[str]:
    for row in rows:
        parts = row.get("parts") if isinstance(row, dict) else None
        for part in parts if isinstance(parts, list) else ():
            held = member(part, "functionCall") if isinstance(part, dict) else None
            if isinstance(held, dict) and isinstance(held.get("id"), str) and held["id"]:
                yield held["id"]


def _rows_of(row: Json, at: str) -> list[Any]:
    parts = row.get("parts")
    if parts is None and "text" in row:
        return [{"text": row["text"]}]
    if isinstance(parts, dict | str):
        return [parts]
    if parts is None:
        return []
    if not isinstance(parts, list):
        raise expected(f"{at}.parts", "a list of parts", parts)
    return parts


def _is_bare(raw: Json) -> bool:
    """Whether a part holds nothing but marks."""
    return raw.keys() <= {"thought", "thoughtSignature", "thought_signature", "text"}


def _answer(response: Any, name: str) -> tuple[list[Text | Media | Opaque], bool]:
    """A result's text. `output`, `result` and `error` alone stand for their value, as does the AI SDK's `content`."""
    is_error = False
    value = response
    if isinstance(response, dict):
        match response:
            case {"error": inner} if len(response) == 1:
                value, is_error = inner, True
            case {"output": inner} | {"result": inner} if len(response) == 1:
                value = inner
            case {"name": said, "content": inner} if len(response) == 2 and said == name:
                value = inner
            case {}:
                value = response or None
    if value is None or value == "":
        return [], is_error
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return [Text(text)], is_error


def system_texts(instruction: Any) -> tuple[Text, ...]:
    """The texts of a `systemInstruction`: a string, a content, a part, or a list of them."""
    if instruction is None:
        return ()
    if isinstance(instruction, str):
        return (Text(instruction),) if instruction else ()
    if isinstance(instruction, list):
        return tuple(text for row in instruction for text in system_texts(row))
    if not isinstance(instruction, dict):
        raise expected("systemInstruction", "a content object or a string", instruction)
    rows = _rows_of(instruction, "systemInstruction")
    texts = [row if isinstance(row, str) else row.get("text") if isinstance(row, dict) else None for row in rows]
    return tuple(Text(text) for text in texts if isinstance(text, str) and text)
