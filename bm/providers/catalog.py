"""The providers bm knows: one row each. A new provider is a new row, or a `[providers.NAME]` table of the user's.

Base URLs are written as in each vendor's SDKs: Anthropic and Gemini without a version path, OpenAI-compatible services
with one. Model names age; they are defaults that the configuration overrides.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from bm.chat.capabilities import Dialect
from bm.config.schema import GEMINI_MODELS
from bm.names import PROTOCOLS, ProtocolName

Auth = Literal["x-api-key", "bearer", "x-goog-api-key", "none"]
"""The header that carries the key; `none` for services on the own machine that ask for none."""

OPENAI_CLIENTS: Final[tuple[ProtocolName, ...]] = ("openai-chat", "openai-responses")


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One provider.

    `speaks` are its wire protocols, the preferred one first. `protocols` are the client protocols it matches when the
    configuration does not say. `dialect` is how its OpenAI protocols differ from OpenAI's, and `changes` are members of
    `Capabilities` that hold for all of its models over them. `console` is where a person gets a key. `models_path`
    lists its models, relative to the base URL. `models` maps exact names and the families opus, sonnet, haiku and
    `default`; `words` says what the bare words opus, sonnet, pro or flash mean at the vendor whose own they are.
    `serves` are glob patterns of the names a vendor with models of its own has; none = it may have any.
    """

    name: str
    speaks: tuple[ProtocolName, ...]
    base_url: str
    auth: Auth
    protocols: tuple[ProtocolName, ...] = OPENAI_CLIENTS
    dialect: Dialect = Dialect()
    changes: dict[str, Any] = {}
    key_env: str = ""
    console: str = ""
    models_path: str = "/models"
    models: dict[str, str] = {}
    words: dict[str, str] = {}
    serves: tuple[str, ...] = ()
    cache_control: Literal["keep", "strip"] = "strip"


_OPENAI_ONLY: Final = frozenset({"store", "metadata", "service_tier", "prediction", "modalities", "audio", "verbosity"})
"""Members that only OpenAI itself has a use for; strict services refuse them."""

_MISTRAL: Final = frozenset(
    {"model", "messages", "stream", "max_tokens", "min_tokens", "temperature", "top_p", "top_k", "random_seed", "stop"}
    | {"tools", "tool_choice", "parallel_tool_calls", "response_format", "reasoning_effort", "prompt_mode"}
    | {"safe_prompt", "frequency_penalty", "presence_penalty", "repetition_penalty", "n", "logprobs", "top_logprobs"}
    | {"metadata", "prediction", "prompt_cache_key", "service_tier", "guardrails"}
)

_NO_REPLAY: Final = {"replay": "", "replay_required": False}

GEMINI: Final = Row(
    name="gemini",
    speaks=("gemini",),
    base_url="https://generativelanguage.googleapis.com",
    auth="x-goog-api-key",
    protocols=PROTOCOLS,
    key_env="GEMINI_API_KEY",
    console="https://aistudio.google.com/apikey",
    models_path="/v1beta/models",
    models=GEMINI_MODELS,
    words={
        "pro": GEMINI_MODELS["opus"],
        "flash": GEMINI_MODELS["sonnet"],
        "flash-lite": GEMINI_MODELS["haiku"],
    },
    serves=("gemini*", "gemma*", "learnlm*", "imagen*", "veo*", "lyria*", "*embedding*", "tunedmodels/*", "aqa"),
)
"""The provider of the pool. Its settings are the `[gemini]` section."""

