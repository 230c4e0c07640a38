"""What a model, reached through its provider, accepts. Encoders read it; `bm.providers` fills it from data.

The defaults are those of a capable model of which nothing is known.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from bm.names import ForcedTools, Level, StructuredOutput, ThinkingForm


class Dialect(msgspec.Struct, frozen=True):
    """How an OpenAI-compatible service differs from OpenAI.

    `refuses` names request members it answers with 400, `takes` those it has beyond OpenAI's (`top_k`, `video_url`,
    `document_url`, `extra_content` for Gemini's thought signatures, `prefix` on an answer begun for the model).
    `thinking` says how it is told to think: OpenAI's `reasoning_effort`, Groq's with `reasoning_format`, Together's
    and OpenRouter's `reasoning` objects, DeepSeek's `thinking` switch. `history_thinking` is the assistant member that
    carries earlier thinking back; empty means it is dropped. `thinking_tag` is the tag in which raw models put
    thinking at the head of their content (`think`). `plain_content` services take message content only as a string
    where it is text alone. `call_id_length` is the exact number of letters and digits that a call's id must have
    (Mistral: 9); 0 is OpenAI's freedom. Without `user_after_tool` the service wants an assistant's message between a
    tool's result and the user (Mistral). What only OpenAI itself has (custom tools, `allowed_tools`, refusals, system
    messages anywhere) goes to the dialect named `openai`.
    """

    name: str = "openai"
    max_tokens_field: str = "max_completion_tokens"
    refuses: frozenset[str] = frozenset()
    takes: frozenset[str] = frozenset()
    thinking: Literal["effort", "groq", "together", "openrouter", "deepseek", "none"] = "effort"
    history_thinking: str = ""
    thinking_tag: str = ""
    plain_content: bool = False
    stream_usage: bool = True
    max_stop: int = 4
    call_id_length: int = 0
    user_after_tool: bool = True


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What one model takes.

    `family` is the set of models that accept one another's signatures. `levels` are the thinking levels it knows,
    rising; `budget` the least and the most thinking tokens; `thinking_off` how thinking is turned off: by omission, by
    saying so, or never. `context` and `max_output` are in tokens, 0 when unknown.
    """

    family: str = ""
    thinking: ThinkingForm = "none"
    levels: tuple[Level, ...] = ()
    budget: tuple[int, int] = (0, 0)
    thinking_off: Literal["omit", "say", "never"] = "omit"
    sampling: bool = True
    temperature_or_top_p: bool = False
    penalties: bool = True
    tools: bool = True
    forced_tools: ForcedTools = "always"
    system_turns: bool = False
    prefill: bool = True
    call_ids: bool = True
    signatures_required: bool = False
    json_schema: bool = True
    media_in_results: bool = True
    structured_output: StructuredOutput = "schema"
    structured_with_tools: bool = True
    search_with_tools: bool = True
    images: bool = True
    documents: bool = True
    audio: bool = False
    video: bool = False
    image_urls: bool = True
    max_stop: int = 0
    max_output: int = 0
    context: int = 0
    dialect: Dialect = Dialect()
