"""The turns of a wire body: their roles, their order, what may be empty, and what is added for the model."""

from __future__ import annotations

from typing import Any

from bm.chat.parts import Json
from bm.chat.repair import GO_ON, reminder
from bm.names import ProtocolName
from bm.protocols.reading import object_of, objects_of, string_of
from bm.remedies.remedy import Remedy

NO_OUTPUT = "(no output)"
"""What a tool returned that returned nothing."""
_SYSTEM = ("system", "developer")


def list_name(body: Json) -> str:
    """The member that holds the turns."""
    return next((name for name in ("messages", "contents", "input") if isinstance(body.get(name), list)), "")


def messages_of(body: Json) -> list[Json]:
    """The messages, contents or items of a request."""
    return objects_of(body.get(list_name(body)))


def pieces_of(message: Json) -> list[Json]:
    """The blocks or parts of a message; none where it is plain text."""
    return objects_of(message.get("parts")) or objects_of(message.get("content"))


def tell(body: Json, protocol: ProtocolName, text: str) -> None:
    """Add to the system prompt."""
    if protocol == "gemini":
        name = "system_instruction" if "system_instruction" in body else "systemInstruction"
        instruction = body.setdefault(name, {"parts": []})
        instruction["parts"] = [*objects_of(instruction.get("parts")), {"text": text}]
    elif protocol == "anthropic":
        body["system"] = _with_text(body.get("system"), text)
    elif protocol == "openai-responses":
        body["instructions"] = _with_text(body.get("instructions"), text)
    else:
        messages = messages_of(body)
        head = next((message for message in messages[:1] if message.get("role") in _SYSTEM), None)
        if head is None:
            body["messages"] = [{"role": "system", "content": text}, *messages]
        else:
            head["content"] = _with_text(head.get("content"), text)


def tell_in_input(body: Json, protocol: ProtocolName, text: str) -> None:
    """Add to the system prompt where it counts as a message: the instructions of Responses do not."""
    if protocol != "openai-responses":
        tell(body, protocol, text)
        return
    given = body.get("input")
    items = given if isinstance(given, list) else [_said(given or "")]
    body["input"] = [_said(text, "developer"), *items]


def ask(body: Json, protocol: ProtocolName, text: str) -> None:
    """Add to the user's last message; the prompt before it stays as it is."""
    last = next(iter(messages_of(body)[-1:]), {})
    if protocol in ("anthropic", "openai-chat") and last.get("role") == "user":
        last["content"] = _with_text(last.get("content"), text)
    elif protocol == "gemini" and last.get("role") == "user" and objects_of(last.get("parts")):
        last["parts"] = [*objects_of(last["parts"]), {"text": text}]
    else:
        tell(body, protocol, text)


def _with_text(content: Any, text: str) -> Any:
    if isinstance(content, list):
        return [*content, {"type": "text", "text": text}]
    return f"{content}\n\n{text}" if isinstance(content, str) and content else text


def go_on(body: Json, remedy: Remedy, protocol: ProtocolName) -> bool:
    """End in a user turn that asks to go on."""
    last = next(iter(messages_of(body)[-1:]), {})
    if last.get("role") not in ("assistant", "model"):
        return False
    body[list_name(body)].append(_user(GO_ON, protocol))
    last.pop("prefix", None)
    return True


def begin_with_user(body: Json, remedy: Remedy, protocol: ProtocolName) -> bool:
    """Begin the conversation with a user turn."""
    turns = body.get(list_name(body)) or []
    at = next((at for at, turn in enumerate(turns) if object_of(turn).get("role") not in _SYSTEM), None)
    if at is None or turns[at].get("role") == "user":
        return False
    turns.insert(at, _user(GO_ON, protocol))
    return True


def _user(text: str, protocol: ProtocolName) -> Json:
    return {"role": "user", "parts": [{"text": text}]} if protocol == "gemini" else _said(text)


def _said(text: str, role: str = "user") -> Json:
    return {"role": role, "content": text}


