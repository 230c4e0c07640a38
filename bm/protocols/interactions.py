"""Google's Interactions API, written in the terms of generateContent.

A client's request becomes one to generate, and the chunks of its response become the steps of an interaction, so that
every upstream can serve it. The shapes are those of google-genai 3.4.0 (`_gaos/types/interactions`, read 2026-11-30).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any

import msgspec

from bm.chat.parts import Json
from bm.chat.request import Extra, Loss
from bm.chat.signature import unwrap
from bm.protocols import reading
from bm.protocols.ignorable_fields import is_loss

_CONTENT = ("text", "image", "audio", "document", "video")
_GENERATION = {
    "temperature": "temperature",
    "top_p": "topP",
    "seed": "seed",
    "stop_sequences": "stopSequences",
    "max_output_tokens": "maxOutputTokens",
}
_TOOLS = {"google_search": "googleSearch", "url_context": "urlContext", "code_execution": "codeExecution"}
_REFUSED = ("agent", "background", "cached_content", "continuation_token", "environment", "webhook_config")
_READ: frozenset[str] = frozenset(
    {"model", "stream", "input", "system_instruction", "generation_config", "tools", "response_format", "store"}
    | {"response_mime_type", "response_modalities", "service_tier", "previous_interaction_id", *_REFUSED}
)
_READ_GENERATION = frozenset({*_GENERATION, "thinking_level", "thinking_summaries", "tool_choice"})
_READ_FUNCTION = frozenset({"type", "name", "description", "parameters"})
_READ_CONTENT = frozenset({"type", "text", "data", "uri", "mime_type", "annotations"})


class Asked(msgspec.Struct, frozen=True):
    """What a client asks for: the body for `generateContent`, and the steps of the conversation so far.

    `losses` are the members that generateContent has no counterpart of.
    """

    model: str
    stream: bool
    body: Json
    steps: list[Json]
    losses: tuple[Loss, ...] = ()


def decode(body: Json, earlier: list[Json]) -> Asked:
    """Read a request. `earlier` are the steps of the interaction that it follows on.

    Raises:
        RequestError: the body is no such request, or asks for what only Google's own service does.
    """
    for name in _REFUSED:
        if body.get(name) not in (None, False):
            raise reading.refuse(name, "is not offered by bm; ask for a model and its answer")
    steps = [*earlier, *_steps(body.get("input"))]
    document: Json = {"contents": _merged(_contents(steps))}
    if system := reading.string(body, "system_instruction"):
        document["systemInstruction"] = {"parts": [{"text": system}]}
    config = reading.mapping(body, "generation_config") or {}
    modalities = [str(each).upper() for each in reading.array_of(body.get("response_modalities"))]
    spoken = {"responseModalities": modalities} if modalities not in ([], ["TEXT"]) else {}
    if generation := _generation(config) | _format(body) | spoken:
        document["generationConfig"] = generation
    if tier := reading.string(body, "service_tier"):
        document["serviceTier"] = tier
    if tools := _tools(body):
        document["tools"] = tools
        if choice := _choice(config.get("tool_choice")):
            document["toolConfig"] = {"functionCallingConfig": choice}
    model = reading.filled_string(body, "model", what="the name of a model")
    stream = reading.boolean(body, "stream") or False
    return Asked(model.removeprefix("models/"), stream, document, steps, tuple(_losses(body, steps[len(earlier) :])))


def _losses(body: Json, steps: list[Json]) -> Iterator[Loss]:
    """The members of a request that have no place in one to generate, unless they change no answer."""
    places = [
        ("", body, _READ),
        ("generation_config.", reading.object_of(body.get("generation_config")), _READ_GENERATION),
    ]
    places += [(f"{at}.", tool, _READ_FUNCTION) for tool, at in reading.elements(body, "tools")]
    for number, step in enumerate(steps):
        contents = reading.objects_of(step.get("content"))
        places += [(f"input[{number}].content[{index}].", each, _READ_CONTENT) for index, each in enumerate(contents)]
    for place, held, known in places:
        for name in held.keys() - known:
            if held[name] is not None and is_loss(Extra("gemini", reading.camel(name), held[name])):
                yield Loss(place + name, "generateContent has no such member")


def _steps(given: Any) -> list[Json]:
    """The steps of an input: a text, a content, or a list of contents, steps or turns."""
    if isinstance(given, str):
        given = [{"type": "text", "text": given}]
    steps: list[Json] = []
    for number, row in enumerate(given if isinstance(given, list) else [given]):
        row = reading.element(row, f"input[{number}]")
        if row.get("type") in _CONTENT:
            last = steps[-1] if number else {}
            if last.get("type") != "user_input" or not isinstance(last.get("content"), list):
                steps.append({"type": "user_input", "content": []})
            steps[-1]["content"].append(row)
        elif "role" in row:
            content = row.get("content")
            parts = [{"type": "text", "text": content}] if isinstance(content, str) else reading.array_of(content)
            steps.append({"type": "model_output" if row["role"] == "model" else "user_input", "content": parts})
        else:
            reading.filled_string(row, "type", f"input[{number}]", "the type of a step")
            steps.append(row)
    if not steps:
        raise reading.refuse("input", "expected a text, contents or steps")
    return steps


def _merged(contents: Iterable[Json]) -> list[Json]:
    """The contents with neighbours of one role as one."""
    turns = groupby(contents, itemgetter("role"))
    return [{"role": role, "parts": [part for each in turn for part in each["parts"]]} for role, turn in turns]


def _contents(steps: list[Json]) -> Iterator[Json]:
    """The steps as contents. A signature of Gemini's goes to the part that follows the thought."""
    signature = ""
    calls = [step for step in steps if step["type"] == "function_call"]
    names = {reading.string_of(step.get("id")): step.get("name") for step in calls}
    for number, step in enumerate(steps):
        if step["type"] == "function_result" and not step.get("name"):
            step = step | {"name": names.get(reading.string_of(step.get("call_id")))}
        role, parts = _parts(step, f"input[{number}]")
        given = reading.string_of(step.get("signature")) if step["type"] == "thought" else ""
        if given and unwrap(given) is None:
            parts, signature = [], given
        elif role == "model" and parts and signature:
            parts[0]["thoughtSignature"], signature = signature, ""
        following = steps[number + 1]["type"] if number + 1 < len(steps) else ""
        if signature and following not in ("thought", "model_output", "function_call"):
            parts, signature = [*parts, {"text": "", "thoughtSignature": signature}], ""
        if parts:
            yield {"role": role, "parts": parts}


