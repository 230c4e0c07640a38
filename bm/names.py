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
EMBEDDINGS: Final[frozenset[Operation]] = frozenset({"embed", "batch_embed"})

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

FAMILIES: Final = ("opus", "sonnet", "haiku")
"""The words that every provider maps to a model of its own."""

RouteKind = Literal["long_context", "image", "web_search", "background", "think", "default"]
"""What a request can be for `[routes]`, by precedence."""

ToolName = Literal["claude-code", "codex", "gemini-cli", "opencode"]
"""The coding tools that are known by their user agents."""

By = Literal["provider", "model", "account", "key", "tool", "node", "day"]
"""How usage is grouped. `model` is the one that answered, `key` the one that asked, `tool` the client's user agent,
`day` a day of local time."""

MAIN_KEY: Final = "main"
"""The name of bm's own key, with which everything is open; other keys get theirs from the user."""

PROTOCOLS: tuple[ProtocolName, ...] = get_args(ProtocolName)
ROUTE_KINDS: tuple[RouteKind, ...] = get_args(RouteKind)
TOOLS: tuple[ToolName, ...] = get_args(ToolName)

_USER_AGENTS: dict[ToolName, str] = {
    "claude-code": "claude-cli/",  # claude-cli/2.1.330 (external, cli)
    "codex": "codex",  # codex_exec/0.169.0 (...), codex_cli_rs/...
    "gemini-cli": "geminicli",  # GeminiCLI-tui/0.61.0/gemini-3.1-pro-preview (...)
    "opencode": "opencode/",  # opencode/1.18.33 ai-sdk/...
}
"""How each tool's user agent begins, in lower case (recorded from the tools, 2026-11)."""


def known_tool(user_agent: str) -> ToolName | None:
    """The coding tool with that user agent; None if it is not known."""
    sent = user_agent.lower()
    return next((tool for tool, start in _USER_AGENTS.items() if sent.startswith(start)), None)
