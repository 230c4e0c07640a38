"""Applies remedies to a wire body."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Final

import msgspec

from bm.chat.parts import Json
from bm.chat.request import Loss
from bm.names import ProtocolName
from bm.remedies import formats, members, thinking, tools, turns
from bm.remedies.remedy import Remedy

Operation = Callable[[Json, Remedy, ProtocolName], bool]
"""Changes a body in place; returns whether there was anything to change."""

OPERATIONS: Final[Mapping[str, Operation]] = {
    operation.__name__: operation
    for operation in (
        members.drop,
        members.rename,
        members.put,
        members.replace,
        members.level,
        members.avoid,
        members.clamp,
        members.whole,
        members.as_list,
        members.make_room,
        members.shorten,
        members.leave_out,
        members.drop_blank,
        tools.choose_freely,
        tools.choose_by_word,
        tools.drop_choice,
        tools.drop_tool,
        tools.not_strict,
        tools.fewer_tools,
        tools.simplify_schemas,
        tools.as_json_schema,
        tools.add_properties,
        tools.complete_schemas,
        tools.type_into_branches,
        tools.add_types,
        tools.shorten_call_ids,
        tools.arguments_as_objects,
        tools.declare_called,
        turns.go_on,
        turns.begin_with_user,
        turns.trim_end,
        turns.move_system,
        turns.system_as_user,
        turns.merge_roles,
        turns.part_after_results,
        turns.one_call_each,
        turns.drop_empty,
        turns.drop_nulls,
        turns.plain_text,
        thinking.adaptive,
        thinking.budgeted,
        thinking.think_least,
        thinking.not_between_tools,
        thinking.no_thinking,
        thinking.smaller_budget,
        thinking.strip_thinking,
        thinking.drop_item_ids,
        thinking.not_encrypted,
        thinking.send_reasoning,
        thinking.not_both,
        thinking.stand_in_signatures,
        formats.weaken,
        formats.say_json,
        formats.name_format,
        formats.describe_keywords,
    )
}

SPEAK: Final = "speak"
"""No operation on a body: the request is written for the protocol in `values`."""
REWRITE: Final = "rewrite"
"""No operation on a body: the request does not pass through, but is translated to what the service takes."""

DROP_VALUES: Final = "drop_values"
"""No operation on a body: values are taken out of the list in the header that `path` names."""

_LOSES: Final[Mapping[str, str]] = {
    "drop": "",
    DROP_VALUES: "",
    "shorten": "",
    "clamp": "",
    "make_room": "max_tokens",
    "level": "",
    "avoid": "",
    "fewer_tools": "tools",
    "drop_tool": "tools",
    "leave_out": "",
    "not_both": "messages.*.reasoning_content",
    "choose_freely": "tool_choice",
    "weaken": "response_format",
    "not_strict": "tools.*.strict",
    "no_thinking": "thinking",
    "think_least": "thinking",
    "strip_thinking": "messages.*.thinking",
    "simplify_schemas": "tools",
    "go_on": "messages",
}
"""Operations that take something of the request's meaning: the field they take it from, where they have no path."""


def loss_of(remedy: Remedy) -> Loss | None:
    """What a request loses by a remedy; None where its meaning stays."""
    if remedy.operation not in _LOSES:
        return None
    field = remedy.path or _LOSES[remedy.operation]
    return Loss(field, f"refused by the model: {remedy.reason}" if remedy.reason else "refused by the model")


def treated(body: bytes, remedies: Iterable[Remedy], protocol: ProtocolName) -> tuple[bytes, tuple[Remedy, ...]]:
    """The body after all remedies, and those that changed it; the same bytes where none did.

    A body that is nested too deeply stays as it is.
    """
    try:
        document: Json = msgspec.json.decode(body)
        document = members.in_camel_case(document) if protocol == "gemini" else document
        known = [remedy for remedy in remedies if remedy.operation in OPERATIONS]
        effective = tuple(remedy for remedy in known if OPERATIONS[remedy.operation](document, remedy, protocol))
        return (msgspec.json.encode(document), effective) if effective else (body, ())
    except RecursionError:
        return body, ()


def without_values(
    headers: Sequence[tuple[str, str]], remedies: Iterable[Remedy]
) -> tuple[list[tuple[str, str]], tuple[Remedy, ...]]:
    """The headers without the values that a service does not know, and the remedies that changed them."""
    changed, effective = list(headers), []
    for remedy in (remedy for remedy in remedies if remedy.operation == DROP_VALUES):
        before = changed
        changed = [(name, _without(value, remedy) if name == remedy.path else value) for name, value in before]
        changed = [(name, value) for name, value in changed if value or name != remedy.path]
        effective += [remedy] if changed != before else []
    return changed, tuple(effective)


def _without(value: str, remedy: Remedy) -> str:
    values = map(str.strip, value.split(","))
    kept = [each for each in values if not any(fnmatchcase(each, refused) for refused in remedy.values)]
    return value if len(kept) == len(value.split(",")) else ",".join(kept)
