"""A canonical request written for an upstream that speaks the Responses API."""

from __future__ import annotations

from typing import Any

from bm.chat.capabilities import Capabilities
from bm.chat.parts import Json, Media, Opaque, Part, Refusal, Text, Thinking, ToolCall, ToolResult
from bm.chat.repair import paired
from bm.chat.request import ChatRequest, Extra, Loss, Turn
from bm.chat.thinking import fit_level, level_of_budget
from bm.names import Level, ProtocolName
from bm.protocols.codec import Encoded
from bm.protocols.ignorable_fields import is_loss, is_sampling_loss
from bm.protocols.openai_responses.calls import encode_call, encode_result, result_parts
from bm.protocols.openai_responses.citations import PROTOCOL
from bm.protocols.openai_responses.content import encode_content, is_content
from bm.protocols.openai_responses.decode import LEVELS
from bm.protocols.openai_responses.tools import by_name, encode_choice, encode_tools
from bm.protocols.reading import refuse
from bm.protocols.tools import legal_call_id

_EFFORTS: dict[Level, str] = {level: word for word, level in LEVELS.items()}
_TURNS: dict[ProtocolName, str] = {PROTOCOL: "input", "gemini": "contents"}
ENCRYPTED = "reasoning.encrypted_content"
_LOGPROBS = "message.output_text.logprobs"
_SETTLED = frozenset({"store", "client_metadata"})
"""Members of the client's that bm decides itself, or that OpenAI would refuse."""
_OWN = frozenset({"store", "include"})
"""Members that bm adds, so that nobody misses them where they are refused."""
_LEAST_OUTPUT = 16
"""OpenAI answers 400 to a smaller `max_output_tokens`."""

_USER_LENGTH = 128
_CACHE_KEY_LENGTH = 64

_SAID = {"type": "message", "role": "assistant", "status": "completed"}

_SAME_IN_CHAT = {
    "metadata": "metadata",
    "service_tier": "service_tier",
    "verbosity": "text.verbosity",
    "prompt_cache_retention": "prompt_cache_retention",
}
"""Members of OpenAI's Chat API that mean the same here, and where they stand."""

_SERVICE_TIERS = ("auto", "default", "flex", "scale", "priority", "fast")
"""OpenAI's own; other services with a Chat API have tiers of other names."""


def encode_request(request: ChatRequest, capabilities: Capabilities, *, model: str) -> Encoded:
    """Write the request. Nothing is stored upstream, so reasoning comes back encrypted and is sent along.

    Raises:
        RequestError: more than one answer is wanted, or the request holds what no Responses model takes.
    """
    if request.choices > 1:
        raise refuse("n", "the Responses API gives one answer")
    history = _History(request, capabilities)
    body: Json = {"model": model, **history.head(), "input": history.items}
    losses = list(history.losses)
    for members, lost in (
        _tools(request, capabilities),
        _sampling(request, capabilities),
        _limits(request, capabilities),
        _reasoning(request, capabilities),
        _output(request, capabilities),
    ):
        body.update(members)
        losses += lost
    body |= {"stream": request.stream, "store": False}
    if 0 < len(request.user) <= _USER_LENGTH:
        body["safety_identifier"] = request.user
    if 0 < len(request.cache_key) <= _CACHE_KEY_LENGTH:
        body["prompt_cache_key"] = request.cache_key
    own = request.protocol == PROTOCOL
    include = [ENCRYPTED] if capabilities.thinking != "none" or history.encrypted else []
    losses += _extras(body, request.extras)
    body["include"] = sorted(
        {*body.get("include", ()), *include, *([_LOGPROBS] if own and request.sampling.logprobs else ())}
    )
    if not body["include"]:
        del body["include"]
    for field in sorted(capabilities.dialect.refuses & body.keys()):
        del body[field]
        if field not in _OWN:
            losses.append(Loss(field, "the service refuses it"))
    return Encoded(body, tuple(losses))


