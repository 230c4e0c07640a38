"""The coding tools that `bm setup` and `bm run` know, one row each.

Every row was tested with the tool itself (tests/clients_real): what a tool reads first is not always what its
documentation says.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

from bm.clients.editors import CLAUDE_IN_VSCODE, EDITORS
from bm.clients.tool import FAMILIES, Model, Overlay, Override, Place, Setting, SettingsFile, Tool
from bm.config.keys import Key
from bm.names import ProtocolName

_CLAUDE_ELSEWHERE: Final = ("CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX", "CLAUDE_CODE_USE_FOUNDRY")
"""Variables that send Claude Code to another cloud, whatever its base URL is."""
_CLAUDE_HERE: Final = (
    Setting(("env", "ANTHROPIC_BASE_URL"), "{origin}"),
    Setting(("env", "ANTHROPIC_AUTH_TOKEN"), "{key}"),
)
_CLAUDE: Final = (*_CLAUDE_HERE, *(Setting(("env", name), None) for name in _CLAUDE_ELSEWHERE))
_CLAUDE_RUN: Final = (*_CLAUDE_HERE, *(Setting(("env", name), "0") for name in _CLAUDE_ELSEWHERE))
"""The settings of a run cannot remove a variable of the user's settings, but override it."""
_CLAUDE_OVERRIDES: Final = tuple(
    ("env", name) for name in ("ANTHROPIC_BASE_URL", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_API_KEY", *_CLAUDE_ELSEWHERE)
)

_CODEX: Final = (
    Setting(("model_provider",), "bm"),
    Setting(("model_providers", "bm", "name"), "bm"),
    Setting(("model_providers", "bm", "base_url"), "{origin}/v1"),
    Setting(("model_providers", "bm", "wire_api"), "responses"),
    Setting(("model_providers", "bm", "experimental_bearer_token"), "{key}"),
    # Codex refuses to start when the variable that env_key names is not set.
    Setting(("model_providers", "bm", "env_key"), None),
)
_CODEX_RUN: Final = (
    'model_providers.bm={name="bm",base_url="{origin}/v1",env_key="OPENAI_API_KEY",wire_api="responses"}'
)

_API_KEY: Final = Setting(("security", "auth", "selectedType"), "gemini-api-key")
_GOOGLE_ELSEWHERE: Final = ("GOOGLE_GENAI_USE_VERTEXAI", "GOOGLE_GENAI_USE_GCA")
"""Variables that send Gemini CLI to another Google service."""


def _opencode_models(models: Sequence[Model]) -> tuple[Setting, ...]:
    """Models of opencode's provider `bm`."""
    found = []
    for each in models:
        facts: dict[str, Any] = {
            "name": each.name,
            "tool_call": each.tools,
            "attachment": each.images,
            "modalities": {"input": ["text", "image"] if each.images else ["text"], "output": ["text"]},
        }
        if each.context and each.output:
            facts["limit"] = {"context": each.context, "output": each.output}
        at: Key = ("provider", "bm", "models", each.name)
        found += [Setting((*at, fact), value) for fact, value in facts.items()]
    return tuple(found)


def _opencode(key: str) -> tuple[Setting, ...]:
    """bm as a separate provider: opencode's own providers may be signed in elsewhere."""
    return (
        Setting(("provider", "bm", "npm"), "@ai-sdk/anthropic"),
        Setting(("provider", "bm", "name"), "bm"),
        Setting(("provider", "bm", "options", "baseURL"), "{origin}/v1"),
        Setting(("provider", "bm", "options", "apiKey"), key),
        *_opencode_models(FAMILIES),
        Setting(("model",), "bm/sonnet"),
        Setting(("small_model",), "bm/haiku"),
    )


_LLM_MODEL: Final = {
    "model_id": "bm",
    "model_name": "sonnet",
    "api_base": "{origin}/v1",
    "api_key_name": "bm",
    "supports_tools": True,
    "supports_schema": True,
    "vision": True,
}


def _llm(name: str) -> Place:
    folder = "io.datasette.llm"
    return Place(
        f"~/.config/{folder}",
        (name,),
        "LLM_USER_PATH",
        mac=f"~/Library/Application Support/{folder}",
        windows=f"~/AppData/Roaming/{folder}",
    )


TOOLS: Final[tuple[Tool, ...]] = (
    Tool(
        "claude",
        "Claude Code",
        "claude",
        "npm install -g @anthropic-ai/claude-code",
        protocols=("anthropic",),
        files=(
            # With a comment in it, it discards the whole file (anthropics/claude-code, issue 83190, 2026-08-01).
            SettingsFile(Place("~/.claude", ("settings.json",), "CLAUDE_CONFIG_DIR"), "json", _CLAUDE, strict=True),
            CLAUDE_IN_VSCODE,
        ),
        overrides=(
            Override(".claude/settings.json", "json", _CLAUDE_OVERRIDES),
            Override(".claude/settings.local.json", "json", _CLAUDE_OVERRIDES),
        ),
        overriding_variables=("ANTHROPIC_API_KEY", *_CLAUDE_ELSEWHERE),
        unset=_CLAUDE_ELSEWHERE,
        overlay=Overlay("claude.json", _CLAUDE_RUN, ("--settings", "{file}")),
    ),
    Tool(
        "codex",
        "Codex",
        "codex",
        "npm install -g @openai/codex",
        protocols=("openai-responses",),
        files=(SettingsFile(Place("~/.codex", ("config.toml",), "CODEX_HOME"), "toml", _CODEX),),
        overrides=(Override(".codex/config.toml", "toml", (("model_provider",), ("model_providers", "bm"))),),
        arguments=("-c", 'model_provider="bm"', "-c", _CODEX_RUN),
    ),
    Tool(
        "gemini",
        "Gemini CLI",
        "gemini",
        "npm install -g @google/gemini-cli",
        protocols=("gemini",),
        files=(
            SettingsFile(Place("~/.gemini", ("settings.json",), "GEMINI_CLI_HOME", ".gemini"), "json", (_API_KEY,)),
            SettingsFile(
                Place("~/.gemini", (".env",), "GEMINI_CLI_HOME", ".gemini"),
                "dotenv",
                (Setting(("GOOGLE_GEMINI_BASE_URL",), "{origin}"), Setting(("GEMINI_API_KEY",), "{key}")),
            ),
        ),
        overrides=(
            Override(".gemini/settings.json", "json", (_API_KEY.key,), over="both"),
            # It reads the nearest of these files only.
            Override(".gemini/.env", "dotenv"),
            Override(".env", "dotenv"),
        ),
        overriding_variables=("GEMINI_API_KEY", "GOOGLE_GEMINI_BASE_URL", "GOOGLE_API_KEY", *_GOOGLE_ELSEWHERE),
        unset=_GOOGLE_ELSEWHERE,
        overlay=Overlay(
            "gemini/.gemini/settings.json", (_API_KEY,), environ=(("GEMINI_CLI_HOME", "{folder}"),), copies=True
        ),
        note="Gemini CLI reads ~/.gemini/.env only in folders it trusts",
    ),
    Tool(
        "opencode",
        "opencode",
        "opencode",
        "npm install -g opencode-ai",
        protocols=("anthropic",),
        files=(
            SettingsFile(
                Place("~/.config/opencode", ("opencode.jsonc", "opencode.json")),
                "json",
                _opencode("{key}"),
                listing=_opencode_models,
            ),
        ),
        overrides=(
            Override("opencode.json", "json", (("model",), ("provider", "bm"))),
            Override("opencode.jsonc", "json", (("model",), ("provider", "bm"))),
        ),
        overriding_variables=("OPENCODE_CONFIG", "OPENCODE_CONFIG_CONTENT"),
        document=("OPENCODE_CONFIG_CONTENT", _opencode("{env:ANTHROPIC_AUTH_TOKEN}")),
    ),
    Tool(
        "aider",
        "aider",
        "aider",
        "pipx install aider-chat",
        protocols=("openai-chat", "anthropic", "gemini"),
        files=(
            SettingsFile(
                Place("~", (".aider.conf.yml",)),
                "yaml",
                (
                    Setting(("openai-api-base",), "{origin}/v1"),
                    Setting(("openai-api-key",), "{key}"),
                    Setting(("anthropic-api-key",), "{key}"),
                    Setting(
                        ("set-env",),
                        ["ANTHROPIC_API_BASE={origin}", "GEMINI_API_BASE={origin}", "GEMINI_API_KEY={key}"],
                    ),
                ),
            ),
        ),
        overrides=(
            Override(
                ".aider.conf.yml",
                "yaml",
                (("openai-api-base",), ("openai-api-key",), ("anthropic-api-key",), ("set-env",), ("api-key",)),
            ),
            # It prefers this file to the variables it is started with.
            Override(
                ".env", "dotenv", (("ANTHROPIC_API_BASE",), ("GEMINI_API_BASE",), ("GEMINI_API_KEY",)), over="run"
            ),
        ),
        overriding_variables=(
            "AIDER_OPENAI_API_BASE",
            "AIDER_OPENAI_API_KEY",
            "AIDER_ANTHROPIC_API_KEY",
            "AIDER_SET_ENV",
        ),
        # Its settings override the plain variables; the AIDER_ ones override its settings.
        environ=(
            ("ANTHROPIC_API_KEY", "{key}"),
            ("AIDER_ANTHROPIC_API_KEY", "{key}"),
            ("AIDER_OPENAI_API_BASE", "{origin}/v1"),
            ("AIDER_OPENAI_API_KEY", "{key}"),
        ),
    ),
    Tool(
        "qwen",
        "Qwen Code",
        "qwen",
        "npm install -g @qwen-code/qwen-code",
        protocols=("openai-chat",),
        files=(
            SettingsFile(
                Place("~/.qwen", ("settings.json",), "QWEN_HOME"),
                "json",
                (
                    Setting(("security", "auth", "selectedType"), "openai"),
                    Setting(("env", "OPENAI_BASE_URL"), "{origin}/v1"),
                    Setting(("env", "OPENAI_API_KEY"), "{key}"),
                ),
            ),
        ),
        overrides=(
            # An address next to a model's name overrides all others.
            Override("~/.qwen/settings.json", "json", (("modelProviders", "openai"),), over="both"),
            Override(".qwen/settings.json", "json", (("modelProviders", "openai"),), over="both"),
            Override(".qwen/settings.json", "json", (("security", "auth", "selectedType"), ("env", "OPENAI_BASE_URL"))),
        ),
        overriding_variables=("OPENAI_BASE_URL", "OPENAI_API_KEY"),
        arguments=("--auth-type", "openai"),
    ),
    Tool(
        "llm",
        "llm",
        "llm",
        "pipx install llm",
        protocols=("openai-chat",),
        files=(
            SettingsFile(_llm("extra-openai-models.yaml"), "yaml-list", (Setting(("model_id", "bm"), _LLM_MODEL),)),
            SettingsFile(_llm("keys.json"), "json", (Setting(("bm",), "{key}"),), strict=True),
        ),
        # A stored key overrides the variable.
        overrides=(Override("~/.config/io.datasette.llm/keys.json", "json", (("openai",),), over="run"),),
        note="llm now has a model bm: llm -m bm (llm models default bm makes it the default)",
    ),
    *EDITORS,
)

BY_NAME: Final = {tool.name: tool for tool in TOOLS}


def served_by(protocols: Collection[ProtocolName]) -> tuple[list[str], list[str]]:
    """The titles of the tools that speak one of the protocols, and of the others."""
    served = [tool.title for tool in TOOLS if set(tool.protocols) & set(protocols)]
    return served, [tool.title for tool in TOOLS if tool.title not in served]
