"""A request in canonical form, written for an upstream that speaks Anthropic."""

from __future__ import annotations

from bm.chat.capabilities import Capabilities
from bm.chat.parts import Json
from bm.chat.request import ChatRequest, Extra, Loss
from bm.protocols.anthropic.content import BlockWriter
from bm.protocols.anthropic.parameters import encode_output, encode_sampling, encode_stop
from bm.protocols.anthropic.thinking import ThinkingPlan, plan_thinking
from bm.protocols.anthropic.tools import encode_tool_choice, encode_tools
from bm.protocols.anthropic.turns import encode_turns
from bm.protocols.anthropic.wire import PROTOCOL
from bm.protocols.codec import Encoded
from bm.protocols.ignorable_fields import is_loss
from bm.protocols.reading import array_of, refuse

VERSION_WITH_SAMPLING = "2023-06-01"
VERSION = "2026-10-21"
"""The newer version answers 400 to `temperature`, `top_p` and `top_k` on every model (Anthropic, "Versioning")."""

DEFAULT_MAX_TOKENS = 8192
MAX_TOKENS_WITHOUT_STREAM = 21_333
"""The SDKs refuse to wait ten minutes for an answer that is not streamed; more tokens than this may take as long."""

_BETAS = {
    "context_management": "context-management-2025-06-27",
    "mcp_servers": "mcp-client-2025-11-20",
    "compaction": "compact-2026-09-04",
    "speed": "fast-mode-2026-02-01",
    "fallbacks": "server-side-fallback-2026-07-01",
    "thread": "message-threads-2026-08-12",
}
"""Members that are refused without their `anthropic-beta` header."""


def encode_request(request: ChatRequest, capabilities: Capabilities, *, model: str) -> Encoded:
    """Write the request for `model`.

    The API version goes into `Encoded.headers`: for Claude the older one only where the model takes the sampling
    parameters that the client set; services of other vendors know no newer one, nor automatic caching.

    Raises:
        RequestError: what the client asked for cannot be had from Claude: several answers, audio, a foreign file.
    """
    if request.choices > 1:
        raise refuse("n", "Claude gives one answer")
    native = request.protocol == PROTOCOL
    plan = plan_thinking(request, capabilities, _room(request, capabilities))
    sampling, losses = encode_sampling(request, capabilities, thinking=plan.on)
    claude = bool(capabilities.family)
    version = VERSION if claude and not sampling else VERSION_WITH_SAMPLING
    writer = BlockWriter(capabilities, native=native, citations=version == VERSION_WITH_SAMPLING)
    output, instruction, lost = encode_output(request.output, capabilities)
    losses += [*plan.losses, *lost, *_clamped(request, plan)]
    body: Json = {"model": model, "max_tokens": plan.max_tokens}
    system = writer.system((*request.system, *instruction))
    messages = encode_turns(request, capabilities, writer)
    if not messages:
        messages, system = [{"role": "user", "content": system or [{"type": "text", "text": "…"}]}], []
    if system:
        body["system"] = system
    body["messages"] = messages
    tools, lost = encode_tools(request)
    losses += lost
    if tools:
        body["tools"] = tools
    choice, lost = encode_tool_choice(request.tool_choice, tools, forced=_may_force(capabilities, plan))
    losses += lost
    if choice is not None:
        body["tool_choice"] = choice
    stop, lost = encode_stop(request.stop, capabilities)
    losses += lost
    body |= sampling | stop | _thinking(plan) | _identified(request.user)
    if config := output | ({"effort": plan.effort} if plan.effort else {}):
        body["output_config"] = config
    if request.stream:
        body["stream"] = True
    losses += _extras(body, request.extras, writer.betas)
    if claude and not native and not _marked(request):
        body["cache_control"] = {"type": "ephemeral"}
    return Encoded(_within_rules(body, losses), _once(writer.losses + losses), _headers(version, writer.betas))


def _room(request: ChatRequest, capabilities: Capabilities) -> int:
    """The tokens for the answer, thinking included: what the client said, else as many as the model gives."""
    most = capabilities.max_output
    if request.max_tokens is not None:
        return min(request.max_tokens, most) if most else request.max_tokens
    tokens = most or DEFAULT_MAX_TOKENS
    return tokens if request.stream else min(tokens, MAX_TOKENS_WITHOUT_STREAM)


def _clamped(request: ChatRequest, plan: ThinkingPlan) -> list[Loss]:
    if request.max_tokens is None or plan.max_tokens >= request.max_tokens:
        return []
    return [Loss("max_tokens", f"the model gives at most {plan.max_tokens}")]


def _may_force(capabilities: Capabilities, plan: ThinkingPlan) -> bool:
    match capabilities.forced_tools:
        case "never":
            return False
        case "without_thinking":
            return not plan.on
        case "without_budget":
            return not (plan.on and capabilities.thinking == "budget")
        case _:
            return True


def _thinking(plan: ThinkingPlan) -> Json:
    return {} if plan.thinking is None else {"thinking": plan.thinking}


def _identified(user: str) -> Json:
    return {"metadata": {"user_id": user}} if 0 < len(user) <= 256 else {}


def _extras(body: Json, extras: tuple[Extra, ...], betas: set[str]) -> list[Loss]:
    """Write back what came in this protocol; say what came in another and is worth a word."""
    losses: list[Loss] = []
    for extra in extras:
        present = body.get(extra.field)
        if extra.protocol != PROTOCOL:
            if is_loss(extra):
                losses.append(Loss(extra.field, "unknown to Anthropic"))
        elif "." in extra.field or "[" in extra.field:
            losses.append(Loss(extra.field, "has no place in a translated request"))
        elif extra.field == "betas":
            betas.update(name for name in array_of(extra.value) if isinstance(name, str))
        elif isinstance(present, dict) and isinstance(extra.value, dict):
            body[extra.field] = {**extra.value, **present}
        else:
            body[extra.field] = extra.value
            betas.update({_BETAS[extra.field]} if extra.field in _BETAS else ())
    return losses


def _within_rules(body: Json, losses: list[Loss]) -> Json:
    """Where thinking is turned off the highest efforts are refused (Claude Opus 5)."""
    config = body.get("output_config")
    off = body.get("thinking") == {"type": "disabled"}
    if off and isinstance(config, dict) and config.get("effort") in ("xhigh", "max"):
        body["output_config"] = {**config, "effort": "high"}
        losses.append(Loss("output_config.effort", "lowered to high, the most without thinking"))
    return body


def _marked(request: ChatRequest) -> bool:
    """Whether the client chose what to cache."""
    parts = (part for turn in request.turns for part in turn.parts)
    return any(getattr(item, "cache", None) is not None for item in (*request.system, *request.tools, *parts))


def _once(losses: list[Loss]) -> tuple[Loss, ...]:
    return tuple(dict.fromkeys(losses))


def _headers(version: str, betas: set[str]) -> tuple[tuple[str, str], ...]:
    head = ("anthropic-version", version)
    return (head, ("anthropic-beta", ",".join(sorted(betas)))) if betas else (head,)
