"""What model families accept: ordered rows of a pattern and how the family differs from its protocol's base.

The first pattern found in the model's name counts. Names are compared in lower case, without a path (`anthropic/…`)
and with dots as hyphens, so `claude-haiku-4.5` and `claude-haiku-4-5-20251001` are one family. Vendors add models
faster than tables learn them: the last row of each protocol is what a capable model of today takes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import msgspec

from bm.chat.capabilities import Capabilities, Dialect
from bm.names import Level, ProtocolName

Changes = Mapping[str, Any]

LOW_TO_HIGH: Final[tuple[Level, ...]] = ("low", "medium", "high")
TO_MAX: Final[tuple[Level, ...]] = ("low", "medium", "high", "max")
TO_XHIGH: Final[tuple[Level, ...]] = ("low", "medium", "high", "xhigh", "max")
FROM_MINIMAL: Final[tuple[Level, ...]] = ("minimal", "low", "medium", "high")


class Family(msgspec.Struct, frozen=True):
    """Models whose normalised name holds `pattern`, and what of the base does not hold for them."""

    pattern: re.Pattern[str]
    changes: Changes


def _row(pattern: str, *changes: Changes, **more: object) -> Family:
    merged: dict[str, Any] = {}
    for each in (*changes, more):
        merged |= each
    return Family(re.compile(pattern), merged)


# ── Anthropic Messages ── Sources: anthropic SDK 2.12 MIGRATION, platform.claude.com pages on thinking and models.
_CLAUDE: Final = Capabilities(family="claude", penalties=False, thinking="adaptive", levels=TO_XHIGH, sampling=False)
_CLAUDE_OLD: Final[Changes] = {
    "thinking": "none",
    "levels": (),
    "sampling": True,
    "structured_output": "none",
    "context": 200_000,
    "max_output": 4_096,
}
_CLAUDE_BUDGET: Final[Changes] = {
    "thinking": "budget",
    "levels": (),
    "budget": (1024, 63_999),
    "sampling": True,
    "forced_tools": "without_budget",
    "context": 200_000,
    "max_output": 64_000,
}
_CLAUDE_BOTH: Final[Changes] = {
    "levels": TO_MAX,
    "sampling": True,
    "temperature_or_top_p": True,
    "forced_tools": "without_budget",
}
_NO_PREFILL: Final[Changes] = {"prefill": False, "context": 1_000_000, "max_output": 128_000}

_ANTHROPIC: Final = (
    _row(r"claude-(2|v1|instant)", _CLAUDE_OLD, images=False, documents=False, context=100_000),
    _row(r"claude-3-5", _CLAUDE_OLD, max_output=8_192),
    _row(r"claude-3-7", _CLAUDE_BUDGET, structured_output="none"),
    _row(r"claude-3", _CLAUDE_OLD),
    _row(r"claude-opus-4-5", _CLAUDE_BUDGET, levels=LOW_TO_HIGH, temperature_or_top_p=True),
    _row(r"claude-opus-4-1", _CLAUDE_BUDGET, temperature_or_top_p=True, budget=(1024, 31_999), max_output=32_000),
    _row(r"claude-sonnet-4-5", _CLAUDE_BUDGET, temperature_or_top_p=True, context=1_000_000),
    _row(r"claude-haiku-4", _CLAUDE_BUDGET, temperature_or_top_p=True),
    _row(r"claude-(opus|sonnet)-4-6", _NO_PREFILL, _CLAUDE_BOTH),
    _row(r"claude-opus-4-7", _NO_PREFILL),
    _row(r"claude-opus-4-8", _NO_PREFILL, system_turns=True),
    _row(r"claude-opus-4", _CLAUDE_BUDGET, structured_output="none", budget=(1024, 31_999), max_output=32_000),
    _row(r"claude-sonnet-4", _CLAUDE_BUDGET, structured_output="none", context=1_000_000),
    _row(r"claude-(fable|mythos)", _NO_PREFILL, thinking_off="never", forced_tools="never", system_turns=True),
    _row(r"claude-opus-[5-9]", _NO_PREFILL, thinking_off="say", system_turns=True),
    # The gproxy list of models that refuse system turns names Sonnet 5.
    _row(r"claude-sonnet-[5-9]", _NO_PREFILL, thinking_off="say"),
    _row(r"claude", thinking_off="say", prefill=False),
    _row(r"", family="", thinking="none", levels=(), sampling=True, structured_output="none"),
)
"""The last row: a service of another vendor that speaks the protocol; thinking is what they differ in most."""

# ── Gemini ── Sources: ai.google.dev thinking, thought-signatures and structured-output pages, google-genai 3.4.
_GEMINI: Final = Capabilities(
    family="gemini",
    thinking="level",
    levels=FROM_MINIMAL,
    sampling=False,
    penalties=False,
    signatures_required=True,
    thinking_off="never",
    image_urls=False,
    audio=True,
    video=True,
    max_stop=5,
    max_output=65_536,
    context=1_048_576,
)
_BEFORE_3: Final[Changes] = {
    "sampling": True,
    "penalties": True,
    "call_ids": False,
    "signatures_required": False,
    "structured_with_tools": False,
    "search_with_tools": False,
    "media_in_results": False,
    "levels": (),
}
_BEFORE_25: Final[Changes] = {**_BEFORE_3, "thinking": "none", "thinking_off": "omit", "json_schema": False}
_GEMINI_25: Final[Changes] = {**_BEFORE_3, "thinking": "budget", "thinking_off": "say"}
_GEMMA: Final[Changes] = {
    **_BEFORE_25,
    "family": "",
    "structured_output": "none",
    "audio": False,
    "video": False,
    "documents": False,
    "max_output": 8_192,
    "context": 131_072,
}

_GEMINI_ROWS: Final = (
    _row(r"gemma-[23]", _GEMMA, tools=False),
    _row(r"gemma", _GEMMA, context=262_144),
    _row(r"gemini-(1-0|pro$)", _BEFORE_25, max_output=8_192, context=32_768),
    _row(r"gemini-1-5-pro|gemini-pro-1-5", _BEFORE_25, max_output=8_192, context=2_097_152),
    _row(r"gemini-1-5|gemini-flash-1-5", _BEFORE_25, max_output=8_192),
    _row(r"gemini-2-0", _BEFORE_25, max_output=8_192),
    _row(r"gemini-2-5-(flash|pro)-.*(image|tts)", _BEFORE_25, tools=False, max_output=32_768, context=65_536),
    _row(r"gemini-2-5-flash-lite", _GEMINI_25, budget=(512, 24_576)),
    _row(r"gemini-2-5-flash", _GEMINI_25, budget=(0, 24_576)),
    _row(r"gemini-(robotics-er-1|2-5-pro)", _GEMINI_25, budget=(128, 32_768), thinking_off="never"),
    _row(r"gemini-3-1?-?.*(image|tts)", thinking="none", thinking_off="omit", levels=(), tools=False, context=65_536),
    _row(r"gemini-3-pro", levels=("low", "high"), sampling=True),
    _row(r"gemini-3-1-pro", levels=LOW_TO_HIGH, sampling=True),
    _row(r"gemini-(3-flash|3-1-flash|3-5-flash$)", sampling=True),
    _row(r"gemini-3-7-flash", levels=LOW_TO_HIGH),
    _row(r"gemini-.*pro", levels=LOW_TO_HIGH),
    _row(r""),
)

# ── OpenAI ── Sources: platform.openai.com reasoning guide and model pages.
_OPENAI: Final = Capabilities(
    family="openai", thinking="effort", levels=LOW_TO_HIGH, system_turns=True, prefill=False, media_in_results=False
)
_REASONING: Final[Changes] = {
    "sampling": False,
    "penalties": False,
    "thinking_off": "never",
    "context": 400_000,
    "max_output": 128_000,
}
_PLAIN: Final[Changes] = {"thinking": "none", "levels": ()}

_OPENAI_ROWS: Final = (
    _row(r"gpt-(3|4$|4-\d{4})", _PLAIN, structured_output="json", images=False, documents=False),
    _row(r"gpt-4-1", _PLAIN, context=1_047_576, max_output=32_768),
    _row(r"gpt-4o.*audio|gpt-audio", _PLAIN, audio=True, images=False, context=128_000, max_output=16_384),
    _row(r"gpt-4|chatgpt", _PLAIN, context=128_000, max_output=16_384),
    _row(r"o1-(mini|preview)", _REASONING, _PLAIN, tools=False, structured_output="none", context=128_000),
    _row(r"^o[1-9]", _REASONING, context=200_000, max_output=100_000),
    _row(r"gpt-5-(chat|\d-chat)|chat-latest", _PLAIN, context=128_000, max_output=16_384),
    _row(r"gpt-5(-(mini|nano|pro|codex|\d{4}).*)?$", _REASONING, levels=FROM_MINIMAL),
    _row(r"gpt-5-1", _REASONING, thinking_off="say"),
    _row(r"gpt-[5-9]", _REASONING, levels=("low", "medium", "high", "xhigh"), thinking_off="say", context=0),
    _row(r"gpt-oss", family="", context=131_072, images=False, documents=False),
    _row(r"", _PLAIN, family=""),
)

# ── Open models behind OpenAI-compatible services ── what no row names may see and think, or not: nothing is assumed.
_OPEN: Final = Capabilities(media_in_results=False, documents=False, prefill=False, search_with_tools=False)
_TEXT: Final[Changes] = {"images": False}

_OPEN_ROWS: Final = (
    _row(r"whisper|orpheus|tts|prompt-guard", _TEXT, tools=False, structured_output="none"),
    _row(r"llama-guard|safeguard", _TEXT, tools=False),
    _row(r"groq-compound|^compound", _TEXT, tools=False, structured_output="none"),
    _row(r"gpt-oss", _TEXT, thinking="effort", levels=LOW_TO_HIGH, thinking_off="never", context=131_072),
    _row(r"qwen-?3-8|qwen3-8", thinking="effort", levels=LOW_TO_HIGH, thinking_off="say"),
    _row(r"qwen-?3.*(vl|omni)", thinking="effort", thinking_off="say"),
    _row(r"qwen-?3.*coder", _TEXT),
    _row(r"qwen-?3", _TEXT, thinking="effort", thinking_off="say"),
    _row(r"deepseek-(r1|reasoner)", _TEXT, thinking="effort", thinking_off="never"),
    _row(r"deepseek", _TEXT, thinking="effort", levels=("low", "high", "max"), thinking_off="say"),
    _row(r"llama-?4|llama.*vision"),
    _row(r"llama", _TEXT, context=131_072),
    _row(r"(mixtral|mistral-7b|codestral|devstral)", _TEXT),
    _row(r"voxtral", _TEXT, audio=True),
    _row(r"mistral-small-(latest|26)", thinking="effort", levels=("high",), thinking_off="say"),
    _row(r"glm-[45](-\d)?v"),
    _row(r"glm", _TEXT, thinking="effort", thinking_off="say"),
    _row(r"kimi-k2", _TEXT),
    _row(r"grok-(code|3|2-1212)", _TEXT),
    # Of xAI's thinking models the older ones answer an effort with 400.
    _row(r"grok-4-[3-9]($|-)", thinking="effort", levels=LOW_TO_HIGH, penalties=False),
    _row(r"grok.*non-reasoning"),
    _row(r"grok", penalties=False),
    _row(r"claude", thinking="effort", levels=LOW_TO_HIGH, documents=True),
    _row(r"gemini", thinking="effort", levels=FROM_MINIMAL, documents=True, audio=True, video=True),
    _row(r"(^|-)(gpt-[5-9]|o[1-9])", thinking="effort", levels=LOW_TO_HIGH, documents=True, sampling=False),
    _row(r""),
)

_SERVICE: Final[dict[str, Changes]] = {
    "groq": {"structured_with_tools": False, "media_in_results": False},
    "together": {"image_urls": True},
    "ollama": {"image_urls": False},
    "lmstudio": {"image_urls": False},
    "mistral": {"penalties": True},
}
"""What a service does whatever the model."""

_UNKNOWN: Final[Changes] = {"images": True, "documents": True, "audio": True, "video": True}
"""Of an unknown model at a service of the user's own nothing is known: it may say itself what it cannot take."""