def _parts(step: Json, at: str) -> tuple[str, list[Json]]:
    """The role and the parts of a step; none of what a tool of Google's did, which a model is not shown again."""
    match step["type"]:
        case "user_input" | "model_output" as kind:
            parts = [_part(each, place) for each, place in reading.elements(step, "content", at)]
            return "user" if kind == "user_input" else "model", parts
        case "function_call":
            call = {"name": reading.required_string(step, "name", at), "args": reading.mapping(step, "arguments", at)}
            return "model", [{"functionCall": call | {"id": reading.string(step, "id", at)}}]
        case "function_result":
            return "user", [{"functionResponse": _result(step, at)}]
        case "thought":
            texts = (reading.string_of(each.get("text")) for each in reading.objects_of(step.get("summary")))
            thought: Json = {"text": "".join(texts), "thought": True}
            return "model", [thought | {"thoughtSignature": step["signature"]} if step.get("signature") else thought]
        case str(kind) if kind.endswith(("_call", "_result")):
            return "model", []
        case kind:
            raise reading.refuse(f"{at}.type", f"bm does not know the step {kind!r}")


def _part(content: Json, at: str) -> Json:
    match content.get("type"):
        case "text":
            return {"text": reading.string(content, "text", at)}
        case str(kind) if kind in _CONTENT and content.get("uri"):
            return {"fileData": {"fileUri": content["uri"], "mimeType": reading.string(content, "mime_type", at)}}
        case str(kind) if kind in _CONTENT:
            data = reading.required_string(content, "data", at)
            return {"inlineData": {"mimeType": reading.string(content, "mime_type", at), "data": data}}
        case kind:
            raise reading.refuse(f"{at}.type", f"bm does not know the content {kind!r}")


