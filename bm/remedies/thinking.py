"""Thinking in a wire body: how it is asked for, and what of earlier thinking goes back to the model."""

from __future__ import annotations

from typing import Any

from bm.chat.capabilities import Capabilities
from bm.chat.parts import Json
from bm.chat.request import LEVELS
from bm.chat.thinking import budget_of_level, level_of_budget
from bm.names import Level, ProtocolName
from bm.protocols.anthropic.thinking import MIN_BUDGET, OFF
from bm.protocols.gemini.thinking import DUMMY_WORD
from bm.protocols.reading import object_of, objects_of
from bm.remedies.members import COMMON, EFFORTS, first, nearest
from bm.remedies.remedy import Remedy
from bm.remedies.turns import list_name, messages_of, pieces_of

_BLOCKS = ("thinking", "redacted_thinking")
_CLAUDE = Capabilities(family="claude")


def known(body: Json, takes: Capabilities) -> tuple[Remedy, ...]:
    """What a model is known to refuse of the way a body asks for thinking, as remedies."""
    found = []
    if object_of(body.get("thinking")).get("type") in OFF and takes.thinking_off == "never":
        found.append(Remedy("think_least", values=takes.levels))
    path = first(body, EFFORTS)
    if path and takes.levels:
        off = () if takes.thinking_off == "never" else ("none",)
        levels = takes.levels
        if takes.effort_off and object_of(body.get("thinking")).get("type") in OFF:
            levels = levels[: levels.index(takes.effort_off) + 1]
        found.append(Remedy("level", path, (*off, *levels), passing=levels != takes.levels))
    elif path and takes.family and (takes.thinking == "none" or (takes.thinking, takes.family) == ("budget", "claude")):
        found.append(Remedy("drop", path))
        found += [Remedy("drop", "reasoning"), Remedy("not_encrypted")] if path == "reasoning.effort" else []
    return tuple(found)


def adaptive(body: Json, remedy: Remedy, protocol: ProtocolName) -> bool:
    """Claude: adaptive thinking with an effort, in place of a budget."""
    thinking = object_of(body.get("thinking"))
    if thinking.get("type") != "enabled":
        return False
    budget = thinking.get("budget_tokens")
    body["thinking"] = {"type": "adaptive"} | ({"display": thinking["display"]} if "display" in thinking else {})
    if isinstance(budget, int) and not object_of(body.get("output_config")).get("effort"):
        body["output_config"] = {**object_of(body.get("output_config")), "effort": level_of_budget(budget)}
    return True


def budgeted(body: Json, remedy: Remedy, protocol: ProtocolName) -> bool:
    """Claude: a budget in place of adaptive thinking; none where a call is forced or the answer leaves no room."""
    if object_of(body.get("thinking")).get("type") != "adaptive":
        return False
    if object_of(body.get("tool_choice")).get("type") in ("any", "tool"):
        del body["thinking"]
        return True
    effort = object_of(body.get("output_config")).get("effort")
    level: Level = next((level for level in LEVELS if level == effort), "medium")
    _set_budget(body, budget_of_level(level, _CLAUDE))
    return True


def _set_budget(body: Json, wanted: int) -> None:
    """Ask for a budget below the answer's length; for no thinking where that leaves too little."""
    most = body.get("max_tokens")
    budget = min(wanted, most - 1) if isinstance(most, int) else wanted
    if budget < MIN_BUDGET:
        del body["thinking"]
    else:
        body["thinking"] = {**body["thinking"], "type": "enabled", "budget_tokens": budget}


def think_least(body: Json, remedy: Remedy, protocol: ProtocolName) -> bool:
    """Thinking cannot be turned off: ask for the lowest effort instead, one of `values` where they are known."""
    level = nearest("low", remedy.values or COMMON) or "low"
    thinking = object_of(body.get("thinking"))
    off = thinking.get("type") in OFF
    if protocol == "anthropic" and off:
        del body["thinking"]
        body["output_config"] = {**object_of(body.get("output_config")), "effort": level}
        return True
    if protocol == "openai-chat":
        reasoning = object_of(body.get("reasoning"))
        switched = reasoning.get("enabled") is False or reasoning.get("effort") == "none"
        said = body.get("reasoning_effort")
        if not (off or switched or (said is not None and said not in (remedy.values or (*COMMON, "max", "xhigh")))):
            return False
        if off:
            body["thinking"] = {"type": "enabled"}
        if switched:
            body["reasoning"] = {"effort": level if remedy.values else "minimal"}
        elif said is not None or remedy.values:
            body["reasoning_effort"] = nearest(str(said or "none"), remedy.values or COMMON) or level
        return True
    return _think_a_little(body)


def _think_a_little(body: Json) -> bool:
    """Gemini: say nothing of a budget of 0."""
    config = object_of(object_of(body.get("generationConfig")).get("thinkingConfig"))
    if config.get("thinkingBudget") != 0:
        return False
    del config["thinkingBudget"]
    return True


def not_between_tools(body: Json, remedy: Remedy, protocol: ProtocolName) -> bool:
    """Claude: turn thinking off in the way that most models know."""
    if object_of(body.get("thinking")).get("type") != "between_tools":
        return False
    body["thinking"] = {"type": "disabled"}
    return True


