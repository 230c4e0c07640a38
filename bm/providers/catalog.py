"""The providers bm knows: one row each. A new provider is a new row, or a `[providers.NAME]` table of the user's.

Base URLs are as each vendor writes them for SDKs: Anthropic and Gemini without a version path, OpenAI-compatible
services with it. Model names age; they are defaults that the configuration is laid over.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from bm.config.schema import GEMINI_MODELS
from bm.names import PROTOCOLS, ProtocolName

Auth = Literal["x-api-key", "bearer", "x-goog-api-key", "none"]
"""The header that carries the key; `none` for services on the own machine that ask for none."""

OPENAI_CLIENTS: Final[tuple[ProtocolName, ...]] = ("openai-chat", "openai-responses")


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One provider.

    `speaks` are its wire protocols, the preferred one first. `protocols` are the client protocols it matches when the
    configuration does not say. `dialect` is a row of `bm.providers.dialects`. `console` is where a person gets a key.
    `models_path` lists its models, relative to the base URL. `models` maps exact names and the families opus, sonnet,
    haiku and `default`; `words` says what the bare words opus, sonnet and haiku mean at the vendor whose own they are.
    `serves` are glob patterns of the names a vendor with models of its own has; none = it may have any.
    """

    name: str
    speaks: tuple[ProtocolName, ...]
    base_url: str
    auth: Auth
    protocols: tuple[ProtocolName, ...] = OPENAI_CLIENTS
    dialect: str = "openai"
    key_env: str = ""
    console: str = ""
    models_path: str = "/models"
    models: dict[str, str] = {}
    words: dict[str, str] = {}
    serves: tuple[str, ...] = ()
    cache_control: Literal["keep", "strip"] = "strip"


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
        dialect="groq",
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
        dialect="together",
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
        # Chat first: what is translated goes there. A Responses client meets Responses.
        speaks=("openai-chat", "openai-responses"),
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
        dialect="openrouter",
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
        dialect="deepseek",
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
        dialect="mistral",
        key_env="MISTRAL_API_KEY",
        console="https://console.mistral.ai/api-keys",
        models={
            "opus": "mistral-large-latest",
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
        dialect="gemini-openai",
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
        dialect="cerebras",
        key_env="CEREBRAS_API_KEY",
        console="https://cloud.cerebras.ai/platform",
        models=dict.fromkeys(("opus", "sonnet", "haiku", "default"), "gpt-oss-120b"),
    ),
    Row(
        name="xai",
        speaks=("openai-chat", "openai-responses"),
        base_url="https://api.x.ai/v1",
        auth="bearer",
        dialect="xai",
        key_env="XAI_API_KEY",
        console="https://console.x.ai",
        models=dict.fromkeys(("opus", "sonnet", "default"), "grok-4.7") | {"haiku": "grok-4-1-fast-non-reasoning"},
        serves=("grok*",),
    ),
    Row(
        name="ollama",
        speaks=("openai-chat",),
        base_url="http://127.0.0.1:11434/v1",
        auth="none",
        dialect="ollama",
        console="https://ollama.com",
    ),
    Row(
        name="lmstudio",
        speaks=("openai-chat",),
        base_url="http://127.0.0.1:1234/v1",
        auth="none",
        dialect="lmstudio",
        console="https://lmstudio.ai",
    ),
)

CATALOG: Final[dict[str, Row]] = {row.name: row for row in (GEMINI, *_PAID)}
KNOWN: Final[tuple[str, ...]] = tuple(row.name for row in _PAID)
"""The names a `[providers.NAME]` table may have without saying its protocol and base URL."""
