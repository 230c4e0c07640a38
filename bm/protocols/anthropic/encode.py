"""A request in canonical form, written for the Messages API."""

from __future__ import annotations

import msgspec

from bm.chat.capabilities import Capabilities
from bm.chat.parts import Json, Text
from bm.chat.repair import reminder
from bm.chat.request import LEVELS, ChatRequest, Loss
from bm.chat.thinking import may_force
from bm.names import ANTHROPIC
from bm.protocols.anthropic.cache_control import limit_marks
from bm.protocols.anthropic.content import BlockWriter
from bm.protocols.anthropic.thinking import OFF, ThinkingPlan, plan_thinking
from bm.protocols.anthropic.tools import choice_in_words, encode_choice, encode_tools
from bm.protocols.anthropic.turns import ATTRIBUTION, encode_turns
from bm.protocols.codec import Encoded
from bm.protocols.json_schema.subsets import closed_schema, is_closable
from bm.protocols.parameters import described_schema, output_format, own_extras, sampling, stop_sequences
from bm.protocols.reading import array_of, refuse

VERSION_WITH_SAMPLING = "2023-06-01"
VERSION = "2026-10-21"
"""The newer version answers 400 to `temperature`, `top_p` and `top_k` on every model (Anthropic, "Versioning")."""

DEFAULT_MAX_TOKENS = 8192
MAX_TOKENS_WITHOUT_STREAM = 21_333
"""The SDKs refuse to wait ten minutes for an answer that is not streamed; more tokens than this may take as long."""

MAX_USER = 256

_BETAS = {
    "context_management": "context-management-2025-06-27",
    "mcp_servers": "mcp-client-2025-11-20",
    "compaction": "compact-2026-09-04",
    "speed": "fast-mode-2026-02-01",
    "fallbacks": "server-side-fallback-2026-07-01",
    "thread": "message-threads-2026-08-12",
}
"""Fields that are refused without their `anthropic-beta` header."""
_BINDING_BETA = "thinking-binding-controls-2026-08-01"


def encode_request(request: ChatRequest, capabilities: Capabilities, *, model: str) -> Encoded:
    """Write the request for `model`.

    The API version goes into `Encoded.headers`: for Claude the older one only where the model takes the sampling
    parameters that the client set; services of other vendors know no newer one, nor automatic caching.

    Raises:
        RequestError: Claude cannot serve the request: several answers, audio, another vendor's file.
    """
    if request.choices > 1:
        raise refuse("n", "Claude gives one answer")
    native = request.protocol == ANTHROPIC
    losses: list[Loss] = []
    plan = plan_thinking(request, capabilities, _room(request, capabilities), losses)
    parameters = _sampling(request, capabilities, losses, thinks=plan.on)
    claude = bool(capabilities.family)
    version = VERSION if claude and not parameters else VERSION_WITH_SAMPLING
    writer = BlockWriter(capabilities, native=native, citations=version == VERSION_WITH_SAMPLING)
    if not is_closable(request.output.schema):
        capabilities = msgspec.structs.replace(capabilities, structured_output="none")
    form = output_format(request, capabilities, losses, json=False)
    system = writer.system((*request.system, Text(form.instruction)))
    messages = encode_turns(request, capabilities, writer, losses)
    if not messages:
        messages, system = [{"role": "user", "content": system or [{"type": "text", "text": "…"}]}], []
    tools = encode_tools(request, capabilities, losses)
    forced = may_force(request, capabilities)
    words = choice_in_words(request.tool_choice, capabilities, forced=forced)
    if tools and words and messages[-1]["role"] == "user":
        # Anthropic, "Error codes", on forced tool use.
        messages[-1]["content"].append({"type": "text", "text": reminder(words)})
    config: Json = {"effort": plan.effort} if plan.effort else {}
    if form.kind == "schema":
        schema = closed_schema(described_schema(request.output), capabilities.output_keywords)
        config["format"] = {"type": "json_schema", "schema": schema}
    members = {
        "system": system,
        "messages": messages,
        "tools": tools,
        "tool_choice": encode_choice(request.tool_choice, tools, losses, forced=forced),
        "stop_sequences": stop_sequences(request, capabilities.max_stop, losses, blank=False),
        "thinking": _bound(plan, messages, capabilities, writer.betas),
        "metadata": {"user_id": request.user} if 0 < len(request.user) <= MAX_USER else None,
        "output_config": config,
        "stream": request.stream,
    }
    written = {name: value for name, value in members.items() if value}
    body: Json = {"model": model, "max_tokens": plan.max_tokens, **parameters, **written}
    _write_extras(body, request, writer.betas, losses, claude=claude)
    if claude and not native and not _marked(request):
        body["cache_control"] = {"type": "ephemeral"}
    limit_marks(body)
    _limit_effort(body, capabilities, losses)
    headers = {"anthropic-version": version, "anthropic-beta": ",".join(sorted(writer.betas))}
    return Encoded(body, tuple(losses), tuple((name, value) for name, value in headers.items() if value))