def no_thinking(body: Json, remedy: Remedy, protocol: ProtocolName) -> bool:
    """Do not think in answer to this request."""
    if protocol == "anthropic":
        return body.pop("thinking", None) is not None
    if body.get("thinking") == {"type": "disabled"}:
        return False
    body["thinking"] = {"type": "disabled"}
    body.pop("reasoning_effort", None)
    return True


def smaller_budget(body: Json, remedy: Remedy, protocol: ProtocolName) -> bool:
    """Bring the budget below the answer's length."""
    budget, most = object_of(body.get("thinking")).get("budget_tokens"), body.get("max_tokens")
    if not isinstance(budget, int) or not isinstance(most, int) or budget < most:
        return False
    _set_budget(body, budget)
    return True


def strip_thinking(body: Json, remedy: Remedy, protocol: ProtocolName) -> bool:
    """Take earlier thinking out of the history: the model cannot verify it, or it is bound to another history."""
    name = list_name(body)
    turns = messages_of(body)
    changed = False
    for turn in turns:
        pieces = pieces_of(turn)
        kept = [piece for piece in pieces if piece.get("type") not in _BLOCKS]
        if len(kept) < len(pieces):
            turn["content"] = kept
            changed = True
    body[name] = [
        turn for turn in turns if turn.get("type") not in ("reasoning", "compaction") and turn.get("content") != []
    ]
    return changed or len(body[name]) < len(turns)


def drop_item_ids(body: Json, remedy: Remedy, protocol: ProtocolName) -> bool:
    """Responses: send items without the ids by which a service would look up what belongs to them."""
    found = [item for item in messages_of(body) if "id" in item and item.get("type") != "item_reference"]
    for item in found:
        del item["id"]
    return bool(found)


def not_encrypted(body: Json, remedy: Remedy, protocol: ProtocolName) -> bool:
    """Responses: do not ask for encrypted reasoning."""
    include = body.get("include")
    if not isinstance(include, list) or "reasoning.encrypted_content" not in include:
        return False
    body["include"] = [name for name in include if name != "reasoning.encrypted_content"]
    return True


def send_reasoning(body: Json, remedy: Remedy, protocol: ProtocolName) -> bool:
    """Give each of the assistant's messages with calls its `reasoning_content`, a space where there is none.

    At services that speak Anthropic's protocol, that is a block of thinking.
    """
    if protocol == "anthropic":
        return _send_thinking(body)
    name = "reasoning_content"
    lacking = [
        message
        for message in messages_of(body)
        if message.get("role") == "assistant" and message.get("tool_calls") and not message.get(name)
    ]
    for message in lacking:
        message[name] = message.get("reasoning") or " "
    return bool(lacking)


def _send_thinking(body: Json) -> bool:
    lacking = [
        message
        for message in messages_of(body)
        if any(piece.get("type") == "tool_use" for piece in pieces_of(message))
        and not any(piece.get("type") in _BLOCKS for piece in pieces_of(message))
    ]
    for message in lacking:
        message["content"] = [{"type": "thinking", "thinking": " ", "signature": ""}, *pieces_of(message)]
    return bool(lacking)


def not_both(body: Json, remedy: Remedy, protocol: ProtocolName) -> bool:
    """Take the thinking out of messages that hold text and calls beside it."""
    names = ("reasoning_content", "reasoning", "thinking")
    found = [
        (message, name)
        for message in messages_of(body)
        for name in names
        if message.get("tool_calls") and message.get("content") and message.get(name)
    ]
    for message, name in found:
        del message[name]
    return bool(found)


def stand_in_signatures(body: Json, remedy: Remedy, protocol: ProtocolName) -> bool:
    """Gemini: the signature that skips its check, on the first call of each turn that lacks one or has a wrong one.

    Over Chat Completions it stands beside the call, or, as OpenRouter has it, in the details of the reasoning.
    """
    if protocol == "openai-chat":
        return _stand_in_over_chat(body, "details" in remedy.values)
    every = "wrong" in remedy.values
    changed = False
    for content in messages_of(body):
        calls: list[dict[str, Any]] = [part for part in objects_of(content.get("parts")) if "functionCall" in part]
        for part in calls[:1] if not every else objects_of(content.get("parts")):
            name = "thought_signature" if "thought_signature" in part else "thoughtSignature"
            wanted = part in calls[:1] or name in part
            if wanted and (every or not part.get(name)) and part.get(name) != DUMMY_WORD:
                part[name] = DUMMY_WORD
                changed = True
    return changed


def _stand_in_over_chat(body: Json, in_details: bool) -> bool:
    changed = False
    for message in messages_of(body):
        calls = objects_of(message.get("tool_calls"))
        if not calls:
            continue
        if in_details and not message.get("reasoning_details"):
            known = {"type": "reasoning.encrypted", "data": DUMMY_WORD, "format": "google-gemini-v1", "index": 0}
            message["reasoning_details"] = [known | {"id": calls[0].get("id")}]
            changed = True
        elif not in_details and not object_of(object_of(calls[0].get("extra_content")).get("google")):
            calls[0]["extra_content"] = {"google": {"thought_signature": DUMMY_WORD}}
            changed = True
    return changed