def trim_end(body: Json, remedy: Remedy, protocol: ProtocolName) -> bool:
    """Strip the end of the last message's text."""
    last = next(iter(messages_of(body)[-1:]), {})
    owner, name = (last, "content") if isinstance(last.get("content"), str) else (last, "")
    if not name and (pieces := pieces_of(last)) and isinstance(pieces[-1].get("text"), str):
        owner, name = pieces[-1], "text"
    if not name or owner[name] == owner[name].rstrip():
        return False
    owner[name] = owner[name].rstrip()
    return True


def move_system(body: Json, remedy: Remedy, protocol: ProtocolName) -> bool:
    """Put instructions at the head into the system prompt, and later ones as reminders into user turns.

    Earlier turns keep their places, so what a vendor binds to them stays valid.
    """
    name = list_name(body)
    turns, leading = objects_of(body.get(name)), 0
    while leading < len(turns) and turns[leading].get("role") in _SYSTEM:
        leading += 1
    head, rest = turns[:leading], turns[leading:]
    keeps_head = protocol == "openai-chat"
    later = [turn for turn in rest if turn.get("role") in _SYSTEM]
    if not later and (len(head) < 2 if keeps_head else not head):
        return False
    for turn in later:
        text = text_of(turn)
        turn.clear()
        turn |= _user(reminder(text), protocol)
    body[name] = merged(rest, ("user",) if later else ())
    if keeps_head and head:
        body[name].insert(0, _said("\n\n".join(filter(None, map(text_of, head))), "system"))
    elif head:
        tell(body, protocol, "\n\n".join(filter(None, map(text_of, head))))
    return True


def system_as_user(body: Json, remedy: Remedy, protocol: ProtocolName) -> bool:
    """Put the system prompt at the head of the first user turn."""
    names = ("systemInstruction", "system_instruction", "system", "instructions")
    texts = [text_of({"content": body.pop(name)}) for name in names if name in body]
    turns = messages_of(body)
    while turns and turns[0].get("role") in _SYSTEM:
        texts.append(text_of(turns.pop(0)))
    if not any(texts):
        return False
    first = _user("\n\n".join(filter(None, texts)), protocol)
    body[list_name(body)] = merged([first, *turns], ("user",))
    return True


def text_of(message: Json) -> str:
    """All text of a message."""
    content = message.get("content", message.get("parts"))
    if isinstance(content, dict):
        content = content.get("parts")
    if isinstance(content, str):
        return content
    return "\n\n".join(text for piece in objects_of(content) if (text := string_of(piece.get("text"))))


def merge_roles(body: Json, remedy: Remedy, protocol: ProtocolName) -> bool:
    """Merge neighbours of one role."""
    name = list_name(body)
    turns = objects_of(body.get(name))
    body[name] = merged(turns, ("user", "assistant", "model"))
    return len(body[name]) < len(turns)


def merged(turns: list[Json], roles: tuple[str, ...]) -> list[Json]:
    """The turns with neighbours of one of the roles merged."""
    made: list[Json] = []
    for turn in turns:
        before = made[-1] if made else {}
        if turn.get("role") in roles and before.get("role") == turn.get("role"):
            made[-1] = _both(before, turn)
        else:
            made.append(turn)
    return made


def _both(first: Json, second: Json) -> Json:
    both = {**first, **second}
    if "parts" in first or "parts" in second:
        return {**both, "parts": [*pieces_of(first), *pieces_of(second)]}
    texts = first.get("content"), second.get("content")
    if all(isinstance(text, str) or text is None for text in texts):
        both["content"] = "\n\n".join(text for text in texts if text) or None
    else:
        both["content"] = [piece for text in texts for piece in _as_pieces(text)]
    if calls := [*objects_of(first.get("tool_calls")), *objects_of(second.get("tool_calls"))]:
        both["tool_calls"] = calls
    return both


def _as_pieces(content: Any) -> list[Any]:
    return content if isinstance(content, list) else [{"type": "text", "text": content}] if content else []


def part_after_results(body: Json, remedy: Remedy, protocol: ProtocolName) -> bool:
    """Put a short message of the assistant between a tool's result and a user turn."""
    turns = messages_of(body)
    made: list[Json] = []
    for turn in turns:
        if turn.get("role") == "user" and made and made[-1].get("role") == "tool":
            made.append(_said("Understood.", "assistant"))
        made.append(turn)
    body[list_name(body)] = made
    return len(made) > len(turns)


