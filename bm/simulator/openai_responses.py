"""OpenAI Responses: items, the full sequence of events, sequence numbers from 0."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from bm import sse
from bm.simulator import openai_chat, signatures
from bm.simulator.answer import Answer, Prompt, Tokens, Tool, compact, count, split
from bm.simulator.faults import Trouble
from bm.simulator.openai_check import RESPONSE_ID, RESULTS, check_responses
from bm.simulator.request import Json, Request
from bm.simulator.rules import Finish
from bm.simulator.wire import CREATED, Frame, dump, interrupted, items, text_of

check = check_responses
call_id = openai_chat.call_id
error = openai_chat.error
headers = openai_chat.headers

_INCOMPLETE: dict[Finish, str] = {
    "length": "max_output_tokens",
    "context_window": "max_output_tokens",
    "content_filter": "content_filter",
    "blocked_prompt": "content_filter",
}


def prompt(request: Request) -> Prompt:
    """The request in terms common to all APIs. Everything but its last item may be cached."""
    body = request.body
    given = body.get("input")
    history = [{"role": "user", "content": given}] if isinstance(given, str) else list(items(given))
    tools = tuple(
        Tool(str(tool.get("name")), tool.get("parameters"))
        for tool in items(body.get("tools"))
        if tool.get("type") == "function"
    )
    before = [body[name] for name in ("instructions", "tools") if body.get(name)]
    segments = tuple(dump(value) for value in [*before, *history])
    step, results, last = _turn(history)
    style = (body.get("text") or {}).get("format") or {}
    choice = body.get("tool_choice")
    named = choice.get("name", "") if isinstance(choice, dict) else ""
    return Prompt(
        segments=segments,
        cacheable=max(0, len(segments) - 1),
        last_text=last,
        interrupted=interrupted(history),
        step=step,
        results=results,
        tools=tools,
        forced=named or (tools[0].name if choice == "required" and tools else ""),
        schema=style.get("schema"),
        thinks=(body.get("reasoning") or {}).get("effort") not in (None, "none")
        or bool((body.get("reasoning") or {}).get("summary")),
    )


def _turn(history: list[Json]) -> tuple[int, tuple[str, ...], str]:
    """Rounds of results since the last message of the user, the calls answered last, and the last text."""
    rounds: list[list[str]] = []
    before = last = ""
    for item in reversed(history):
        kind = str(item.get("type") or "message")
        if kind == "message" and item.get("role") == "user":
            return len(rounds), tuple(reversed(rounds[0])) if rounds else (), last or text_of(item.get("content"))
        if kind in RESULTS:
            if before not in RESULTS:
                rounds.append([])
            rounds[-1].append(str(item.get("call_id")))
            last = last or text_of(item.get("output"))
        before = kind
    return len(rounds), tuple(reversed(rounds[0])) if rounds else (), last


def _usage(tokens: Tokens) -> Json:
    said = tokens.output + tokens.thinking
    return {
        "input_tokens": tokens.input,
        "input_tokens_details": {"cached_tokens": tokens.cached, "cache_write_tokens": 0},
        "output_tokens": said,
        "output_tokens_details": {"reasoning_tokens": tokens.thinking},
        "total_tokens": tokens.input + said,
    }


def _output(request: Request, answer: Answer) -> list[Json]:
    number = request.number
    output: list[Json] = []
    if _compacts(request):
        sealed = signatures.issue("openai", answer.text)
        return [{"id": f"cmp_sim{number:08d}", "type": "compaction", "encrypted_content": sealed}]
    if answer.thinking:
        shown = answer.thinking if (request.body.get("reasoning") or {}).get("summary") else ""
        summary = [{"type": "summary_text", "text": shown}] if shown else []
        item: Json = {"id": f"rs_sim{number:08d}", "type": "reasoning", "summary": summary}
        if "reasoning.encrypted_content" in (request.body.get("include") or []):
            item["encrypted_content"] = signatures.issue("openai", shown)
        output.append(item)
    if answer.text or not answer.calls:
        part = {"type": "output_text", "text": answer.text, "annotations": [], "logprobs": []}
        base = {"id": f"msg_sim{number:08d}", "type": "message", "role": "assistant", "status": "completed"}
        output.append(base | {"content": [part]})
    kinds = dict(_offered(request.body))
    for place, (identifier, call) in enumerate(answer.calls):
        kind, named = kinds.get(call.name, ("function", {"name": call.name}))
        base = {"call_id": identifier, **named, "status": "completed"}
        if kind == "custom":
            text = str(call.arguments.get("input", ""))
            output.append({"id": f"ctc_sim{number:08d}{place:04d}", "type": "custom_tool_call", **base, "input": text})
        else:
            arguments = compact(call.arguments)
            output.append(
                {"id": f"fc_sim{number:08d}{place:04d}", "type": "function_call", **base, "arguments": arguments}
            )
    return output


def _compacts(request: Request) -> bool:
    """Whether the answer takes the place of the conversation (OpenAI, "Compaction", 2026)."""
    return [item.get("type") for item in items(request.body.get("input"))][-1:] == ["compaction_trigger"]


def _offered(body: Json) -> Iterator[tuple[str, tuple[str, Json]]]:
    """The functions and custom tools that a request offers: what a rule calls them, their kind, and what calls name.

    A rule calls a function of a namespace NAMESPACE__NAME.
    """
    given = body.get("input")
    added = [item for item in items(given) if item.get("type") == "additional_tools"] if given else []
    for tool in [*items(body.get("tools")), *(tool for item in added for tool in items(item.get("tools")))]:
        name = str(tool.get("name"))
        if tool.get("type") == "namespace":
            for inner in items(tool.get("tools")):
                called = {"name": inner.get("name"), "namespace": name}
                yield f"{name}__{inner.get('name')}", (str(inner.get("type")), called)
        else:
            yield name, (str(tool.get("type")), {"name": name})


def _response(request: Request) -> Json:
    body = request.body
    return {
        "id": f"{RESPONSE_ID}{request.number:08d}",
        "object": "response",
        "created_at": CREATED,
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "instructions": body.get("instructions"),
        "metadata": body.get("metadata") or {},
        "model": request.model,
        "output": [],
        "parallel_tool_calls": body.get("parallel_tool_calls", True),
        "temperature": body.get("temperature"),
        "tool_choice": body.get("tool_choice") or "auto",
        "tools": body.get("tools") or [],
        "top_p": body.get("top_p"),
        "usage": None,
    }


def full_response(request: Request, answer: Answer) -> Json:
    """A `response` object."""
    reason = _INCOMPLETE.get(answer.finish)
    return _response(request) | {
        "status": "incomplete" if reason else "completed",
        "incomplete_details": {"reason": reason} if reason else None,
        "output": _output(request, answer),
        "usage": _usage(answer.tokens),
    }


def _events(request: Request, answer: Answer) -> Iterator[Json]:
    final = full_response(request, answer)
    yield {"type": "response.created", "response": _response(request)}
    yield {"type": "response.in_progress", "response": _response(request)}
    for index, item in enumerate(final["output"]):
        place: Json = {"output_index": index}
        yield {"type": "response.output_item.added", **place, "item": _opened(item)}
        yield from _item_events(item, answer, place | {"item_id": item["id"]})
        yield {"type": "response.output_item.done", **place, "item": item}
    if not answer.no_done:
        yield {"type": f"response.{final['status']}", "response": final}


def _opened(item: Json) -> Json:
    """An item as it is when added."""
    if item["type"] == "reasoning":
        return item | {"summary": []}
    if item["type"] == "compaction":
        return item
    emptied: Json = {
        name: [] if name == "content" else "" for name in ("content", "arguments", "input") if name in item
    }
    return item | {"status": "in_progress"} | emptied


def _item_events(item: Json, answer: Answer, place: Json) -> Iterator[Json]:
    match item["type"]:
        case "reasoning":
            for index, part in enumerate(item["summary"]):
                here = place | {"summary_index": index}
                yield {"type": "response.reasoning_summary_part.added", **here, "part": part | {"text": ""}}
                for piece in split(part["text"], 2):
                    yield {"type": "response.reasoning_summary_text.delta", **here, "delta": piece}
                yield {"type": "response.reasoning_summary_text.done", **here, "text": part["text"]}
                yield {"type": "response.reasoning_summary_part.done", **here, "part": part}
        case "message":
            part = item["content"][0]
            here = place | {"content_index": 0}
            yield {"type": "response.content_part.added", **here, "part": part | {"text": ""}}
            for piece in answer.pieces:
                yield {"type": "response.output_text.delta", **here, "delta": piece, "logprobs": []}
            yield {"type": "response.output_text.done", **here, "text": part["text"], "logprobs": []}
            yield {"type": "response.content_part.done", **here, "part": part}
        case "compaction":
            pass
        case "custom_tool_call":
            kind = "response.custom_tool_call_input"
            for piece in split(item["input"], 3):
                yield {"type": f"{kind}.delta", **place, "delta": piece}
            yield {"type": f"{kind}.done", **place, "input": item["input"]}
        case _:
            kind = "response.function_call_arguments"
            for piece in split(item["arguments"], 3):
                yield {"type": f"{kind}.delta", **place, "delta": piece}
            yield {"type": f"{kind}.done", **place, "name": item["name"], "arguments": item["arguments"]}


def _frame(event: Json, number: int) -> Frame:
    encoded = msgspec.json.encode(event | {"sequence_number": number})
    return Frame(sse.encode(encoded, event["type"]), event["type"].endswith(".delta"))


def frames(request: Request, answer: Answer) -> list[Frame]:
    """`response.created` to `response.completed` or `response.incomplete`."""
    return [_frame(event, number) for number, event in enumerate(_events(request, answer))]


def counted(request: Request, prompt: Prompt) -> Json:
    """The body of `responses/input_tokens`."""
    return {"object": "response.input_tokens", "input_tokens": sum(count(segment) for segment in prompt.segments)}


def in_band(request: Request, trouble: Trouble, sent: int) -> Frame:
    """An `error` event."""
    said = openai_chat.error_object(trouble)
    event = {"type": "error", "code": said["code"] or said["type"], "message": said["message"], "param": said["param"]}
    return _frame(event, sent)
