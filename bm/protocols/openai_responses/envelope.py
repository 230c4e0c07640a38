"""The response object around the items of an answer: its head, usage, and how it ended."""

from __future__ import annotations

from typing import Any

from bm.chat.events import Finish, Usage
from bm.chat.parts import Json
from bm.chat.request import ChatRequest
from bm.protocols.openai_responses.citations import PROTOCOL
from bm.protocols.openai_responses.decode import LEVELS
from bm.protocols.openai_responses.tools import by_name, encode_choice, encode_tools
from bm.protocols.reading import count_of, object_of, string_of

_WORDS = {level: word for word, level in LEVELS.items()}
_SHORT = {"length", "context_window"}


def head(request: ChatRequest, response_id: str, model: str, created: int) -> Json:
    """All of a response that is known before its first item, in the state `in_progress`.

    `instructions` is not echoed: it is the largest part of a coding tool's request, and would be sent three times.
    """
    extras = {extra.field: extra.value for extra in request.extras if extra.protocol == PROTOCOL}
    effort = request.reasoning.level
    return {
        "id": response_id,
        "object": "response",
        "created_at": created,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": request.max_tokens,
        "max_tool_calls": extras.get("max_tool_calls"),
        "model": model,
        "output": [],
        "parallel_tool_calls": request.tool_choice.parallel is not False,
        "previous_response_id": None,
        "prompt_cache_key": request.cache_key or None,
        "reasoning": {
            "effort": _WORDS.get(effort) if effort is not None else None,
            "summary": extras.get("reasoning.summary", "auto" if request.reasoning.visible else None),
        },
        "safety_identifier": request.user or None,
        "temperature": request.sampling.temperature,
        "text": _text(request, extras),
        "tool_choice": extras.get("tool_choice") or encode_choice(request.tool_choice, by_name(request)),
        "tools": encode_tools(request)[0],
        "top_logprobs": request.sampling.top_logprobs,
        "top_p": request.sampling.top_p,
        "truncation": extras.get("truncation") or "disabled",
        "usage": None,
        "metadata": extras.get("metadata") or {},
    }


def _text(request: ChatRequest, extras: Json) -> Json:
    output = request.output
    form: Json = {"type": {"text": "text", "json": "json_object", "schema": "json_schema"}[output.kind]}
    if output.kind == "schema":
        form |= {"name": output.name or "answer", "schema": output.schema or {}, "strict": output.strict}
        form["description"] = output.description or None
    return {"format": form, "verbosity": extras.get("text.verbosity") or "medium"}


def ending(finish: Finish | None, *, refused: bool) -> tuple[str, str | None]:
    """The status of an answer, and why it is incomplete. `refused`: it holds a refusal in the model's own words."""
    reason = finish.reason if finish is not None else "stop"
    if reason in _SHORT:
        return "incomplete", "max_output_tokens"
    if reason == "refusal" and not refused:
        return "incomplete", "content_filter"
    return "completed", None


def finish_of(response: Json, *, called: bool, refused: bool) -> Finish:
    """How an answer of the upstream ended."""
    native = string_of(object_of(response.get("incomplete_details")).get("reason"))
    if response.get("status") == "incomplete" or native:
        return Finish("refusal" if native == "content_filter" else "length", native=native or "incomplete")
    word = str(response.get("status") or "completed")
    return Finish("tool_calls" if called else "refusal" if refused else "stop", native=word)


def encode_usage(usage: Usage) -> Json:
    """OpenAI's usage: input with what came from the cache, output with the thinking."""
    return {
        "input_tokens": usage.prompt,
        "input_tokens_details": {"cached_tokens": usage.cache_read, "cache_write_tokens": usage.cache_write},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.thinking},
        "total_tokens": usage.prompt + usage.output,
    }


def decode_usage(value: Any) -> Usage | None:
    """Read a usage object; None when there is none."""
    if not isinstance(value, dict):
        return None
    details = object_of(value.get("input_tokens_details"))
    read, write = count_of(details.get("cached_tokens")), count_of(details.get("cache_write_tokens"))
    return Usage(
        input=max(0, count_of(value.get("input_tokens")) - read - write),
        cache_read=read,
        cache_write=write,
        output=count_of(value.get("output_tokens")),
        thinking=count_of(object_of(value.get("output_tokens_details")).get("reasoning_tokens")),
    )
