"""The answer in terms common to all APIs, computed from the request or the rule that applies."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from typing import Any

import msgspec

from bm.simulator.request import Request
from bm.simulator.rules import Finish, Rule, ToolCall, Usage

_LONGEST_ECHO = 200
_CHUNKS = 4
_REPEATED = 20


class Tool(msgspec.Struct, frozen=True):
    """A function that the request offers. `schema` is the JSON schema of its parameters."""

    name: str
    schema: Any = None


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """A request in terms common to all APIs.

    `segments` are its parts in the order of a prompt cache; the first `cacheable` of them may be cached. `begun` is the
    beginning of the answer, if the request gives one; `interrupted` is an earlier question and its
    answer, perhaps only the beginning. `step` counts the rounds of tool results since the last message
    of the user; `results` names the calls that the last round answers, by identifier and, on Gemini, also by function.
    """

    segments: tuple[str, ...]
    cacheable: int
    last_text: str
    begun: str = ""
    interrupted: tuple[str, str] = ("", "")
    step: int = 0
    results: tuple[str, ...] = ()
    tools: tuple[Tool, ...] = ()
    forced: str = ""
    schema: Any = None
    thinks: bool = False


class Tokens(msgspec.Struct, frozen=True):
    """The tokens of an answer. `input` includes `cached` and `written` (to the cache); `output` excludes `thinking`."""

    input: int
    cached: int
    written: int
    output: int
    thinking: int


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One answer. `pieces` joined are the text; `calls` are pairs of identifier and call."""

    pieces: tuple[str, ...]
    thinking: str
    calls: tuple[tuple[str, ToolCall], ...]
    finish: Finish
    native_finish: str
    tokens: Tokens
    no_done: bool

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(self.pieces)


def count(text: str) -> int:
    """Tokens of `text`: one for four characters, rounded up."""
    return -(-len(text) // 4)


def split(text: str, pieces: int) -> tuple[str, ...]:
    """`text` in parts of about equal length, at most one for each character."""
    pieces = max(1, min(pieces, len(text)))
    edges = [len(text) * place // pieces for place in range(pieces + 1)]
    return tuple(text[start:end] for start, end in itertools.pairwise(edges) if end > start)


class Caches:
    """The prompt prefixes that were seen, by account and model."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def lookup(self, request: Request, prompt: Prompt) -> tuple[int, int]:
        """Tokens of the prompt read from the cache and written to it. All its prefixes count as seen from now on."""
        digest = hashlib.sha256(f"{request.api}\0{request.prefix}\0{request.key}\0{request.model}".encode())
        read = total = 0
        for segment in prompt.segments[: prompt.cacheable]:
            digest.update(b"\0" + segment.encode())
            total += count(segment)
            if digest.hexdigest() in self._seen:
                read = total
            self._seen.add(digest.hexdigest())
        return read, total - read


def calls_of(prompt: Prompt, rule: Rule | None, step: int) -> tuple[ToolCall, ...]:
    """The calls of this answer: those of the rule at this step, else the tool that the request forces."""
    if rule is not None and rule.steps:
        return rule.steps[step] if step < len(rule.steps) else ()
    if rule is not None and rule.text is not None:
        return ()
    forced = next((tool for tool in prompt.tools if tool.name == prompt.forced), None)
    if forced is None or prompt.step:
        return ()
    arguments = sample(forced.schema)
    return (ToolCall(forced.name, arguments if isinstance(arguments, dict) else {}),)


def compose(
    request: Request, prompt: Prompt, rule: Rule | None, calls: Sequence[tuple[str, ToolCall]], caches: Caches
) -> Answer:
    """The answer to `request`: the fields of `rule`, and defaults for those that it leaves open."""
    rule = rule or Rule()
    blocked = rule.finish == "blocked_prompt"
    text = rule.text if rule.text is not None else _default_text(request, prompt)
    if text.startswith(prompt.begun):
        text = text[len(prompt.begun) :]
    if blocked or calls:
        text = "" if blocked else rule.preface
    thinking = rule.thinking if rule.thinking is not None else _default_thinking(prompt)
    finish: Finish = rule.finish or ("tool_calls" if calls else "stop")
    return Answer(
        pieces=split(text, rule.chunks or _CHUNKS) if text else (),
        thinking="" if blocked else thinking,
        calls=tuple(calls),
        finish=finish,
        native_finish=rule.native_finish or "",
        tokens=_tokens(request, prompt, rule, calls, caches, text, thinking),
        no_done=rule.no_done,
    )


def _default_text(request: Request, prompt: Prompt) -> str:
    if prompt.schema is not None:
        return msgspec.json.encode(sample(prompt.schema)).decode()
    question, begun = prompt.interrupted
    answer = _echo(request, question)
    if begun and begun != answer and answer.startswith(begun):
        # Its own answer was cut off, and whatever is said now asks for the rest: it repeats the last words and goes on.
        return answer[begun.rstrip().rfind(" ", 0, -_REPEATED) + 1 :]
    return _echo(request, prompt.last_text)


def _echo(request: Request, text: str) -> str:
    return f"[simulated {request.model}] {text[:_LONGEST_ECHO]}".rstrip()


def _default_thinking(prompt: Prompt) -> str:
    return f"The user wrote {len(prompt.last_text)} characters; I repeat them." if prompt.thinks else ""


def _tokens(
    request: Request,
    prompt: Prompt,
    rule: Rule,
    calls: Sequence[tuple[str, ToolCall]],
    caches: Caches,
    text: str,
    thinking: str,
) -> Tokens:
    read, written = caches.lookup(request, prompt)
    said = count(text) + sum(count(call.name + compact(call.arguments)) for _, call in calls)
    wanted = rule.usage
    total = sum(count(segment) for segment in prompt.segments) if wanted.input is None else wanted.input
    cached = min(total, read if wanted.cached is None else wanted.cached)
    return Tokens(
        input=total,
        cached=cached,
        written=max(0, min(written, total - cached)) if wanted == Usage() else 0,
        output=said if wanted.output is None else wanted.output,
        thinking=count(thinking) if wanted.thinking is None else wanted.thinking,
    )


def compact(value: Any) -> str:
    """`value` as JSON without spaces."""
    return msgspec.json.encode(value).decode()


_PLAIN: dict[str, Any] = {"string": "simulated", "integer": 1, "number": 1.5, "boolean": True, "null": None}
_DEEPEST = 12


def sample(schema: Any, root: Any = None, depth: int = 0) -> Any:
    """A small value that matches `schema`: required properties only, the first of each choice."""
    root = schema if root is None else root
    if not isinstance(schema, dict) or depth > _DEEPEST:
        return "simulated"
    if isinstance(reference := schema.get("$ref"), str):
        return sample(_resolve(reference, root), root, depth + 1)
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    for choice in ("anyOf", "oneOf", "allOf"):
        if schema.get(choice):
            return sample(schema[choice][0], root, depth + 1)
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kind = str(kind[0] if isinstance(kind, list) and kind else kind).lower()
    if kind == "object":
        properties = schema.get("properties") or {}
        names = [name for name in schema.get("required") or [] if name in properties]
        return {name: sample(properties[name], root, depth + 1) for name in names}
    if kind == "array":
        return [sample(schema.get("items"), root, depth + 1)] * max(1, int(schema.get("minItems") or 1))
    return _PLAIN.get(kind, "simulated")


def _resolve(reference: str, root: Any) -> Any:
    value = root
    for step in reference.removeprefix("#").strip("/").split("/"):
        if step and isinstance(value, dict):
            value = value.get(step)
    return value
