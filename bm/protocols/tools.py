"""Tools in all protocols: legal names and call ids, one call at most, web search."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping
from functools import lru_cache
from itertools import count

import msgspec

from bm.chat.events import Event, PartAnnotation, PartDelta, PartEnd, PartSignature, PartStart
from bm.chat.parts import Json, Part, ToolCall, ToolResult
from bm.chat.request import ChatRequest, HostedTool, Loss, Tool, Turn
from bm.names import ProtocolName
from bm.protocols.ignorable_fields import lost_tool_fields
from bm.protocols.json_schema.subsets import CUSTOM_TOOL
from bm.protocols.reading import json_of, member, object_of, string_of


class Rule(msgspec.Struct, frozen=True):
    """What a protocol allows in a name: a pattern for the whole name, one for characters to replace, and the length."""

    legal: re.Pattern[str]
    illegal: re.Pattern[str]
    length: int


_NAMESPACE = re.compile(r"^(?:functions|default_api)[.:]")
_NAMED = (ToolCall, ToolResult)
"""The parts that name a tool."""
_WORD = Rule(re.compile(r"[a-zA-Z0-9_-]{1,64}"), re.compile(r"[^a-zA-Z0-9_-]"), 64)
RULES: dict[ProtocolName, Rule] = {
    "anthropic": Rule(re.compile(r"[a-zA-Z0-9_-]{1,128}"), _WORD.illegal, 128),
    "openai-chat": _WORD,
    "openai-responses": _WORD,
    "gemini": Rule(re.compile(r"[a-zA-Z_][a-zA-Z0-9_.-]{0,63}"), re.compile(r"[^a-zA-Z0-9_.-]"), 64),
}
"""Gemini takes 128 characters on its newer models; 64 is safe on all."""


def with_legal_names(request: ChatRequest, protocol: ProtocolName) -> tuple[ChatRequest, dict[str, str]]:
    """Give every tool a name of its own that `protocol` takes, in definitions, choice and history alike.

    Returns the request and the map from the new names back to the client's; the map is empty when all were legal.
    """
    rule = RULES[protocol]
    request, doubles = _with_unique_names(request)
    reverse = renamings(_all_names(request), rule)
    if not reverse:
        return request, doubles
    forward = {old: new for new, old in reverse.items()}
    choice = request.tool_choice
    renamed = msgspec.structs.replace(
        request,
        tools=tuple(msgspec.structs.replace(t, name=forward.get(t.name, t.name)) for t in request.tools),
        tool_choice=msgspec.structs.replace(choice, names=tuple(forward.get(n, n) for n in choice.names)),
        turns=tuple(Turn(turn.role, tuple(_renamed(part, forward) for part in turn.parts)) for turn in request.turns),
    )
    return renamed, {**doubles, **{new: doubles.get(old, old) for new, old in reverse.items()}}


def _with_unique_names(request: ChatRequest) -> tuple[ChatRequest, dict[str, str]]:
    """The request with each tool once, and the client's names of those that shared theirs with a different tool."""
    taken: dict[str, Tool | None] = {hosted.kind: None for hosted in request.hosted_tools}
    if len({tool.name for tool in request.tools} - taken.keys()) == len(request.tools):
        return request, {}
    names: dict[str, str] = {}
    for tool in request.tools:
        if tool.name not in taken:
            taken[tool.name] = tool
        elif taken[tool.name] != tool and tool not in taken.values():
            other = next(name for n in count(2) if (name := f"{tool.name}_{n}") not in taken)
            taken[other], names[other] = msgspec.structs.replace(tool, name=other), tool.name
    tools = tuple(tool for tool in taken.values() if tool is not None)
    return msgspec.structs.replace(request, tools=tools), names


def most_used(request: ChatRequest, most: int, losses: list[Loss]) -> tuple[Tool, ...]:
    """At most so many of the request's tools, 0 = all: those it forces and has called before, then the first others."""
    tools = request.tools
    if not most or len(tools) <= most:
        return tools
    used = {part.name for turn in request.turns for part in turn.parts if isinstance(part, ToolCall)}
    used.update(request.tool_choice.names)
    ranked = sorted(range(len(tools)), key=lambda index: (tools[index].name not in used, index))
    losses.append(Loss(f"tools[{most}:]", f"the service takes {most} tools; {len(tools) - most} are left out"))
    return tuple(tools[index] for index in sorted(ranked[:most]))


def restore(event: Event, names: Mapping[str, str]) -> Event:
    """The event with the client's own tool name. `names` holds it for each tool that the model knows."""
    if not isinstance(event, PartStart) or (own := _own_name(event.name, names)) == event.name:
        return event
    return msgspec.structs.replace(event, name=own)


def _own_name(name: str, names: Mapping[str, str]) -> str:
    """The client's name of the tool that a model calls, also where the model has written more than its name.

    That is a namespace (GPT-5.6: https://github.com/tontinton/maki/pull/518; Google's own is `default_api`:
    https://github.com/BerriAI/litellm/issues/25322; read 2026-11-30), or a mark of gpt-oss's format behind it.
    """
    if name in names:
        return names[name]
    plain = _NAMESPACE.sub("", name.partition("<|")[0].strip())
    return names.get(plain, name)


def _all_names(request: ChatRequest) -> Collection[str]:
    names = [tool.name for tool in request.tools]
    names += request.tool_choice.names
    for turn in request.turns:
        names += [part.name for part in turn.parts if isinstance(part, _NAMED) and part.name]
    return dict.fromkeys(names).keys()