_Table = tuple[Capabilities, tuple[Family, ...]]


def _table(protocol: ProtocolName, dialect: Dialect) -> _Table:
    if protocol == "anthropic":
        return _CLAUDE, _ANTHROPIC
    if protocol == "gemini":
        return _GEMINI, _GEMINI_ROWS
    return (_OPENAI, _OPENAI_ROWS) if dialect.name == "openai" else (_OPEN, _OPEN_ROWS)


def normalised(model: str) -> str:
    """The name as the patterns see it."""
    return model.lower().rpartition("/")[2].replace(".", "-")


@lru_cache(maxsize=1024)
def capabilities_of(protocol: ProtocolName, dialect: Dialect, model: str) -> Capabilities:
    """What `model` takes where it is reached over `protocol`; `dialect` counts for the OpenAI protocols only."""
    base, rows = _table(protocol, dialect)
    name = normalised(model)
    found = next(row for row in rows if row.pattern.search(name))
    changes: dict[str, Any] = dict(found.changes)
    if protocol in ("openai-chat", "openai-responses"):
        if found is rows[-1] and dialect.name == "compatible":
            changes |= _UNKNOWN
        changes |= {**_SERVICE.get(dialect.name, {}), "dialect": dialect, "max_stop": dialect.max_stop}
    return msgspec.structs.replace(base, **changes)
