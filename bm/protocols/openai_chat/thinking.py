"""How services are asked to think, thought signatures, and thinking in tags."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, TypeVar

import msgspec

from bm.chat.capabilities import Capabilities
from bm.chat.parts import Json
from bm.chat.request import ChatRequest, Loss, Reasoning
from bm.chat.signature import Signature, accepted, unwrap
from bm.chat.thinking import asked_level, effort_for, yields_to_call
from bm.names import Level
from bm.protocols.openai.parameters import LEVELS
from bm.protocols.parameters import field_name
from bm.protocols.reading import boolean, integer, json_of, mapping, object_of, string, string_of

T = TypeVar("T")
_LEVELS: dict[str, Level] = {**LEVELS, "disabled": "off", "default": "auto", "auto": "auto"}
MEMBERS = frozenset(
    {"reasoning_effort", "reasoning", "reasoning_format", "include_reasoning"}
    | {"thinking", "enable_thinking", "thinking_budget"}
)
"""The request members that are read here."""

SMALL_ANSWER = 1024
"""Below so many tokens a model that thinks at its default level may have none left for the answer."""


def decode_reasoning(body: Json) -> Reasoning:
    """Read how much to think, in OpenAI's form and the other common ones.

    Clients that use a form other than OpenAI's know services that return thinking, so they want to see it.
    """
    level = _level(string(body, "reasoning_effort"))
    nested = mapping(body, "reasoning") or {}
    switch = mapping(body, "thinking") or {}
    google = _google(body)
    level = level or _level(string(nested, "effort", "reasoning")) or _level(str(google.get("thinking_level") or ""))
    given = google.get("thinking_budget")
    budget = _first(
        integer(nested, "max_tokens", "reasoning"),
        integer(switch, "budget_tokens", "thinking"),
        integer(body, "thinking_budget"),
        given if isinstance(given, int) else None,
    )
    on = _first(
        boolean(nested, "enabled", "reasoning"),
        boolean(body, "enable_thinking"),
        {"enabled": True, "disabled": False}.get(string_of(switch.get("type"))),
    )
    if on is False:
        level, budget = "off", None
    elif on and level is None and budget is None:
        level = "auto"
    return Reasoning(level=level, budget=budget, visible=_visible(body, nested, google, on))


def _first(*values: T | None) -> T | None:
    """The first value that was given."""
    return next((value for value in values if value is not None), None)


def _level(word: str) -> Level | None:
    """The level of an effort; an unknown one is taken for the highest."""
    return _LEVELS.get(word.lower(), "max") if word else None


def _google(body: Json) -> Json:
    """Google's `extra_body.google.thinking_config`, as its OpenAI-compatible endpoint takes it."""
    match body.get("extra_body"):
        case {"google": {"thinking_config": dict(config)}}:
            return config
        case _:
            return {}


def _visible(body: Json, nested: Json, google: Json, on: bool | None) -> bool | None:
    form, shown = string(body, "reasoning_format"), google.get("include_thoughts")
    return _first(
        boolean(body, "include_reasoning"),
        shown if isinstance(shown, bool) else None,
        form != "hidden" if form else None,
        False if nested.get("exclude") is True else None,
        True if on or (nested and on is None) else None,
    )


def encode_reasoning(request: ChatRequest, capabilities: Capabilities, losses: list[Loss]) -> Json:
    """The members that ask this service to think."""
    asked = asked_level(request.reasoning)
    dialect = capabilities.dialect
    if capabilities.thinking == "none" or dialect.thinking == "none":
        if asked not in (None, "off", "auto"):
            losses.append(Loss(field_name(request, "thinking"), "the model takes no such setting"))
        return {}
    wanted, lost = wanted_level(request, capabilities)
    losses += lost
    effort = effort_for(wanted, capabilities)
    match dialect.thinking:
        case "groq":
            hidden = request.reasoning.visible is False
            return _present(reasoning_effort=effort, reasoning_format="hidden" if hidden else "parsed")
        case "together":
            return _together(wanted, effort, capabilities)
        case "openrouter":
            return _openrouter(request, wanted, effort, capabilities)
        case _ if capabilities.thinking_switch and wanted is not None and (wanted == "off" or effort is None):
            return {"thinking": {"type": "disabled" if wanted == "off" else "enabled"}}
        case _:
            return _present(reasoning_effort=effort)


def wanted_level(request: ChatRequest, capabilities: Capabilities) -> tuple[Level | None, list[Loss]]:
    """The level, given what else the request asks for; None for the model's default."""
    wanted, levels = asked_level(request.reasoning), capabilities.levels
    said = wanted not in (None, "off")
    if yields_to_call(request, capabilities):
        lost = [Loss("thinking", "the model cannot be made to call a tool while it thinks")] if said else []
        return "off", lost
    if request.tools and capabilities.chat_tools:
        # OpenAI's own endpoint is asked to stop thinking; other services may allow both, so they are not.
        off = capabilities.chat_tools == "thoughtless" and capabilities.dialect.name == "openai"
        lost = [Loss("thinking", "Chat Completions takes no functions beside it")] if said else []
        return "off" if off else None, lost
    small = request.max_tokens is not None and request.max_tokens < SMALL_ANSWER
    if wanted is None and small and levels and capabilities.thinks:
        wanted = levels[0]
    return wanted, []


def _together(wanted: Level | None, effort: str | None, capabilities: Capabilities) -> Json:
    """A switch for models that can do both, an effort for those that only know how much."""
    if capabilities.thinking_off == "say" and (wanted in ("off", "auto") or (wanted and not capabilities.levels)):
        return {"reasoning": {"enabled": wanted != "off"}}
    return _present(reasoning_effort=effort)


