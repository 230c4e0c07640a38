"""No member of a request is lost in silence: it changes what is sent, is reported as a loss, or is ignorable.

Each member is taken out of its request. Where the request sent and the losses reported stay the same without it, it
was ignored, unless the whole of which it is a part is reported.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from bm.accounts.account import Access
from bm.chat.request import Loss
from bm.dispatch.failover import Attempt
from bm.dispatch.target import Target
from bm.errors import RequestError
from bm.gateway.adapter import Adapter
from bm.gateway.call import Call
from bm.gateway.settings import Rules
from bm.gateway.stores import SignatureStore
from bm.names import ProtocolName
from bm.protocols.ignorable_fields import FIELDS, TOOL_FIELDS
from tests.gateway.features import FEATURES, Body
from tests.gateway.matrix import providers
from tests.gateway.rich_requests import RICH
from tests.support.shared import SHARED

TARGETS = (
    Target("anthropic", "one", "claude-opus-4-5", "anthropic"),
    Target("anthropic", "one", "claude-sonnet-5-5", "anthropic"),
    Target("openai", "one", "gpt-4.1", "openai-chat"),
    Target("openrouter", "one", "x-ai/grok-4.1", "openai-chat"),
    Target("openai", "one", "gpt-5.6", "openai-responses"),
    Target("mistral", "one", "mistral-large-latest", "openai-chat"),
    Target("openai", "one", "gpt-4.1", "openai-responses"),
    Target("gemini", "one", "gemini-2.5-flash", "gemini"),
    Target("gemini", "one", "gemini-3.8-flash", "gemini"),
)
Path = tuple[str | int, ...]
Sent = tuple[bytes, Any, tuple[Loss, ...]]

WORDS = frozenset({"type", "role", "stream", "media_type", "mimeType"})
"""What tells the parts of a request apart; media are known by their bytes."""
OPAQUE = frozenset({"signature", "thoughtSignature", "encrypted_content", "id", "thinking", "reasoning_content"})
"""What earlier answers left for the model that wrote them."""
CARRIED_OTHERWISE = {
    "anthropic": {
        "thinking.display": "bm shows or hides thinking",
        "tools.max_uses": "how often the vendor may search",
        "tools.name": "the name of a vendor's tool",
    },
    "openai-chat": {
        "messages.content.input_audio.format": "known by the bytes",
        "messages.tool_call_id": "a result without it answers the next call",
        "response_format.json_schema.name": "a label",
        "response_format.json_schema.strict": "other vendors always hold to the schema",
        "reasoning.effort": "another spelling of `reasoning_effort`",
    },
    "openai-responses": {
        "parallel_tool_calls": "surplus calls are dropped from Gemini's answer",
        "text.format.name": "a label",
        "text.format.strict": "other vendors always hold to the schema",
        "tools.strict": "Gemini holds all calls to their schemas",
        "tools.format.syntax": "the default of the description",
        "prompt_cache_key": "every vendor finds cached prompts in its own way",
    },
    "gemini": {
        "contents.parts.functionResponse.name": "known by the call",
        "contents.parts.partMetadata": "labels",
        "generationConfig.responseMimeType": "said by the schema",
    },
}
"""Members that arrive without a trace in the body sent, by the client's protocol, with the reason."""
NEUTRAL: tuple[Any, ...] = (None, "", "{}", "none", "auto", False, 0, 1, 0.95, 40, 64, "high")
"""Values that spell out what holds without them."""


@cache
def triggers() -> tuple[tuple[ProtocolName, Body], ...]:
    """The requests of clients that careless gateways turn into refused ones."""
    folder = SHARED / "vendors" if SHARED else None
    if folder is None or not (folder / "wall").is_dir():
        return ()
    sys.path.insert(0, str(folder))
    try:
        server = importlib.import_module("wall.server")
    finally:
        sys.path.remove(str(folder))
    wall = server.Wall()
    for path in server.rule_files([server.RULES]):
        wall.load(path)
    rules = [rule for rule in wall.rules.values() if "embed" not in rule.wire]
    return tuple((trigger.client, trigger.body) for rule in rules for trigger in rule.triggers)