def renamings(names: Collection[str], rule: Rule) -> dict[str, str]:
    """The names that are not legal, by new ones that are."""
    illegal = [name for name in names if not rule.legal.fullmatch(name)]
    taken = set(names).difference(illegal)
    old: dict[str, str] = {}
    for name in illegal:
        old[_legal_name(name, rule, taken | old.keys())] = name
    return old


def _legal_name(name: str, rule: Rule, taken: set[str]) -> str:
    """Replace illegal characters; if the result is too long or taken, end it with a digest of the whole name."""
    base = rule.illegal.sub("_", name) or "_"
    if not rule.legal.fullmatch(base[:1]):
        base = f"_{base}"
    if len(base) <= rule.length and base not in taken:
        return base
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{base[: rule.length - 9]}_{digest}"


def _renamed(part: Part, forward: Mapping[str, str]) -> Part:
    if isinstance(part, _NAMED) and part.name in forward:
        return msgspec.structs.replace(part, name=forward[part.name])
    return part


@lru_cache(maxsize=4096)
def legal_call_id(call_id: str) -> str:
    """The id itself if it is legal everywhere, else a legal one derived from it.

    Anthropic takes `[a-zA-Z0-9_-]+`, some OpenAI-compatible servers no more than 64 characters.
    """
    if _WORD.legal.fullmatch(call_id):
        return call_id
    digest = hashlib.sha256(call_id.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{_WORD.illegal.sub('_', call_id)[:40]}_{digest}"


def fitting_call_id(call_id: str, exact: int, most: int) -> str:
    """The id as a service takes it: of `exact` letters and digits, or, if that is 0, legal and of at most `most`."""
    if not exact and len(legal := legal_call_id(call_id)) <= most:
        return legal
    if exact and len(call_id) == exact and call_id.isalnum() and call_id.isascii():
        return call_id
    return hashlib.sha256(call_id.encode("utf-8", "surrogatepass")).hexdigest()[: exact or most]


def as_function(tool: Tool, place: str, losses: list[Loss]) -> Tool:
    """A custom tool as a function that takes its free text; a grammar stands in the description, where none is kept."""
    if tool.kind == "function":
        return tool
    form = object_of(tool.extra.get("format"))
    grammar = object_of(form.get("grammar")) or form
    description = tool.description
    if form.get("type") == "grammar":
        losses.append(Loss(f"{place}.format", "the grammar stands in the tool's description; nothing enforces it"))
    if definition := string_of(grammar.get("definition")):
        intro = f"`input` is text that fits this grammar ({string_of(grammar.get('syntax')) or 'lark'}):"
        description = f"{description}\n\n{intro}\n\n{definition}".lstrip()
    return msgspec.structs.replace(tool, description=description, schema=CUSTOM_TOOL)


def described(tool: Tool, name: str = "") -> Json:
    """The members of a definition that all protocols call the same."""
    if tool.description:
        return {"name": name or tool.name, "description": tool.description}
    return {"name": name or tool.name}


def own_members(tool: Tool, protocol: ProtocolName, place: str, losses: list[Loss]) -> Json:
    """The further members of a definition in its own protocol; in any other, what changes the answer is lost."""
    if tool.protocol == protocol or not tool.extra:
        return tool.extra
    losses += [Loss(f"{place}.{name}", "the protocol has no such member") for name in lost_tool_fields(tool)]
    return {}


def free_text(raw: str) -> str:
    """The text that a model without custom tools means by the arguments of a function.

    That is the member `input`, or the one string where the model named the member otherwise or wrote a bare string.
    """
    value = json_of(raw.encode("utf-8", "surrogatepass"))
    if isinstance(value, str):
        return value
    members = object_of(value)
    if isinstance(text := members.get("input"), str):
        return text
    texts = [member for member in members.values() if isinstance(member, str)]
    return max(texts, key=len) if texts else raw


class SingleCall:
    """Drops every tool call of a choice but its first."""

    def __init__(self) -> None:
        self._called: set[int] = set()
        self._dropped: set[int] = set()

    def keeps(self, event: Event) -> bool:
        """Whether the client gets the event."""
        match event:
            case PartStart(kind="tool_call"):
                if event.choice in self._called:
                    self._dropped.add(event.index)
                    return False
                self._called.add(event.choice)
                return True
            case PartDelta() | PartEnd() | PartSignature() | PartAnnotation():
                return event.index not in self._dropped
            case _:
                return True


_SEARCH = ("allowed_domains", "blocked_domains", "user_location", "max_uses", "search_context_size")


def search_options(tool: HostedTool, known: Collection[str], losses: list[Loss]) -> Json:
    """What a client asks of a web search, as far as the service knows it; the rest is lost.

    The names are Anthropic's, with `search_context_size` of OpenAI's. A place has the form that both share. How often
    the vendor may search is no loss.
    """
    raw = tool.raw | object_of(tool.raw.get("filters"))
    if tool.protocol == "gemini":
        raw["blocked_domains"] = member(object_of(member(raw, "googleSearch")), "excludeDomains")
    if isinstance(location := raw.get("user_location"), dict):
        # Chat Completions puts the place into a member `approximate` of its own.
        place = location.get("approximate")
        raw["user_location"] = {"type": "approximate", **place} if isinstance(place, dict) else location
    asked = {name: raw[name] for name in _SEARCH if raw.get(name)}
    losses += [
        Loss(f"tools ({tool.kind}).{name}", "the service's search has no such option")
        for name in asked
        if name not in known and name != "max_uses"
    ]
    return {name: value for name, value in asked.items() if name in known}


def offers_search(request: ChatRequest) -> bool:
    """Whether the request offers the model a web search: only such clients understand its results."""
    return any(tool.kind.startswith("web_search") for tool in request.hosted_tools)
