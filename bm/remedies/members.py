"""Members of a wire body: found by the place a refusal names, dropped, renamed, set to a value that is taken."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

from bm.chat.parts import Json
from bm.chat.request import LEVELS, ULTRA
from bm.names import ProtocolName
from bm.protocols.reading import camel, snake
from bm.remedies.remedy import Remedy

SCALE: Sequence[str] = ("none", *LEVELS[1:], ULTRA)
"""Levels of thinking in every vendor's words, rising."""
COMMON = ("low", "medium", "high")
"""The levels that are left to try where a refusal lists none."""
EFFORTS = (
    "reasoning_effort",
    "reasoning.effort",
    "output_config.effort",
    "generationConfig.thinkingConfig.thinkingLevel",
)
"""Where the protocols hold a level of thinking."""
SAMPLING = (
    "temperature", "top_p", "top_k", "generationConfig.temperature", "generationConfig.topP", "generationConfig.topK"
)  # fmt: skip
"""Where the protocols hold how words are chosen."""
ANSWER_LENGTHS = ("max_tokens", "max_completion_tokens", "max_output_tokens", "generationConfig.maxOutputTokens")
"""Where the protocols hold the most tokens of an answer."""

_NESTS = ("generationConfig", "generationConfig.thinkingConfig", "output_config", "thinking", "reasoning", "text")
"""Objects whose members a refusal may name without them."""
_KEPT = frozenset({
    "model", "messages", "contents", "input", "system", "instructions", "systemInstruction", "role", "content",
    "parts", "type", "text", "name", "id", "call_id", "tool_use_id", "tool_call_id", "tool_calls", "tools",
    "function", "functionCall", "functionResponse", "arguments", "output", "source", "file", "file_data", "image",
    "image_url", "input_audio", "inlineData", "fileData", "data", "url", "document", "image_source", "stream",
    "parameters", "input_schema", "parametersJsonSchema", "functionDeclarations", "response_format", "schema",
    "json_schema"
})  # fmt: skip
"""Members that hold what the request is about: it would be another request without them."""
_SPOTS = (
    "messages.*",
    "messages.*.content.*",
    "messages.*.tool_calls.*",
    "input.*",
    "input.*.content.*",
    "contents.*.parts.*",
    "tools.*",
    "tools.*.function",
    "system.*",
)
_CLIENTS_OWN = frozenset({
    "args", "response", "labels", "parameters", "parametersJsonSchema", "responseJsonSchema", "_responseJsonSchema",
    "responseSchema"
})  # fmt: skip
"""Members of Gemini's requests that hold names of the client's."""
_TYPES = frozenset({"list", "dict", "str", "int", "float", "bool"})
"""What pydantic says at the end of a place in a union: `stop.list[str]`."""
_TOKEN = re.compile(r"[\w$@-]+")


def place(body: Json, written: str) -> str:
    """The path of the member that a refusal names, with `*` for indexes; empty where the body has no such member.

    Steps that are not in the body are passed over: `body`, `GenerateContentRequest`, and the types of union members
    that pydantic names (`messages.2.assistant.reasoning_content`, `tools.0.custom.name`).
    """
    steps = [step for step in _TOKEN.findall(written) if step not in _TYPES]
    for nest in ("", *_NESTS) if len(steps) == 1 else ("",):
        node, path = next(members(body, nest), None) if nest else body, nest.split(".") if nest else []
        found = _walk(node, steps, path)
        if found:
            return found
    return ""


def _walk(node: Any, steps: Sequence[str], path: list[str]) -> str:
    path = list(path)
    for at, step in enumerate(steps):
        if isinstance(node, list) and step.isdecimal() and int(step) < len(node):
            node = node[int(step)]
            path.append("*")
            continue
        key = next((name for name in (step, snake(step), camel(step)) if isinstance(node, dict) and name in node), None)
        if key is not None:
            node = node[key]
            path.append(key)
        elif at == len(steps) - 1:
            return ""
    return ".".join(path)


