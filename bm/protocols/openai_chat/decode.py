"""A client's Chat Completions request, read into canonical form."""

from __future__ import annotations

from bm.chat.parts import Json
from bm.chat.request import ChatRequest, OutputFormat, Sampling, ToolChoice
from bm.names import CHAT
from bm.protocols import reading
from bm.protocols.openai.parameters import decode_format
from bm.protocols.openai_chat.thinking import MEMBERS as REASONING_MEMBERS
from bm.protocols.openai_chat.thinking import decode_reasoning
from bm.protocols.openai_chat.tools import decode_choice, decode_tools
from bm.protocols.openai_chat.turns import decode_turns

_READ = REASONING_MEMBERS | {
    "model", "messages", "tools", "functions", "tool_choice", "function_call", "parallel_tool_calls",
    "web_search_options", "temperature", "top_p", "top_k", "seed", "random_seed", "presence_penalty",
    "frequency_penalty", "logprobs", "top_logprobs", "max_tokens", "max_completion_tokens", "stop", "n", "stream",
    "stream_options", "prompt_cache_key", "safety_identifier", "user", "response_format",
}  # fmt: skip


def decode_request(body: Json, *, model: str = "", stream: bool | None = None) -> ChatRequest:
    """Read a client's request. `model` and `stream` override the body's."""
    name = model or reading.filled_string(body, "model", what="the name of a model")
    unread = reading.Unread(CHAT)
    unread.rest(body, _READ)
    tools, hosted = decode_tools(body)
    choice = decode_choice(body)
    legacy = body.get("tools") is None and bool(tools)
    if legacy:
        # Its one `function_call` member has room for a single call.
        choice = ToolChoice(choice.mode, choice.names, parallel=False)
    # Its other members, such as padding against eavesdroppers, are a matter of the wire.
    options = reading.mapping(body, "stream_options") or {}
    if (output := decode_format(body, "response_format")) is None:
        unread.add("response_format", body["response_format"])
    if body.get("safety_identifier") and body.get("user"):
        unread.add("user", body["user"])
    turns, system = decode_turns(body, unread)
    return ChatRequest(
        protocol=CHAT,
        model=name,
        turns=turns,
        system=system,
        tools=tools,
        hosted_tools=hosted,
        tool_choice=choice,
        sampling=_sampling(body),
        reasoning=decode_reasoning(body),
        output=output or OutputFormat(),
        max_tokens=_limit(body),
        stop=tuple(filter(None, reading.strings(body, "stop"))),
        choices=reading.integer(body, "n", least=1) or 1,
        stream=bool(reading.boolean(body, "stream")) if stream is None else stream,
        stream_usage=bool(reading.boolean(options, "include_usage", "stream_options")),
        legacy_functions=legacy,
        user=reading.string(body, "safety_identifier") or reading.string(body, "user"),
        cache_key=reading.string(body, "prompt_cache_key"),
        extras=tuple(unread.extras),
    )


def _limit(body: Json) -> int | None:
    """The longest answer; both members are checked, the newer one wins."""
    old, new = reading.integer(body, "max_tokens"), reading.integer(body, "max_completion_tokens")
    limit = old if new is None else new
    # Some agents send -1 or 0 for "no limit".
    return limit if limit is None or limit > 0 else None


def _sampling(body: Json) -> Sampling:
    seed = reading.integer(body, "seed")
    return Sampling(
        temperature=reading.number(body, "temperature"),
        top_p=reading.number(body, "top_p"),
        top_k=reading.integer(body, "top_k"),
        seed=reading.integer(body, "random_seed") if seed is None else seed,
        presence_penalty=reading.number(body, "presence_penalty"),
        frequency_penalty=reading.number(body, "frequency_penalty"),
        logprobs=_logprobs(body),
        top_logprobs=reading.integer(body, "top_logprobs"),
    )


def _logprobs(body: Json) -> bool | None:
    """Together and the older completions API say a number here."""
    value = body.get("logprobs")
    if isinstance(value, int) and not isinstance(value, bool):
        return value > 0
    return reading.boolean(body, "logprobs")