def _openrouter(request: ChatRequest, wanted: Level | None, effort: str | None, capabilities: Capabilities) -> Json:
    """OpenRouter takes an effort or a budget, never both, and `minimal` where thinking cannot be turned off.

    Source: openrouter.ai/docs, "Reasoning Tokens"; pydantic-ai 2.68.0 providers/openrouter.py.
    """
    inner: Json = {}
    if wanted == "off" and capabilities.thinking_off == "never":
        inner["effort"] = "minimal"
    elif wanted == "off":
        inner["enabled"] = False
    elif request.reasoning.budget is not None and request.reasoning.budget > 0:
        inner["max_tokens"] = request.reasoning.budget
    elif effort is not None:
        inner["effort"] = effort
    elif wanted is not None:
        inner["enabled"] = True
    if request.reasoning.visible is False:
        inner["exclude"] = True
    return {"reasoning": inner} if inner else {}


def _present(**members: object) -> Json:
    return {key: value for key, value in members.items() if value is not None}


def read_signature(owner: Json) -> Signature | None:
    """The signature on a call, a delta or a message; None when it has none. Google also spelled it without nesting."""
    if "extra_content" not in owner and "thought_signature" not in owner:
        return None
    google = object_of(object_of(owner.get("extra_content")).get("google"))
    value = string_of(google.get("thought_signature") or owner.get("thought_signature"))
    if not value:
        return None
    wrapped = unwrap(value)
    return wrapped[0] if wrapped is not None else Signature("gemini", value)


def write_signature(signature: Signature | None) -> Json:
    """The members that carry a signature of Gemini; the protocol has no place for any other."""
    if signature is None or signature.vendor != "gemini":
        return {}
    return {"extra_content": {"google": {"thought_signature": signature.value}}}


def accepts(signature: Signature | None, capabilities: Capabilities) -> bool:
    """Whether an upstream is to be sent a signature: Google's endpoint, with the family of models that made it."""
    if signature is None or "extra_content" not in capabilities.dialect.takes:
        return False
    return accepted(signature, "gemini", capabilities.family) is not None


DETAILS = "reasoning_details"
"""The member that holds thinking in pieces of several types, some encrypted or signed. A service takes them back as
they were (openrouter.ai/docs: "Preserving Reasoning Blocks"; read 2026-11-30)."""
_TEXTS = {"reasoning.text": "text", "reasoning.summary": "summary"}


def details_signature(rows: Iterable[Json], model: str = "") -> Signature | None:
    """The details as one signature, pieces of a text joined; None where text is all there is. `model` wrote them."""
    merged: list[Json] = []
    for row in rows:
        last, member = merged[-1] if merged else {}, _TEXTS.get(string_of(row.get("type")))
        if member is not None and (row["type"], row.get("index")) == (last.get("type"), last.get("index")):
            text = string_of(last.get(member)) + string_of(row.get(member))
            merged[-1] = last | _present(**row) | {member: text}
        elif row not in merged:
            merged.append(row)
    if not any(row.get("data") or row.get("signature") for row in merged):
        return None
    vendor, named, _ = model.partition("/")
    return Signature("chat", msgspec.json.encode(merged).decode(), vendor if named else "")


def write_details(signatures: Iterable[Signature | None], capabilities: Capabilities) -> Json:
    """The member that carries details back, for a service that takes it and the vendor whose model wrote them."""
    if DETAILS not in capabilities.dialect.takes:
        return {}
    own = (found for each in signatures if (found := accepted(each, "chat", capabilities.family)) is not None)
    return {DETAILS: json_of(found.value)} if (found := next(own, None)) is not None else {}


Kind = Literal["thinking", "text"]


class TagSplitter:
    """Separates the thinking in a tag at the head of streamed content from the answer; one splitter per choice.

    The kind is unknown while the content may begin with the tag. Blank lines behind a tag are skipped.
    """

    def __init__(self, tag: str) -> None:
        self._open, self._close = f"<{tag}>", f"</{tag}>"
        self._kind: Kind | None = None
        self._skips: str | None = ""
        self._held = ""

    @property
    def in_text(self) -> bool:
        """Whether all that follows is the answer."""
        return self._kind == "text" and self._skips == ""

    def feed(self, piece: str) -> Iterator[tuple[Kind, str]]:
        """Return what is certain so far."""
        held, self._held = self._held + piece, ""
        if self._kind is None:
            head = held.lstrip()
            if head.startswith(self._open):
                self._kind, self._skips, held = "thinking", "\n", head[len(self._open) :]
            elif self._open.startswith(head):
                self._held = held
                return
            else:
                self._kind = "text"
        if self._kind == "thinking":
            thought, closed, held = self._skipped(held).partition(self._close)
            if closed:
                self._kind, self._skips = "text", None
            elif keep := _overlap(thought, self._close):
                thought, self._held = thought[:-keep], thought[-keep:]
            if thought:
                yield "thinking", thought
        if text := self._skipped(held):
            yield "text", text

    def _skipped(self, text: str) -> str:
        text = text.lstrip(self._skips)
        self._skips = "" if text else self._skips
        return text

    def close(self) -> Iterator[tuple[Kind, str]]:
        """Return what was held back: the content has ended."""
        held, self._held = self._held, ""
        if held:
            yield self._kind or "text", held


def _overlap(text: str, mark: str) -> int:
    """How many characters at the end of `text` may be the beginning of `mark`."""
    return next((size for size in range(min(len(text), len(mark) - 1), 0, -1) if text.endswith(mark[:size])), 0)