def _room(request: ChatRequest, capabilities: Capabilities) -> int:
    """The tokens for the answer, including thinking: the client's limit, else the model's."""
    most = capabilities.max_output
    if request.max_tokens is not None:
        return min(request.max_tokens, most) if most else request.max_tokens
    tokens = most or DEFAULT_MAX_TOKENS
    return tokens if request.stream else min(tokens, MAX_TOKENS_WITHOUT_STREAM)


def _sampling(request: ChatRequest, capabilities: Capabilities, losses: list[Loss], *, thinks: bool) -> Json:
    """`temperature`, `top_p` and `top_k`, within the model's rules."""

    def objection(name: str, value: float) -> str:
        match name:
            case "temperature" if thinks and value != 1:
                return "must be 1 while the model thinks"
            case "top_p" if thinks and value < 0.95:
                return "must be at least 0.95 while the model thinks"
            case "top_k" if thinks:
                return "cannot be set while the model thinks"
        return ""

    known = ("temperature", "top_p", "top_k")
    members = sampling(request, capabilities, losses, protocol=ANTHROPIC, known=known, objection=objection)
    if members.get("temperature", 0) > 1:
        members["temperature"] = 1
        losses.append(Loss("temperature", "lowered to 1, the most that Claude takes"))
    return members


def _write_extras(body: Json, request: ChatRequest, betas: set[str], losses: list[Loss], *, claude: bool) -> None:
    for extra in own_extras(request, ANTHROPIC, losses):
        present = body.get(extra.field)
        if "." in extra.field:
            losses.append(Loss(extra.field, "has no place in a translated request"))
        elif extra.field == ATTRIBUTION and claude:
            body["system"] = [{"type": "text", "text": extra.value}, *body.get("system", ())]
        elif extra.field == "betas":
            betas.update(name for name in array_of(extra.value) if isinstance(name, str))
        elif isinstance(present, dict) and isinstance(extra.value, dict):
            body[extra.field] = {**extra.value, **present}
        elif extra.field != ATTRIBUTION:
            body[extra.field] = extra.value
            betas.update({_BETAS[extra.field]} if extra.field in _BETAS else ())


def _bound(plan: ThinkingPlan, messages: list[Json], capabilities: Capabilities, betas: set[str]) -> Json | None:
    """The `thinking` member. Earlier thinking that no longer fits the conversation is dropped instead of refused.

    Its signature covers the system prompt, the tools and all messages before it, which a client may have changed since.
    """
    thinking = plan.thinking
    own = (message["content"] for message in messages if message["role"] == "assistant")
    replayed = any(block["type"] in ("thinking", "redacted_thinking") for blocks in own for block in blocks)
    if not (capabilities.thinking_bound and replayed) or (thinking is not None and thinking["type"] in OFF):
        return thinking
    betas.add(_BINDING_BETA)
    return {"type": "adaptive", **(thinking or {}), "block_binding": {"prefix_mismatch_behavior": "drop_block"}}


def _limit_effort(body: Json, capabilities: Capabilities, losses: list[Loss]) -> None:
    """Lower the effort where the model takes none so high without thinking."""
    config, most = body.get("output_config"), capabilities.effort_off
    effort = config.get("effort") if isinstance(config, dict) else None
    off = body.get("thinking", {}).get("type") in OFF
    if off and most and effort in LEVELS and LEVELS.index(effort) > LEVELS.index(most):
        body["output_config"] = {**body["output_config"], "effort": most}
        losses.append(Loss("output_config.effort", f"lowered to {most}, the most without thinking"))


def _marked(request: ChatRequest) -> bool:
    """Whether the client chose what to cache."""
    parts = (part for turn in request.turns for part in turn.parts)
    return any(getattr(item, "cache", None) is not None for item in (*request.system, *request.tools, *parts))