class _History:
    """Writes turns as items. `encrypted` says whether any of OpenAI's own thinking is among them."""

    def __init__(self, request: ChatRequest, capabilities: Capabilities) -> None:
        self.items: list[Json] = []
        self.losses: list[Loss] = []
        self.encrypted = False
        self._request, self._capabilities = request, capabilities
        self._tools = by_name(request)
        self._calls: dict[str, Json] = {}
        self._developer = "developer" if capabilities.dialect.name == "openai" else "system"
        place = _TURNS.get(request.protocol, "messages")
        if request.system[1:] or not request.turns:
            self._message(self._developer, request.system[1 if request.turns else 0 :], "system")
        for i, turn in enumerate(paired(request.turns)):
            self._turn(turn, f"{place}[{i}]")

    def head(self) -> Json:
        """The system prompt's first text; further ones stand as a developer's message before the conversation."""
        system = self._request.system
        return {"instructions": system[0].text} if system and self._request.turns else {}

    def _turn(self, turn: Turn, path: str) -> None:
        if turn.role == "assistant":
            for j, part in enumerate(turn.parts):
                self._assistant(part, f"{path}.content[{j}]")
            return
        shown: list[Media] = []
        for j, part in enumerate(turn.parts):
            if isinstance(part, ToolResult):
                shown += self._result(part, f"{path}.content[{j}]")
        said = [part for part in turn.parts if not isinstance(part, ToolResult)]
        self._message("user" if turn.role == "user" else self._developer, [*shown, *said], path)

    def _message(self, role: str, parts: Any, path: str) -> None:
        content: list[Json] = []
        for j, part in enumerate(parts):
            match part:
                case Text() | Media():
                    self._allowed(part, f"{path}.content[{j}]")
                    content += encode_content([part], f"{path}.content[{j}]")
                case Opaque(protocol="openai-responses") if is_content(part):
                    content.append(part.raw)
                case Opaque(protocol="openai-responses"):
                    self._flush(role, content)
                    content = []
                    self.items.append(part.raw)
                case Opaque(summary=summary) if summary:
                    content.append({"type": "input_text", "text": summary})
                case Refusal(text=text):
                    content.append({"type": "input_text", "text": text})
                case _:
                    self._lose(part, f"{path}.content[{j}]")
        self._flush(role, content)

    def _flush(self, role: str, content: list[Json]) -> None:
        if content:
            self.items.append({"type": "message", "role": role, "content": content})

    def _assistant(self, part: Part, path: str) -> None:
        match part:
            case Text(text=""):
                pass
            case Text(citations=citations) if citations and self._request.protocol == PROTOCOL:
                self._said(
                    {"type": "output_text", "text": part.text, "annotations": [cited.raw for cited in citations]}
                )
            case Text(text=text):
                self.items.append({"type": "message", "role": "assistant", "content": text})
            case Refusal(text=text):
                self._said({"type": "refusal", "refusal": text})
            case Thinking():
                self._thinking(part)
            case ToolCall():
                item = encode_call(part, legal_call_id(part.id), self._tools)
                self._calls[part.id] = item
                self.items.append({"id": item["call_id"], **item} if item["type"] == "local_shell_call" else item)
            case Opaque():
                self._opaque_of_model(part, path)
            case _:
                self._lose(part, path)

    def _said(self, content: Json) -> None:
        self.items.append({**_SAID, "content": [content]})

    def _thinking(self, part: Thinking) -> None:
        signature, family = part.signature, self._capabilities.family
        foreign = signature is None or signature.vendor != "openai"
        if foreign or (signature and signature.family and family and signature.family != family):
            # Nobody misses it: what another model thought instructs no one.
            return
        assert signature is not None
        self.encrypted = True
        summary = [{"type": "summary_text", "text": part.text}] if part.text else []
        # An id that is not the one the content was encrypted under makes OpenAI refuse it; none at all is accepted.
        self.items.append({"type": "reasoning", "summary": summary, "encrypted_content": signature.value})

    def _opaque_of_model(self, part: Opaque, path: str) -> None:
        if part.protocol == PROTOCOL:
            self.items.append({**_SAID, "content": [part.raw]} if is_content(part) else part.raw)
        elif part.summary:
            self.items.append({"type": "message", "role": "assistant", "content": part.summary})
        else:
            self._lose(part, path)

    def _result(self, result: ToolResult, path: str) -> list[Media]:
        """Write an answer; return the media in it that a user's message must show instead."""
        parts = result_parts(result)
        for part in result.parts:
            if isinstance(part, Opaque) and not part.summary and not is_content(part):
                self._lose(part, path)
        answered = self._calls.get(result.call_id)
        shown: list[Media] = []
        if not self._capabilities.media_in_results:
            shown = [part for part in parts if isinstance(part, Media)]
            parts = [part for part in parts if not isinstance(part, Media)]
        for part in parts:
            self._allowed(part, path)
        if all(isinstance(part, Text) for part in parts) and len(parts) <= 1:
            output: str | list[Json] = parts[0].text if parts and isinstance(parts[0], Text) else ""
        else:
            output = encode_content(parts, path)
        item = encode_result(result, output, answered)
        item["call_id" if "call_id" in item else "id"] = legal_call_id(result.call_id)
        self.items.append(item)
        return shown

    def _allowed(self, part: Text | Media | Opaque, path: str) -> None:
        """Refuse media that the model cannot see: an answer without them would be one to another question."""
        if not isinstance(part, Media):
            return
        takes = {"image": self._capabilities.images, "document": self._capabilities.documents}.get(part.kind, False)
        if not takes and not (part.kind == "document" and part.text):
            raise refuse(path, f"the model takes no {part.kind}")
        if part.file_id and self._request.protocol not in (PROTOCOL, "openai-chat"):
            raise refuse(path, "a file uploaded to another vendor is unknown to OpenAI")

    def _lose(self, part: Part, path: str) -> None:
        kind = part.kind if isinstance(part, Opaque | Media) else type(part).__name__.lower()
        self.losses.append(Loss(f"{path} ({kind})", "the Responses API has no place for it"))