def _result(step: Json, at: str) -> Json:
    result = step.get("result")
    response: Json = {"id": reading.string(step, "call_id", at), "name": reading.string(step, "name", at)}
    if isinstance(result, list) and all(isinstance(each, dict) and each.get("type") in _CONTENT for each in result):
        parts = [_part(each, f"{at}.result[{number}]") for number, each in enumerate(result)]
        response["parts"] = [part for part in parts if "text" not in part]
        result = "\n".join(part["text"] for part in parts if "text" in part)
    return response | {"response": {"error" if step.get("is_error") else "output": result}}


def _tools(body: Json) -> list[Json]:
    functions: list[Json] = []
    hosted: list[Json] = []
    for tool, at in reading.elements(body, "tools"):
        kind = reading.string(tool, "type", at)
        if kind == "function":
            described = {"description": tool["description"]} if tool.get("description") else {}
            parameters = reading.mapping(tool, "parameters", at)
            schema = {"parametersJsonSchema": parameters} if parameters else {}
            functions.append({"name": reading.required_string(tool, "name", at), **described, **schema})
        elif kind in _TOOLS:
            hosted.append({_TOOLS[kind]: {}})
        else:
            raise reading.refuse(f"{at}.type", f"bm does not offer the tool {kind!r}")
    return [*([{"functionDeclarations": functions}] if functions else []), *hosted]


def _choice(choice: Any) -> Json:
    allowed = reading.object_of(reading.object_of(choice).get("allowed_tools"))
    mode = reading.string_of(allowed.get("mode") if allowed else choice)
    names = {"allowedFunctionNames": allowed["tools"]} if allowed.get("tools") else {}
    return {"mode": mode.upper(), **names} if mode else {}


def _generation(config: Json) -> Json:
    generation = {name: config[key] for key, name in _GENERATION.items() if config.get(key) is not None}
    thinking: Json = {}
    if level := reading.string(config, "thinking_level", "generation_config"):
        thinking["thinkingLevel"] = level.upper()
    if summaries := reading.string(config, "thinking_summaries", "generation_config"):
        thinking["includeThoughts"] = summaries != "none"
    return generation | ({"thinkingConfig": thinking} if thinking else {})


def _format(body: Json) -> Json:
    given = body.get("response_format")
    form = next(iter(reading.objects_of(given if isinstance(given, list) else [given])), {})
    # The form before that of the current SDK: the schema itself, with its type beside it.
    schema = form.get("schema") if form.get("type") in ("text", None) else form
    mime = form.get("mime_type") or body.get("response_mime_type")
    if isinstance(schema, dict):
        return {"responseMimeType": "application/json", "responseJsonSchema": schema}
    return {"responseMimeType": mime} if mime else {}


