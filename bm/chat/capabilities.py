"""What a model, reached through its provider, accepts. Encoders read it; `bm.providers` fills it from data.

The defaults are those of a capable model of which nothing is known.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from bm.names import ForcedTools, Level, SamplingRule, StructuredOutput, ThinkingForm


class Dialect(msgspec.Struct, frozen=True):
    """How an OpenAI-compatible service differs from OpenAI, whatever the model.

    `refuses` names request members it answers with 400; `only`, where it is not empty, all members that it takes, and
    `renames` what it calls some of OpenAI's. `takes` names what it has beyond OpenAI (`top_k`, `video_url`,
    `document_url`, `extra_content` for Gemini's thought signatures, `reasoning_details` of earlier answers, `prefix` on
    an answer begun for the model).

    `thinking` is the form in which it is asked to think: OpenAI's `reasoning_effort` or the model's own switch, Groq's
    with `reasoning_format`, Together's and OpenRouter's `reasoning` objects. `thinking_tag` is the tag in which raw
    models put thinking at the head of their content (`think`).

    `plain_content` services take message content only as a string where it is text alone, `named_choice` services the
    name of a tool in `tool_choice`, `mixed_strict` services strict and other tools in one request; `max_tools` is the
    most that one may have, 0 = unknown. What only OpenAI itself has (custom tools, `allowed_tools`, refusals, system
    messages anywhere) goes to the dialect named `openai`.
    """

    name: str = "openai"
    max_tokens_field: str = "max_completion_tokens"
    refuses: frozenset[str] = frozenset()
    only: frozenset[str] = frozenset()
    renames: tuple[tuple[str, str], ...] = ()
    takes: frozenset[str] = frozenset()
    thinking: Literal["effort", "groq", "together", "openrouter", "none"] = "effort"
    thinking_tag: str = ""
    plain_content: bool = False
    named_choice: bool = True
    max_tools: int = 0
    mixed_strict: bool = True
    stream_usage: bool = True
    max_stop: int = 4


class Capabilities(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one model takes."""

    family: str = ""
    """The set of models that accept one another's signatures."""
    context: int = 0
    """Tokens of prompt and answer together; 0 = unknown."""
    max_output: int = 0
    """Tokens of an answer; 0 = unknown."""
    max_tokens_field: str = ""
    """The name of `max_tokens` over Chat Completions, where the model decides it and not the service."""

    images: bool = True
    documents: bool = True
    audio: bool = False
    video: bool = False
    refused_types: tuple[str, ...] = ()
    """Glob patterns of the MIME types that it refuses among the kinds of media it takes."""
    image_urls: bool = True
    media_in_results: bool = True

    thinking: ThinkingForm = "none"
    levels: tuple[Level, ...] = ()
    """The levels of thinking that it knows, rising, without `off`."""
    levels_beyond_chat: tuple[Level, ...] = ()
    """Those of its levels that Chat Completions refuses."""
    budget: tuple[int, int] = (0, 0)
    """The least and the most thinking tokens."""
    thinks: bool = False
    """Whether it thinks when the request says nothing of thinking."""
    thinking_off: Literal["omit", "say", "between_tools", "never"] = "omit"
    """How thinking is turned off: by saying nothing, by saying so, by Claude's `between_tools`, or not at all."""
    effort_off: Level | Literal[""] = ""
    """The highest effort it takes with thinking turned off; empty = any."""
    thinking_switch: bool = False
    """Over Chat Completions thinking is turned on and off by `thinking: {type}`."""
    thinking_bound: bool = False
    """Its signatures cover the system prompt, the tools and all earlier messages."""
    replay: str = ""
    """The member of an assistant message that carries earlier thinking back, `content` as a part of type `thinking`;
    empty = it is dropped."""
    replay_required: bool = False
    """While it thinks, each assistant message with calls must carry `replay`, if only a space."""
    signatures_required: bool = False

    tools: bool = True
    forced_tools: ForcedTools = "always"
    chat: bool = True
    """Whether Chat Completions serves it; some of OpenAI's models are served by Responses alone."""
    chat_tools: Literal["", "no_effort", "thoughtless", "never"] = ""
    """What Chat Completions demands of requests with functions: no effort said, thinking off; or it takes none."""
    search_with_tools: bool = True
    call_ids: bool = True
    call_id_length: int = 0
    """The exact number of letters and digits of a call's id; 0 = free."""
    call_id_most: int = 64
    user_after_tool: bool = True
    """Whether a user message may follow the result of a tool."""

    refuses: tuple[str, ...] = ()
    """Members of OpenAI's requests that it refuses, by name or as `name=value`."""
    sampling: SamplingRule = True
    temperature_or_top_p: bool = False
    penalties: bool = True
    stop: bool = True
    """Whether Chat Completions takes stop sequences for it."""
    max_stop: int = 0
    choices: bool = True
    """Whether it gives several answers to one request."""
    system_turns: bool = False
    prefill: bool = True

    structured_output: StructuredOutput = "schema"
    structured_with_tools: bool = True
    output_keywords: frozenset[str] = frozenset()
    """The JSON Schema keywords that the schema of an answer may have; none = all."""
    json_schema: bool = True
    """Whether Gemini's fields for JSON Schema are used for its tools."""

    dialect: Dialect = Dialect()
