"""The parameters of a request, written as far as a model takes them: sampling, limits, formats, unmapped fields.

Every function appends what it cannot write to `losses`, by the client's name for it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Literal

import msgspec

from bm.chat.capabilities import Capabilities
from bm.chat.parts import Json
from bm.chat.request import ChatRequest, Extra, Loss, OutputFormat
from bm.chat.thinking import asked_level, takes_sampling
from bm.names import ProtocolName
from bm.protocols.ignorable_fields import is_loss, is_sampling_loss
from bm.protocols.reading import refuse

_NAMES: Mapping[ProtocolName, Mapping[str, str]] = {
    "anthropic": {"format": "output_config.format", "stop": "stop_sequences"},
    "openai-chat": {"format": "response_format", "thinking": "reasoning_effort"},
    "openai-responses": {"format": "text.format", "thinking": "reasoning", "max_tokens": "max_output_tokens"},
    "gemini": {
        "format": "generationConfig.responseMimeType",
        "stop": "generationConfig.stopSequences",
        "thinking": "generationConfig.thinkingConfig",
        "max_tokens": "generationConfig.maxOutputTokens",
    },
}
SAMPLING = (
    "temperature", "top_p", "top_k", "presence_penalty", "frequency_penalty", "seed", "logprobs", "top_logprobs"
)  # fmt: skip
_PROBABILITIES = ("logprobs", "top_logprobs")


def field_name(request: ChatRequest, name: str) -> str:
    """What the client calls one of the parameters `format`, `stop`, `thinking` and `max_tokens`."""
    return _NAMES[request.protocol].get(name, name)


def sampling(
    request: ChatRequest,
    capabilities: Capabilities,
    losses: list[Loss],
    *,
    protocol: ProtocolName,
    known: Collection[str] = SAMPLING,
    objection: Callable[[str, float], str] = lambda name, value: "",
) -> Json:
    """The sampling parameters by their canonical names.

    `known` are the parameters that the protocol has; `objection` says why a value cannot be sent, empty when it can.
    """
    members: Json = {}
    for name in SAMPLING:
        value = getattr(request.sampling, name)
        if value is None:
            continue
        reason = _refusal(name, request, capabilities, protocol, known) or objection(name, value)
        if name == "top_p" and not reason and capabilities.temperature_or_top_p and "temperature" in members:
            reason = "the model takes either temperature or top_p"
        if not reason:
            members[name] = value
        elif is_sampling_loss(request, name):
            losses.append(Loss(name, reason))
    return members


def _refusal(
    name: str, request: ChatRequest, capabilities: Capabilities, protocol: ProtocolName, known: Collection[str]
) -> str:
    if name not in known:
        return "the service has no such parameter"
    if not takes_sampling(asked_level(request.reasoning), capabilities) and name in ("temperature", "top_p", "top_k"):
        return "the model takes no sampling parameters"
    if not capabilities.penalties and name.endswith("_penalty"):
        return "the model takes no penalties"
    if name in _PROBABILITIES and request.protocol != protocol:
        return "log probabilities have no place in the canonical form"
    return ""


def stop_sequences(request: ChatRequest, most: int, losses: list[Loss], *, blank: bool = True) -> list[str]:
    """The first `most` stop sequences, all of them for 0; `blank` says whether white space alone may be one."""
    given = [text for text in request.stop if text]
    stop = [text for text in given if blank or text.strip()]
    name = field_name(request, "stop")
    if len(stop) < len(given):
        losses.append(Loss(name, "a stop sequence of white space is refused"))
    if most and len(stop) > most:
        losses.append(Loss(f"{name}[{most}:]", f"the service takes {most} stop sequences"))
    return stop[: most or None]


def max_tokens(request: ChatRequest, most: int) -> int | None:
    """The limit of the answer, at most `most` unless that is 0. Agents ask for more than a model has: it is no loss.

    Raises:
        RequestError: no tokens are asked for.
    """
    tokens = request.max_tokens
    if tokens is not None and tokens < 1:
        raise refuse(field_name(request, "max_tokens"), "an answer of no tokens only warms Anthropic's cache")
    return min(tokens, most) if tokens is not None and most else tokens


class Format(msgspec.Struct, frozen=True):
    """How the answer's format is asked for: as a wire format, and in words where the service has none."""

    kind: Literal["text", "json", "schema"] = "text"
    instruction: str = ""


def output_format(request: ChatRequest, capabilities: Capabilities, losses: list[Loss], *, json: bool = True) -> Format:
    """The format nearest to what the client asked for. `json` says whether the protocol has one for any object."""
    output, able = request.output, capabilities.structured_output
    if output.kind == "text":
        return Format()
    if request.tools and not capabilities.structured_with_tools:
        able = "none"
    if output.kind == "schema" and able == "schema":
        return Format("schema")
    kind: Literal["text", "json"] = "json" if json and able != "none" else "text"
    if output.kind == kind:
        return Format(kind)
    losses.append(Loss(field_name(request, "format"), "asked for in words: the model cannot be held to it"))
    return Format(kind, json_in_words(described_schema(output)))


def json_in_words(schema: Json | None) -> str:
    """How a model is asked for JSON that it cannot be held to."""
    text = "Answer with a single JSON value and nothing else: no explanation, no code fence."
    return f"{text} It must fit this JSON Schema:\n{msgspec.json.encode(schema).decode()}" if schema else text


def described_schema(output: OutputFormat) -> Json:
    """The schema of the answer, with the description that only OpenAI's formats have beside it."""
    schema = output.schema or {}
    return {"description": output.description, **schema} if output.description and schema else schema


def own_extras(request: ChatRequest, protocol: ProtocolName, losses: list[Loss]) -> Iterator[Extra]:
    """The unmapped fields that `protocol` knows; those of other protocols that change the answer are lost."""
    for extra in request.extras:
        if extra.protocol == protocol and "[" not in extra.field:
            yield extra
        elif is_loss(extra):
            own = extra.protocol == protocol
            losses.append(Loss(extra.field, f"has no place in {'a translated request' if own else 'the protocol'}"))


def put(body: Json, path: str, value: Any) -> None:
    """Set a field; dots lead into the objects that hold it, which are copied."""
    name, _, rest = path.partition(".")
    if rest:
        body[name] = dict(body.get(name, {}))
        put(body[name], rest, value)
    else:
        body[name] = value


def drop_values(body: Json, refused: Collection[str], losses: list[Loss]) -> None:
    """Take out the members that the model refuses, by name or as `name=value`."""
    for name, _, value in (each.partition("=") for each in refused):
        if name in body and value in ("", str(body[name])):
            del body[name]
            losses.append(Loss(name, "the model refuses it"))


def drop_refused(body: Json, refused: Collection[str], ignorable: Collection[str], losses: list[Loss]) -> None:
    """Take out the fields that the service answers with 400; the `ignorable` ones among them change no answer."""
    for name in sorted(body.keys() & set(refused)):
        value = body.pop(name)
        if name not in ignorable and value is not False:
            losses.append(Loss(name, "the service refuses it"))


def short(text: str, most: int) -> str:
    """The text, or a digest of it in `most` characters that still tells one user or conversation from another."""
    return text if len(text) <= most else hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:most]
