"""The words that several rooms share: protocols and their paths, dispatch modes, and what models take."""

from __future__ import annotations

from typing import Final, Literal, get_args

ProtocolName = Literal["anthropic", "openai-chat", "openai-responses", "gemini"]
"""A wire format, on either side of bm."""

ANTHROPIC: Final[ProtocolName] = "anthropic"
CHAT: Final[ProtocolName] = "openai-chat"
RESPONSES: Final[ProtocolName] = "openai-responses"

Operation = Literal["generate", "count_tokens", "compact", "embed", "batch_embed"]
"""What is asked of a model; `compact` is OpenAI's summary in place of a conversation, `batch_embed` Gemini's embedding
of several texts."""
FITTED: Final[frozenset[Operation]] = frozenset({"generate", "count_tokens"})
"""Those whose requests are fitted to the model that they go to."""

PATHS: dict[tuple[ProtocolName, Operation], str] = {
    ("anthropic", "generate"): "/v1/messages",
    ("anthropic", "count_tokens"): "/v1/messages/count_tokens",
    ("openai-chat", "generate"): "/v1/chat/completions",
    ("openai-responses", "generate"): "/v1/responses",
    ("openai-responses", "count_tokens"): "/v1/responses/input_tokens",
    ("openai-responses", "compact"): "/v1/responses/compact",
    ("openai-chat", "embed"): "/v1/embeddings",
}
"""Where each API takes an operation. OpenAI's base URLs hold the `/v1`."""

GEMINI_METHODS: dict[tuple[Operation, bool], str] = {
    ("generate", False): "generateContent",
    ("generate", True): "streamGenerateContent",
    ("count_tokens", False): "countTokens",
    ("embed", False): "embedContent",
    ("batch_embed", False): "batchEmbedContents",
}
"""The method of Gemini's models for an operation that streams or does not."""

Mode = Literal["off", "exclusive", "pooled", "fallback"]
"""How a provider takes part in dispatch."""

Level = Literal["off", "minimal", "low", "medium", "high", "xhigh", "max", "auto"]
"""How much a model thinks; `auto` leaves the choice to it."""

ThinkingForm = Literal["none", "budget", "adaptive", "level", "effort"]
"""How thinking is asked for: Anthropic's or Gemini 2.5's token budget, Claude's adaptive thinking with an effort,
Gemini 3's level, an OpenAI-compatible `reasoning_effort`."""

ForcedTools = Literal["always", "unnamed", "without_thinking", "without_budget", "never"]
"""When a model can be made to call a tool; `unnamed`: some tool, but not a certain one."""

SamplingRule = bool | Literal["without_thinking"]
"""Whether a model takes temperature, top_p and top_k."""

StructuredOutput = Literal["schema", "json", "none"]
"""What an answer can be held to: a JSON Schema, JSON, nothing."""

By = Literal["provider", "model", "account", "key", "tool", "day"]
"""How usage is grouped. `model` is the one that answered, `key` the one that asked, `tool` the client's user agent,
`day` a day of local time."""

MAIN_KEY: Final = "main"
"""The name of bm's own key, with which everything is open; other keys get theirs from the user."""

PROTOCOLS: tuple[ProtocolName, ...] = get_args(ProtocolName)