def one_call_each(body: Json, remedy: Remedy, protocol: ProtocolName) -> bool:
    """Give each call a message of its own, with its result after it: Llama's template knows no calls at once.

    vllm-project/vllm#25108 (2025-09-17).
    """
    made: list[Json] = []
    turns = messages_of(body)
    results = {turn.get("tool_call_id"): turn for turn in turns if turn.get("role") == "tool"}
    for turn in turns:
        calls = objects_of(turn.get("tool_calls"))
        if len(calls) < 2:
            if turn not in made:
                made.append(turn)
            continue
        for at, call in enumerate(calls):
            made.append({**turn, "content": turn.get("content") if at == 0 else "", "tool_calls": [call]})
            made += [results[call["id"]]] if call.get("id") in results else []
    if len(made) == len(turns):
        return False
    body[list_name(body)] = made
    return True


def drop_empty(body: Json, remedy: Remedy, protocol: ProtocolName) -> bool:
    """Leave out empty texts, lists of no calls, and messages that hold nothing; a result that is empty says so."""
    name = list_name(body)
    turns = objects_of(body.get(name))
    changed = False
    for turn in turns:
        if turn.get("tool_calls") == []:
            del turn["tool_calls"]
            changed = True
        changed = _fill_results(turn) or changed
        for list_ in ("content", "parts"):
            if pieces := objects_of(turn.get(list_)):
                turn[list_] = [piece for piece in pieces if not _is_empty(piece)]
                changed = changed or len(turn[list_]) < len(pieces)
    said = [turn for turn in turns if not _says_nothing(turn)]
    if len(said) < len(turns):
        body[name] = said
        changed = True
    if body.get("instructions") == "":
        del body["instructions"]
        changed = True
    if any(map(_is_empty, system := objects_of(body.get("system")))):
        body["system"] = [piece for piece in system if not _is_empty(piece)]
        changed = True
    return changed


def _fill_results(turn: Json) -> bool:
    """Say of the results in a turn that hold nothing that there was no output."""
    empty = [(piece, "content") for piece in pieces_of(turn) if piece.get("type") == "tool_result"]
    empty = [(piece, name) for piece, name in empty if not piece.get(name)]
    if turn.get("role") == "tool" and not text_of(turn).strip() and all(map(_is_empty, pieces_of(turn))):
        empty.append((turn, "content"))
    if turn.get("output") == "":
        empty.append((turn, "output"))
    for owner, name in empty:
        owner[name] = NO_OUTPUT
    return bool(empty)


def drop_nulls(body: Json, remedy: Remedy, protocol: ProtocolName) -> bool:
    """Take out members of messages and tools that hold nothing; content may."""
    tools = objects_of(body.get("tools"))
    owners = (*messages_of(body), *tools, *(object_of(tool.get("function")) for tool in tools))
    found = [(owner, name) for owner in owners for name in owner if owner[name] is None and name != "content"]
    for owner, name in found:
        del owner[name]
    return bool(found)


def _is_empty(piece: Json) -> bool:
    if piece.keys() <= {"thought"}:
        return True
    text = piece.get("text")
    return isinstance(text, str) and not text.strip() and piece.get("type", "text").endswith("text")


def _says_nothing(turn: Json) -> bool:
    if "role" not in turn or turn.get("tool_calls") or turn.get("role") == "tool":
        return False
    content = turn.get("content", turn.get("parts"))
    return not (content.strip() if isinstance(content, str) else content)


def plain_text(body: Json, remedy: Remedy, protocol: ProtocolName) -> bool:
    """Give messages of nothing but text as plain text, and those without content as an empty one."""
    found = [
        message
        for message in messages_of(body)
        if ("role" in message and "parts" not in message and message.get("content") is None)
        or (
            isinstance(message.get("content"), list)
            and all(isinstance(object_of(piece).get("text"), str) for piece in message["content"])
        )
    ]
    for message in found:
        message["content"] = text_of(message)
    results = [
        item
        for item in messages_of(body)
        if isinstance(item.get("output"), list)
        and all(isinstance(object_of(piece).get("text"), str) for piece in item["output"])
    ]
    for item in results:
        item["output"] = text_of({"content": item["output"]})
    return bool(found or results)