def spots(body: Json, name: str) -> str:
    """The path of the messages, parts or tools that have a member of this name; empty where none has it."""
    return first(body, [f"{spot}.{name}" for spot in _SPOTS])


def in_camel_case(body: Json) -> Json:
    """A body of Gemini with the names of its members in camelCase; names that are a client's own stay."""
    return {
        (name := camel(key)): value if name in _CLIENTS_OWN else _in_camel_case(value) for key, value in body.items()
    }


def _in_camel_case(value: Any) -> Any:
    if isinstance(value, list):
        return [_in_camel_case(each) for each in value]
    return in_camel_case(value) if isinstance(value, dict) else value


def owners(body: Json, path: str) -> Iterator[tuple[Any, str]]:
    """The objects that have the last member of `path`, each with the name of that member."""
    *steps, last = path.split(".")
    nodes: list[Any] = [body]
    for step in steps:
        nodes = [inner for node in nodes for inner in _inner(node, step)]
    for node in nodes:
        if isinstance(node, dict) and last in node:
            yield node, last


def _inner(node: Any, step: str) -> list[Any]:
    if step == "*":
        return node if isinstance(node, list) else []
    return [node[step]] if isinstance(node, dict) and step in node else []


def members(body: Json, path: str) -> Iterator[Any]:
    """The values at a path."""
    return (owner[name] for owner, name in owners(body, path))


def first(body: Json, paths: Sequence[str]) -> str:
    """The first of the paths that the body has; empty where it has none."""
    return next((path for path in paths if next(owners(body, path), None)), "")


def may_go(path: str) -> bool:
    """Whether a member can be dropped: it is an option, and not what the request is about."""
    above, _, last = path.rpartition(".")
    if path == "messages.*.name" or (last == "id" and above.endswith(("functionCall", "functionResponse"))):
        return True
    return bool(path) and last not in _KEPT and last != "*"


def drop(body: Json, remedy: Remedy, protocol: ProtocolName) -> bool:
    """Drop a member wherever it stands, and an option's object that is empty without it."""
    found = list(owners(body, remedy.path)) if may_go(remedy.path) else []
    for owner, name in found:
        del owner[name]
    above = remedy.path.rpartition(".")[0]
    if found and above and "*" not in above and may_go(above) and next(members(body, above), None) == {}:
        drop(body, Remedy("drop", above), protocol)
    return bool(found)


def rename(body: Json, remedy: Remedy, protocol: ProtocolName) -> bool:
    """Give a member another name in the same object. Where a member has that name already, its value holds.

    Tools send both `max_tokens` and `max_completion_tokens`, as services differ in which they take.
    """
    (new,) = remedy.values
    found = list(owners(body, remedy.path))
    for owner, name in found:
        value = owner.pop(name)
        if owner.get(new) is None:
            owner[new] = value
    return bool(found)


def put(body: Json, remedy: Remedy, protocol: ProtocolName) -> bool:
    """Set a member, in an object that may have to be made, to a value."""
    *steps, last = remedy.path.split(".")
    node = body
    for step in steps:
        inner = node.setdefault(step, {})
        if not isinstance(inner, dict):
            return False
        node = inner
    (value,) = remedy.values
    changed: bool = node.get(last) != value
    node[last] = value
    return changed


def replace(body: Json, remedy: Remedy, protocol: ProtocolName) -> bool:
    """Put the second value wherever a member has the first."""
    old, new = remedy.values
    found = [(owner, name) for owner, name in owners(body, remedy.path) if owner[name] == old]
    for owner, name in found:
        owner[name] = new
    return bool(found)


def level(body: Json, remedy: Remedy, protocol: ProtocolName) -> bool:
    """Choose the nearest of the levels that the model takes."""
    taken = {str(value).lower() for value in remedy.values}
    return _leveled(body, remedy.path, remedy.values, lambda word: word in taken)


def avoid(body: Json, remedy: Remedy, protocol: ProtocolName) -> bool:
    """Choose another level than those the model does not take."""
    refused = {str(value).lower() for value in remedy.values}
    left = tuple(name for name in COMMON if name not in refused)
    return _leveled(body, remedy.path, left, lambda word: word not in refused)