class Writer:
    """Writes the steps of one interaction from the chunks of a stream, or from a whole response as one chunk.

    `steps` are those that have begun; `failure` is the error in which the stream ended.
    """

    def __init__(self, name: str, model: str) -> None:
        self.steps: list[Json] = []
        self.failure: Json | None = None
        self._name, self._model = name, model
        self._open = False
        self._usage: Json = {}
        self._finish = ""

    def begin(self) -> Json:
        """The first event."""
        return {"event_type": "interaction.created", "interaction": self._interaction("in_progress")}

    def feed(self, chunk: Json) -> Iterator[Json]:
        """The events of a chunk."""
        if (error := chunk.get("error")) is not None:
            self.failure = error_object(reading.object_of(error))
            yield {"event_type": "error", "error": self.failure}
            return
        self._usage = reading.object_of(chunk.get("usageMetadata")) or self._usage
        for candidate in reading.objects_of(chunk.get("candidates"))[:1]:
            self._finish = reading.string_of(candidate.get("finishReason")) or self._finish
            for part in reading.objects_of(reading.object_of(candidate.get("content")).get("parts")):
                yield from self._part(part)

    def _part(self, part: Json) -> Iterator[Json]:
        signature, call = reading.string_of(part.get("thoughtSignature")), part.get("functionCall")
        text = reading.string_of(part.get("text"))
        if part.get("thought"):
            if text:
                content = {"type": "text", "text": text}
                yield from self._delta("thought", {"type": "thought_summary", "content": content})
            if signature:
                yield from self._delta("thought", {"type": "thought_signature", "signature": signature})
            return
        if text:
            yield from self._delta("model_output", {"type": "text", "text": text})
        if signature:
            yield from self._delta("thought", {"type": "thought_signature", "signature": signature})
        if isinstance(call, dict):
            step = {"type": "function_call", "id": call.get("id") or "", "name": call.get("name") or ""}
            yield from self._start(step | {"arguments": {}})
            arguments = reading.object_of(call.get("args"))
            self.steps[-1]["arguments"] = arguments
            delta = {"type": "arguments_delta", "arguments": msgspec.json.encode(arguments).decode()}
            yield {"event_type": "step.delta", "index": len(self.steps) - 1, "delta": delta}
            yield from self.stop()
        elif isinstance(blob := part.get("inlineData"), dict):
            mime = reading.string_of(blob.get("mimeType"))
            media = {"type": mime.partition("/")[0], "mime_type": mime, "data": blob.get("data")}
            yield from self._delta("model_output", media)

    def _delta(self, kind: str, delta: Json) -> Iterator[Json]:
        if not self._open or self.steps[-1]["type"] != kind:
            yield from self._start({"type": kind, "summary" if kind == "thought" else "content": []})
        self._keep(self.steps[-1], delta)
        yield {"event_type": "step.delta", "index": len(self.steps) - 1, "delta": delta}

    def _keep(self, step: Json, delta: Json) -> None:
        if delta["type"] == "thought_signature":
            step["signature"] = delta["signature"]
            return
        content = delta["content"] if delta["type"] == "thought_summary" else delta
        contents = step["summary"] if step["type"] == "thought" else step["content"]
        if content["type"] == "text" and contents and contents[-1]["type"] == "text":
            contents[-1] = {"type": "text", "text": contents[-1]["text"] + content["text"]}
        else:
            contents.append(content)

    def _start(self, step: Json) -> Iterator[Json]:
        yield from self.stop()
        self.steps.append(step)
        self._open = True
        shown = {name: [] if isinstance(value, list) else value for name, value in step.items()}
        yield {"event_type": "step.start", "index": len(self.steps) - 1, "step": shown}

    def stop(self) -> Iterator[Json]:
        """The end of the open step, if one is."""
        if self._open:
            self._open = False
            yield {"event_type": "step.stop", "index": len(self.steps) - 1}

    def end(self) -> Iterator[Json]:
        """The last events of a complete response."""
        yield from self.stop()
        yield {"event_type": "interaction.completed", "interaction": self.whole()}

    def whole(self) -> Json:
        """The interaction, complete."""
        if self._finish == "STOP" and any(step["type"] == "function_call" for step in self.steps):
            status = "requires_action"
        else:
            status = {"STOP": "completed", "MAX_TOKENS": "incomplete", "": "completed"}.get(self._finish, "failed")
        counts = {
            "total_input_tokens": "promptTokenCount",
            "total_output_tokens": "candidatesTokenCount",
            "total_thought_tokens": "thoughtsTokenCount",
            "total_cached_tokens": "cachedContentTokenCount",
            "total_tokens": "totalTokenCount",
        }
        usage = {name: reading.count_of(self._usage.get(count)) for name, count in counts.items()}
        whole = self._interaction(status) | {"steps": self.steps, "usage": usage}
        return whole | ({"errors": [{"code": self._finish}]} if status == "failed" else {})

    def _interaction(self, status: str) -> Json:
        return {"id": self._name, "object": "interaction", "model": self._model, "status": status}


def error_object(error: Json) -> Json:
    """The error of a generateContent client, as this API has it."""
    word = reading.string_of(error.get("status")).lower()
    code = "invalid_request" if error.get("code") == 400 else word
    return {"code": code, "message": error.get("message")}
