"""A request in canonical form, written for generateContent."""

from __future__ import annotations

from bm.chat.capabilities import Capabilities
from bm.chat.parts import Json, Text
from bm.chat.repair import GO_ON, NOT_CONTINUED
from bm.chat.request import ChatRequest, Loss
from bm.protocols import parameters
from bm.protocols.codec import Encoded
from bm.protocols.gemini.thinking import encode_reasoning
from bm.protocols.gemini.tools import encode_tools, schema_member
from bm.protocols.gemini.turns import TurnWriter
from bm.protocols.reading import camel, refuse

MAX_OUTPUT = 65_536
"""The most that any current model answers; a larger `maxOutputTokens` is a 400, and Claude Code asks for 128000."""
MAX_STOP = 5
_INT32 = 2**31

_PROBABILITIES = {"logprobs": "responseLogprobs", "top_logprobs": "logprobs"}
_REFUSED: dict[str, str] = {
    "container": "a container lives at its own vendor",
    "compaction": "only its own vendor compacts a conversation",
    "thread": "a thread lives at its own vendor",
    "previous_response_id": "the earlier response lives at its own vendor",
    "conversation": "the conversation lives at its own vendor",
    "background": "Gemini answers at once",
    "audio": "Gemini does not speak through this API",
}


def encode_request(request: ChatRequest, capabilities: Capabilities, *, model: str) -> Encoded:
    """Write the request for Gemini. `model` stands in the path, not in the body.

    Raises:
        RequestError: the request would mean something else without what Gemini cannot take.
    """
    for extra in request.extras:
        if extra.protocol != "gemini" and extra.field in _REFUSED and extra.value not in (None, False):
            raise refuse(extra.field, f"cannot be served by Gemini: {_REFUSED[extra.field]}")
    if request.choices > 1 and not capabilities.choices:
        raise refuse("n", "the model gives one answer a request")
    losses: list[Loss] = []
    contents = TurnWriter(capabilities).contents(request, losses)
    if contents[-1]["role"] == "model" and not capabilities.prefill:
        contents.append({"role": "user", "parts": [{"text": GO_ON}]})
        losses.append(NOT_CONTINUED)
    body: Json = {"contents": contents}
    config, instruction = _generation(request, capabilities, losses)
    if system := [{"text": each.text} for each in (*request.system, Text(instruction)) if each.text]:
        body["systemInstruction"] = {"parts": system}
    body |= encode_tools(request, capabilities, losses)
    if config:
        body["generationConfig"] = config
    for extra in parameters.own_extras(request, "gemini", losses):
        parameters.put(body, extra.field, extra.value)
    return Encoded(body, tuple(losses))


def _generation(request: ChatRequest, capabilities: Capabilities, losses: list[Loss]) -> tuple[Json, str]:
    """The `generationConfig`, and an instruction for the system prompt in place of a format."""
    config: Json = {}
    limit = parameters.max_tokens(request, capabilities.max_output or MAX_OUTPUT)
    if limit is not None:
        config["maxOutputTokens"] = limit
    if stop := parameters.stop_sequences(request, capabilities.max_stop or MAX_STOP, losses):
        config["stopSequences"] = stop
    if request.choices > 1:
        config["candidateCount"] = request.choices
    for name, value in parameters.sampling(request, capabilities, losses, protocol="gemini").items():
        if name not in _PROBABILITIES or request.sampling.logprobs:
            config[_PROBABILITIES.get(name, camel(name))] = value
    if "temperature" in config:
        config["temperature"] = min(max(config["temperature"], 0.0), 2.0)
    if "seed" in config:
        config["seed"] = (config["seed"] + _INT32) % (2 * _INT32) - _INT32
    form = parameters.output_format(request, capabilities, losses)
    if form.kind != "text":
        config["responseMimeType"] = "application/json"
    if form.kind == "schema":
        config |= schema_member("responseSchema", parameters.described_schema(request.output), capabilities)
    if thinking := encode_reasoning(request, capabilities, losses, limit):
        config["thinkingConfig"] = thinking
    return config, form.instruction
