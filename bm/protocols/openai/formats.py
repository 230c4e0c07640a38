"""The format of an answer, as far as OpenAI's two APIs take it."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from bm.chat.capabilities import Capabilities
from bm.chat.parts import Text
from bm.chat.request import ChatRequest, Loss
from bm.protocols.parameters import Format, output_format

_ANSWER = "Answer with a JSON object."


def openai_format(request: ChatRequest, capabilities: Capabilities, losses: list[Loss]) -> Format:
    """The format nearest to what the client asked for.

    OpenAI takes a schema only with an object at its root, and JSON only where the prompt speaks of it (OpenAI,
    "Structured outputs" and "JSON mode").
    """
    schema = request.output.schema or {}
    object_root = schema.get("type") == "object" and "anyOf" not in schema
    if capabilities.dialect.name == "openai" and schema and not object_root:
        capabilities = msgspec.structs.replace(capabilities, structured_output="none")
    form = output_format(request, capabilities, losses)
    if form.kind == "json" and not form.instruction and not any("json" in text.lower() for text in _texts(request)):
        return Format("json", _ANSWER)
    return form


def _texts(request: ChatRequest) -> Iterator[str]:
    parts = (part for turn in request.turns for part in turn.parts)
    yield from (part.text for part in (*request.system, *parts) if isinstance(part, Text))