def sent(client: ProtocolName, body: Body, target: Target) -> Sent | None:
    """What is sent for a client's request, and what is reported as lost; None where the request is refused."""
    call = Call(
        id="req_1",
        protocol=client,
        operation="generate",
        headers=[],
        body=json.dumps(body).encode(),
        model="m",
        stream=False,
    )
    adapter, provider = Adapter(call, SignatureStore(), Rules()), providers()[target.provider]
    try:
        upstream = adapter.translate(adapter.chat, Attempt(target=target), provider, Access(key="key"))
    except RequestError:
        return None
    return upstream.request.body, upstream.request.headers, upstream.losses


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """The members that hold no others, with their values."""
    rows: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, member in rows:
        if isinstance(member, dict | list) and member:
            yield from leaves(member, (*path, name))
        else:
            yield (*path, name), member


def without(value: Any, path: Path) -> Any:
    """A copy without the member at a path."""
    name, rest = path[0], path[1:]
    rows: Any = dict(value) if isinstance(value, dict) else list(value)
    if rest:
        rows[name] = without(rows[name], rest)
    else:
        del rows[name]
    return rows


def words(path: Path) -> list[str]:
    """The names in a path, without the places in lists."""
    return [step for step in path if isinstance(step, str)]


def may_go(client: ProtocolName, path: Path, value: Any) -> bool:
    """Whether a member may leave no trace."""
    names = words(path)
    dotted = ".".join(names)
    if value in NEUTRAL or value in ({}, []) or names[-1] in WORDS | OPAQUE or "cache_control" in names:
        return True
    if names[0] == "tools" and TOOL_FIELDS.keys() & set(names):
        return True
    known = (*FIELDS[client], *CARRIED_OTHERWISE[client])
    return any(dotted == each or dotted.startswith(f"{each}.") for each in known)


def is_silent(client: ProtocolName, body: Body, path: Path, target: Target, whole: Sent) -> bool:
    """Whether the member makes no difference, and nothing that holds it is reported as lost."""
    if sent(client, without(body, path), target) != whole:
        return False
    for length in range(len(path) - 1, 0, -1):
        rest = sent(client, without(body, path[:length]), target)
        if rest is not None and rest[:2] == whole[:2] and rest[2] != whole[2]:
            return False
    return True


def shape(body: Body, path: Path) -> tuple[Any, ...]:
    """What members of one kind share: their names, and the types of what holds them."""
    kinds: list[str] = []
    held: Any = body
    for step in path:
        kinds.append(str(held.get("type")) if isinstance(held, dict) else "")
        held = held[step]
    return tuple(words(path)), tuple(kinds), type(held)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: f"{target.model}-{target.protocol}")
@pytest.mark.parametrize("source", ["rich", "triggers"])
def test_nothing_is_lost_in_silence(source: str, target: Target) -> None:
    requests = (*RICH, *FEATURES.values()) if source == "rich" else triggers()
    if not requests:
        pytest.skip("no requests that vendors refuse: $BM_SHARED, or shared/ beside the checkout, holds no vendors/")
    seen, silent = set(), set()
    for client, members in requests:
        body = members if client == "gemini" else members | {"model": "m"}
        if (whole := sent(client, body, target)) is None:
            continue
        for path, value in leaves(body):
            kind = (client, *shape(body, path))
            if kind in seen or may_go(client, path, value):
                continue
            seen.add(kind)
            if is_silent(client, body, path, target, whole):
                silent.add(f"{client} {'.'.join(map(str, path))}: {str(value)[:60]}")
    assert not silent, "\n".join(sorted(silent))


def test_the_rich_requests_are_served_by_most() -> None:
    served = [client for client, body in RICH for target in TARGETS if sent(client, body, target) is not None]
    assert len(served) >= 4 * len(RICH)
