"""Editors and their extensions that `bm setup` knows, as far as they keep their settings in files.

They are set up and not run: an editor is started from its desktop, without the variables of a shell.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from bm.clients.tool import FAMILIES, Model, Place, Setting, SettingsFile, Tool

VSCODE: Final = Place(
    "~/.config/Code/User",
    ("settings.json",),
    mac="~/Library/Application Support/Code/User",
    windows="~/AppData/Roaming/Code/User",
)
"""VS Code's own settings (code.visualstudio.com/docs/configure/settings, 2026-11)."""

CLAUDE_IN_VSCODE: Final = SettingsFile(
    VSCODE, "json", (Setting(("claudeCode.disableLoginPrompt",), True),), if_present=True
)
"""The extension shares ~/.claude/settings.json with the program, but asks for a sign-in without this setting
(code.claude.com/docs/en/vs-code, 2026-11)."""

_CLINE: Final = ("providers", "openai-compatible")
_CLINE_SETTINGS: Final = {
    "provider": "openai-compatible",
    "apiKey": "{key}",
    "model": "sonnet",
    "baseUrl": "{origin}/v1",
}

_ROO: Final = ("providerProfiles", "apiConfigs", "bm")
_ROO_PROFILE: Final = {
    "apiProvider": "anthropic",
    "anthropicBaseUrl": "{origin}",
    "apiKey": "{key}",
    "apiModelId": "claude-sonnet-4-5",
    "id": "bm",
}

_CONTINUE_MODEL: Final = {
    "name": "bm",
    "provider": "openai",
    "model": "sonnet",
    "apiBase": "{origin}/v1",
    "apiKey": "{key}",
    "capabilities": ["tool_use", "image_input"],
}


def _zed_models(models: Sequence[Model]) -> tuple[Setting, ...]:
    """Zed lists what its settings list. `max_tokens` is the context."""
    found: list[dict[str, Any]] = []
    for each in (*FAMILIES, *models):
        context = each.context or FAMILIES[0].context
        entry: dict[str, Any] = {"name": each.name, "display_name": each.name, "max_tokens": context}
        if each.output:
            entry["max_output_tokens"] = each.output
        found.append(entry | {"capabilities": {"tools": each.tools, "images": each.images}})
    return (Setting(("language_models", "openai_compatible", "bm", "available_models"), found),)


EDITORS: Final[tuple[Tool, ...]] = (
    # ~/.cline holds the settings of the extension, the program and the SDK (docs.cline.bot/cli/configuration, 2026-11);
    # the form is what `cline auth` of 3.0.65 writes.
    Tool(
        "cline",
        "Cline",
        "cline",
        "npm install -g cline, or its extension for VS Code",
        protocols=("openai-chat",),
        files=(
            SettingsFile(
                Place("~/.cline/data", ("settings/providers.json",), "CLINE_DATA_DIR"),
                "json",
                (
                    Setting(("version",), 1),
                    Setting(("lastUsedProvider",), "openai-compatible"),
                    Setting((*_CLINE, "settings"), _CLINE_SETTINGS),
                    Setting((*_CLINE, "updatedAt"), "2026-11-30T00:00:00.000Z"),
                    Setting((*_CLINE, "tokenSource"), "manual"),
                ),
                strict=True,
            ),
        ),
        extension="saoudrizwan.claude-dev-*",
        runs=False,
    ),
    # The file is imported at each start (package.json and src/utils/autoImportSettings.ts of RooCodeInc/Roo-Code,
    # 2026-11).
    Tool(
        "roo",
        "Roo Code",
        "",
        "its extension for VS Code",
        protocols=("anthropic",),
        files=(
            SettingsFile(
                Place("~/.roo", ("bm-settings.json",)),
                "json",
                (Setting(("providerProfiles", "currentApiConfigName"), "bm"), Setting(_ROO, _ROO_PROFILE)),
            ),
            SettingsFile(VSCODE, "json", (Setting(("roo-cline.autoImportSettingsPath",), "~/.roo/bm-settings.json"),)),
        ),
        extension="rooveterinaryinc.roo-cline-*",
        runs=False,
        note="Roo Code imports the profile bm when VS Code starts; after --undo, delete it in Roo Code's settings",
    ),
    # Blocks in ~/.continue/models belong to every configuration (docs.continue.dev/reference, 2026-11), so the user's
    # own config.yaml stays as it is.
    Tool(
        "continue",
        "Continue",
        "cn",
        "its extension for VS Code or JetBrains, or npm install -g @continuedev/cli",
        protocols=("openai-chat",),
        files=(
            SettingsFile(
                Place("~/.continue/models", ("bm.yaml",)),
                "yaml",
                (
                    Setting(("name",), "bm"),
                    Setting(("version",), "1.0.0"),
                    Setting(("schema",), "v1"),
                    Setting(("models",), [_CONTINUE_MODEL]),
                ),
            ),
        ),
        extension="continue.continue-*",
        runs=False,
        note="choose the model bm in Continue",
    ),
    # Keys belong in Zed's keychain or in <PROVIDER>_API_KEY, not in its file (zed.dev/docs/ai/use-api-access, 2026-11).
    Tool(
        "zed",
        "Zed",
        "zed",
        "https://zed.dev/download",
        protocols=("openai-chat",),
        files=(
            SettingsFile(
                Place("~/.config/zed", ("settings.json",), mac="~/.config/zed", windows="~/AppData/Roaming/Zed"),
                "json",
                (Setting(("language_models", "openai_compatible", "bm", "api_url"), "{origin}/v1"),),
                listing=_zed_models,
            ),
        ),
        runs=False,
        note="Zed keeps keys in the system's keychain: agent: open settings, LLM Providers, bm, and paste bm's key "
        "(bm env prints it as OPENAI_API_KEY); or start Zed with BM_API_KEY set to it",
    ),
)

BY_HAND: Final = {
    "jetbrains": "JetBrains IDEs keep this in their settings dialog, not in a file: Settings, Tools, AI Assistant, "
    "Providers & API keys, OpenAI-compatible; URL {origin}/v1, and bm's key (bm env prints it as OPENAI_API_KEY)",
    "vscode": "VS Code has no model setting of its own for this; set up its extensions: bm setup claude, cline, "
    "roo or continue",
}
"""Editors that bm cannot set up, and how a person does it (jetbrains.com/help/ai-assistant, 2026-11)."""