def _leveled(body: Json, path: str, levels: Sequence[str], fits: Callable[[str], bool]) -> bool:
    changed = False
    for owner, name in list(owners(body, path)):
        now = str(owner[name])
        new = None if fits(now.lower()) else nearest(now, levels)
        if new is not None:
            owner[name] = new.upper() if now.isupper() else new
            changed = True
    return changed


def nearest(wanted: str, levels: Sequence[str]) -> str | None:
    """The level nearest to the one that is wanted, the higher of two; None where nothing is known of either."""
    order = {name: at for at, name in enumerate(SCALE)}
    known = [name for name in levels if name.lower() in order]
    if wanted.lower() not in order or not known:
        return None
    at = order[wanted.lower()]
    return min(known, key=lambda name: (abs(order[name.lower()] - at), -order[name.lower()]))


def clamp(body: Json, remedy: Remedy, protocol: ProtocolName) -> bool:
    """Bring a number within its range; either end may be None."""
    least, most = remedy.values
    changed = False
    for owner, name in list(owners(body, remedy.path)):
        now = owner[name]
        if not isinstance(now, int | float) or isinstance(now, bool):
            continue
        new = now if least is None else max(now, least)
        new = new if most is None else min(new, most)
        if new != now:
            owner[name] = int(new) if isinstance(now, int) and float(new).is_integer() else new
            changed = True
    return changed


def whole(body: Json, remedy: Remedy, protocol: ProtocolName) -> bool:
    """Round a number."""
    found = [(owner, name) for owner, name in owners(body, remedy.path) if isinstance(owner[name], float)]
    for owner, name in found:
        owner[name] = round(owner[name])
    return bool(found)


def as_list(body: Json, remedy: Remedy, protocol: ProtocolName) -> bool:
    """Put a text into a list."""
    found = [(owner, name) for owner, name in owners(body, remedy.path) if isinstance(owner[name], str)]
    for owner, name in found:
        owner[name] = [owner[name]]
    return bool(found)


def make_room(body: Json, remedy: Remedy, protocol: ProtocolName) -> bool:
    """Lower the answer's length to what the context leaves beside the prompt, which is estimated where not counted."""
    context, prompt = remedy.values
    if not prompt:
        prompt = len(str(body)) // 3  # more than most prompts have
    room = int(context) - int(prompt)
    path = first(body, ANSWER_LENGTHS)
    if not path or room < 1 or (not remedy.values[1] and room < int(context) // 4):
        return False
    return clamp(body, Remedy("clamp", path, (None, room)), protocol)


def shorten(body: Json, remedy: Remedy, protocol: ProtocolName) -> bool:
    """Cut a list, an object or a text to the length that is taken."""
    (most,) = remedy.values
    found = [
        (owner, name)
        for owner, name in owners(body, remedy.path)
        if isinstance(owner[name], str | list | dict) and len(owner[name]) > most
    ]
    for owner, name in found:
        whole = owner[name]
        owner[name] = dict(islice(whole.items(), most)) if isinstance(whole, dict) else whole[:most]
    return bool(found)


def leave_out(body: Json, remedy: Remedy, protocol: ProtocolName) -> bool:
    """Take values out of a list, and the list if nothing is left."""
    changed = False
    for owner, name in list(owners(body, remedy.path)):
        if isinstance(given := owner[name], list):
            owner[name] = [each for each in given if each not in remedy.values]
            changed = changed or owner[name] != given
            if not owner[name]:
                del owner[name]
    return changed


def drop_blank(body: Json, remedy: Remedy, protocol: ProtocolName) -> bool:
    """Take blank texts out of a list, and the list if nothing is left."""
    changed = False
    for owner, name in list(owners(body, remedy.path)):
        kept = [each for each in owner[name] if each.strip()] if isinstance(owner[name], list) else owner[name]
        changed = changed or kept != owner[name]
        owner[name] = kept
        if not kept:
            del owner[name]
    return changed