def _tools(request: ChatRequest, capabilities: Capabilities) -> tuple[Json, list[Loss]]:
    wire, losses = encode_tools(request)
    if not wire:
        return {}, losses
    tools, choice = by_name(request), request.tool_choice
    if choice.mode == "required" and capabilities.forced_tools == "never":
        losses.append(Loss("tool_choice", "the model cannot be made to call a tool"))
        members: Json = {"tools": wire, "tool_choice": "auto"}
    else:
        members = {"tools": wire, "tool_choice": encode_choice(choice, tools)}
    if choice.parallel is not None:
        members["parallel_tool_calls"] = choice.parallel
    return members, losses


def _sampling(request: ChatRequest, capabilities: Capabilities) -> tuple[Json, list[Loss]]:
    sampling = request.sampling
    members: Json = {}
    losses: list[Loss] = []
    for field in ("temperature", "top_p"):
        value = getattr(sampling, field)
        if value is not None and capabilities.sampling:
            members[field] = value
        elif is_sampling_loss(request, field):
            losses.append(Loss(field, "the model takes no sampling parameters"))
    if request.protocol != PROTOCOL and sampling.logprobs:
        losses.append(Loss("logprobs", "the answer's probabilities have no place in the canonical form"))
    elif sampling.top_logprobs is not None:
        members["top_logprobs"] = sampling.top_logprobs
    for field in ("top_k", "seed", "presence_penalty", "frequency_penalty"):
        if is_sampling_loss(request, field):
            losses.append(Loss(field, "the Responses API has no such parameter"))
    if request.stop:
        losses.append(Loss("stop", "the Responses API has no stop sequences"))
    return members, losses


def _limits(request: ChatRequest, capabilities: Capabilities) -> tuple[Json, list[Loss]]:
    asked = request.max_tokens
    if asked is None:
        return {}, []
    if asked == 0:
        raise refuse("max_tokens", "an answer of no tokens only warms Anthropic's cache")
    given = max(asked, _LEAST_OUTPUT)
    if capabilities.max_output:
        given = min(given, capabilities.max_output)
    changed = [Loss("max_tokens", f"{given} instead of {asked}: the model's limit")] if given != asked else []
    return {"max_output_tokens": given}, changed


def _reasoning(request: ChatRequest, capabilities: Capabilities) -> tuple[Json, list[Loss]]:
    reasoning = request.reasoning
    level = reasoning.level
    if level is None and reasoning.budget is not None:
        level = level_of_budget(reasoning.budget)
    members: Json = {}
    if level not in (None, "auto"):
        fitting = fit_level(level, capabilities.levels) or level
        members["effort"] = _EFFORTS[fitting]
    if reasoning.visible:
        members["summary"] = "auto"
    if not members:
        return {}, []
    if capabilities.thinking == "none" and request.protocol != PROTOCOL:
        asked = level != "off" and (level is not None or bool(reasoning.visible))
        return {}, [Loss("thinking", "the model does not think")] if asked else []
    return {"reasoning": members}, []


def _output(request: ChatRequest, capabilities: Capabilities) -> tuple[Json, list[Loss]]:
    output, able = request.output, capabilities.structured_output
    if output.kind == "text":
        return {}, []
    if able == "none":
        return {}, [Loss("response format", "the model cannot be held to a format")]
    if output.kind == "json" or able == "json":
        lost = [Loss("response format", "the model can be held to JSON, not to a schema")]
        return {"text": {"format": {"type": "json_object"}}}, lost if output.kind == "schema" else []
    schema: Json = {"type": "json_schema", "name": output.name or "answer", "schema": output.schema or {}}
    if output.description:
        schema["description"] = output.description
    if output.strict is not None:
        schema["strict"] = output.strict
    return {"text": {"format": schema}}, []


def _extras(body: Json, extras: tuple[Extra, ...]) -> list[Loss]:
    losses: list[Loss] = []
    for extra in extras:
        if extra.protocol == PROTOCOL and extra.field not in _SETTLED:
            _place(body, extra.field, extra.value)
        elif extra.field == "service_tier" and extra.value not in _SERVICE_TIERS:
            losses.append(Loss(extra.field, f"OpenAI has no tier {extra.value!r}"))
        elif extra.protocol == "openai-chat" and extra.field in _SAME_IN_CHAT:
            _place(body, _SAME_IN_CHAT[extra.field], extra.value)
        elif is_loss(extra):
            losses.append(Loss(extra.field, "unknown to the Responses API"))
    return losses


def _place(body: Json, field: str, value: Any) -> None:
    """Set a member; a dot leads into the object that holds it."""
    outer, dot, inner = field.partition(".")
    if dot:
        body[outer] = {**body.get(outer, {}), inner: value}
    else:
        body[outer] = value