_PAID: Final[tuple[Row, ...]] = (
    Row(
        name="anthropic",
        speaks=("anthropic",),
        base_url="https://api.anthropic.com",
        auth="x-api-key",
        protocols=("anthropic",),
        key_env="ANTHROPIC_API_KEY",
        console="https://platform.claude.com/settings/keys",
        models_path="/v1/models",
        models={"default": "claude-sonnet-5-5"},
        words={"opus": "claude-opus-5-5", "sonnet": "claude-sonnet-5-5", "haiku": "claude-haiku-5-5"},
        serves=("claude*",),
        cache_control="keep",
    ),
    Row(
        name="groq",
        speaks=("openai-chat",),
        base_url="https://api.groq.com/openai/v1",
        auth="bearer",
        # console.groq.com/docs/openai: these are answered with 400. Explicit nulls are refused too.
        dialect=Dialect(
            name="groq",
            refuses=_OPENAI_ONLY
            | {"logprobs", "top_logprobs", "logit_bias", "n"}
            | {"prompt_cache_key", "prompt_cache_retention", "safety_identifier"},
            max_tools=128,
            thinking="groq",
            thinking_tag="think",
        ),
        changes={"structured_with_tools": False, **_NO_REPLAY},
        key_env="GROQ_API_KEY",
        console="https://console.groq.com/keys",
        models={
            "opus": "openai/gpt-oss-120b",
            "sonnet": "openai/gpt-oss-120b",
            "haiku": "openai/gpt-oss-20b",
            "default": "openai/gpt-oss-120b",
        },
    ),
    Row(
        name="together",
        speaks=("openai-chat",),
        base_url="https://api.together.ai/v1",
        auth="bearer",
        # docs.together.ai: `max_tokens` alone; templates of open models take content as a string.
        dialect=Dialect(
            name="together",
            max_tokens_field="max_tokens",
            refuses=_OPENAI_ONLY | {"parallel_tool_calls"},
            takes=frozenset({"top_k", "video_url"}),
            thinking="together",
            thinking_tag="think",
            plain_content=True,
            max_stop=0,
        ),
        key_env="TOGETHER_API_KEY",
        console="https://api.together.ai/settings/api-keys",
        models={
            "opus": "moonshotai/Kimi-K3",
            "sonnet": "zai-org/GLM-5.3",
            "haiku": "openai/gpt-oss-120b",
            "default": "openai/gpt-oss-120b",
        },
    ),
    Row(
        name="openai",
        dialect=Dialect(max_tools=128),
        # Responses first: over Chat Completions its newer models call no functions while they think.
        speaks=("openai-responses", "openai-chat"),
        base_url="https://api.openai.com/v1",
        auth="bearer",
        key_env="OPENAI_API_KEY",
        console="https://platform.openai.com/api-keys",
        models={"opus": "gpt-6.1-sol", "sonnet": "gpt-6.1-terra", "haiku": "gpt-6-luna", "default": "gpt-6.1-terra"},
    ),
    Row(
        name="openrouter",
        speaks=("openai-chat",),
        base_url="https://openrouter.ai/api/v1",
        auth="bearer",
        dialect=Dialect(
            name="openrouter",
            max_tokens_field="max_tokens",
            takes=frozenset({"top_k", "video_url", "reasoning_details"}),
            thinking="openrouter",
        ),
        # Models that demand their thinking back do so here too: can1357/oh-my-pi#787 (2026-04-26, DeepSeek V4).
        changes={"replay": "reasoning"},
        key_env="OPENROUTER_API_KEY",
        console="https://openrouter.ai/settings/keys",
        models={
            "opus": "anthropic/claude-opus-5.5",
            "sonnet": "anthropic/claude-sonnet-5.5",
            "haiku": "anthropic/claude-haiku-5.5",
        },
        cache_control="keep",
    ),
    Row(
        name="deepseek",
        speaks=("openai-chat",),
        base_url="https://api.deepseek.com/v1",
        auth="bearer",
        # api-docs.deepseek.com: `max_completion_tokens` is ignored; over Chat Completions there is no `json_schema`.
        dialect=Dialect(
            name="deepseek",
            max_tokens_field="max_tokens",
            refuses=frozenset({"logprobs", "top_logprobs"}),
            max_stop=16,
        ),
        changes={"structured_output": "json"},
        key_env="DEEPSEEK_API_KEY",
        console="https://platform.deepseek.com/api_keys",
        models={
            "opus": "deepseek-v4-pro",
            "sonnet": "deepseek-v4-pro",
            "haiku": "deepseek-v4-flash",
            "default": "deepseek-v4-flash",
        },
        serves=("deepseek*",),
    ),
    Row(
        name="mistral",
        speaks=("openai-chat",),
        base_url="https://api.mistral.ai/v1",
        auth="bearer",
        # Any other member is 422 `extra_forbidden` (mistralai SDK 3.7.0, ChatCompletionRequest).
        dialect=Dialect(
            name="mistral",
            max_tokens_field="max_tokens",
            only=_MISTRAL,
            renames=(("seed", "random_seed"),),
            takes=frozenset({"prefix", "document_url", "top_k"}),
            stream_usage=False,
            max_stop=0,
        ),
        key_env="MISTRAL_API_KEY",
        console="https://console.mistral.ai/api-keys",
        models={
            "opus": "mistral-large-4",
            "sonnet": "mistral-medium-latest",
            "haiku": "mistral-small-latest",
            "default": "mistral-medium-latest",
        },
    ),
    Row(
        name="gemini-openai",
        speaks=("openai-chat",),
        base_url="https://generativelanguage.googleapis.com/v1beta/openai",
        auth="bearer",
        # ai.google.dev/gemini-api/docs/openai: thought signatures travel in `extra_content`.
        dialect=Dialect(name="gemini-openai", takes=frozenset({"extra_content"})),
        key_env="GEMINI_OPENAI_API_KEY",
        console="https://aistudio.google.com/apikey",
        models=GEMINI_MODELS,
        serves=("gemini*", "gemma*"),
    ),
    Row(
        name="cerebras",
        speaks=("openai-chat",),
        base_url="https://api.cerebras.ai/v1",
        auth="bearer",
        # inference-docs.cerebras.ai/resources/openai: these are answered with 400.
        dialect=Dialect(
            name="cerebras",
            refuses=frozenset({"frequency_penalty", "presence_penalty", "logit_bias", "parallel_tool_calls"}),
            mixed_strict=False,
        ),
        changes=_NO_REPLAY,
        key_env="CEREBRAS_API_KEY",
        console="https://cloud.cerebras.ai/platform",
        models=dict.fromkeys(("opus", "sonnet", "haiku", "default"), "gpt-oss-120b"),
    ),
    Row(
        name="xai",
        speaks=("openai-responses", "openai-chat"),
        base_url="https://api.x.ai/v1",
        auth="bearer",
        dialect=Dialect(name="xai"),
        key_env="XAI_API_KEY",
        console="https://console.x.ai",
        models=dict.fromkeys(("opus", "sonnet", "default"), "grok-4.7") | {"haiku": "grok-4.3"},
        serves=("grok*",),
    ),
    Row(
        name="ollama",
        speaks=("openai-chat",),
        base_url="http://127.0.0.1:11434/v1",
        auth="none",
        dialect=Dialect(name="ollama", max_tokens_field="max_tokens", thinking_tag="think", max_stop=0),
        changes={"image_urls": False},
        console="https://ollama.com",
    ),
    Row(
        name="lmstudio",
        speaks=("openai-chat",),
        base_url="http://127.0.0.1:1234/v1",
        auth="none",
        dialect=Dialect(
            name="lmstudio",
            max_tokens_field="max_tokens",
            takes=frozenset({"top_k"}),
            thinking="none",
            thinking_tag="think",
            named_choice=False,
            max_stop=0,
        ),
        changes={"image_urls": False},
        console="https://lmstudio.ai",
    ),
)

COMPATIBLE: Final = Dialect(
    name="compatible", max_tokens_field="max_tokens", thinking_tag="think", takes=frozenset({"reasoning_details"})
)
"""A service of the user's about which nothing is known: what the widest set of servers takes."""

CATALOG: Final[dict[str, Row]] = {row.name: row for row in (GEMINI, *_PAID)}
KNOWN: Final[tuple[str, ...]] = tuple(row.name for row in _PAID)
"""The names a `[providers.NAME]` table may have without saying its protocol and base URL."""
CHANGES: Final[dict[str, dict[str, Any]]] = {row.dialect.name: row.changes for row in _PAID}
"""What a service changes of its models, by the name of its dialect."""
