"""What the models of Google refuse, one row each. Bodies are in camelCase (`gemini_check.normal`).

Read in November 2026; `source` names the document. A model that is not known yet is refused what Gemini 4 is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from bm.simulator.refusals import Refusal, always, family, member, number, words
from bm.simulator.request import Json
from bm.simulator.wire import items

_GEMINI_4 = "gemini-[4-9]*"
_LATEST = "gemini-flash-latest gemini-flash-lite-latest gemini-pro-latest"
_GEMINI_3 = f"gemini-3* {_GEMINI_4} {_LATEST}"
_SINCE_3_7 = f"gemini-3.[789]-flash* gemini-flash-latest {_GEMINI_4}"
_PRO = "gemini-3-pro* gemini-3.1-pro* gemini-pro-latest"
_ANY = "gemini-* gemma-*"
_IMAGES = words("image/png image/jpeg image/webp image/heic image/heif")
_LIVE = "pydantic-ai 2.68.0 profiles/google.py (verified live)"


def signs_calls(model: str) -> bool:
    """Whether `model` signs its calls and requires the signatures: Gemini 3 and later."""
    found = re.match(r"gemini-(?:(\d+)|.*-latest$)", family(model))
    return found is not None and int(found[1] or 3) >= 3


def declarations(body: Json) -> list[Json]:
    """The functions that a request offers."""
    return [one for tool in items(body.get("tools")) for one in items(tool.get("functionDeclarations"))]


def turns(contents: list[Json]) -> Iterator[tuple[int, str, list[Json]]]:
    """Neighbours of one role as one turn: place of the first, role, parts. No role means the user."""
    role, start, parts = "", 0, list[Json]()
    for place, content in enumerate(contents):
        speaker = "model" if content.get("role") == "model" else "user"
        if role and speaker != role:
            yield start, role, parts
            start, parts = place, []
        role = speaker
        parts = [*parts, *items(content.get("parts"))]
    if role:
        yield start, role, parts


def _config(body: Json, *path: str) -> Any:
    return member(body, "generationConfig", *path)


def _budget(body: Json) -> Any:
    return _config(body, "thinkingConfig", "thinkingBudget")


def _level(body: Json) -> str:
    return str(_config(body, "thinkingConfig", "thinkingLevel") or "").upper()


def _has_level(level: str) -> Callable[[Json], bool]:
    return lambda body: _level(body) == level


def _penalty(body: Json) -> bool:
    return bool(_config(body, "presencePenalty") or _config(body, "frequencyPenalty"))


def _parts(body: Json) -> list[Json]:
    return [part for content in items(body.get("contents")) for part in items(content.get("parts"))]


def _built_in(body: Json) -> bool:
    return any(tool.keys() & {"googleSearch", "urlContext", "codeExecution"} for tool in items(body.get("tools")))


def _circulates(body: Json) -> bool:
    return member(body, "toolConfig", "includeServerSideToolInvocations") is True


def _ends_with_model(body: Json) -> bool:
    contents = items(body.get("contents"))
    return bool(contents) and contents[-1].get("role") == "model"


def _other_names(body: Json) -> bool:
    """Whether results name other functions or calls than the calls they answer."""
    called: list[Json] = []
    for _, role, parts in turns(items(body.get("contents"))):
        key = "functionCall" if role == "model" else "functionResponse"
        found = [part[key] for part in parts if isinstance(part.get(key), dict)]
        if role == "model":
            called = found
            continue
        strange = {str(one["id"]) for one in found if one.get("id")} - {str(one.get("id")) for one in called}
        names, expected = (sorted(str(one.get("name")) for one in several) for several in (found, called))
        if strange or names != expected:
            return True
        called = []
    return False


def _media_type(body: Json) -> str:
    """The type of an image or an office document that is not read."""
    types = [str(member(part, "inlineData", "mimeType") or "") for part in _parts(body)]
    office = ("application/vnd.", "application/msword")
    return next((one for one in types if one.startswith(office) or (one[:6] == "image/" and one not in _IMAGES)), "")


_MINIMAL = "Thinking level MINIMAL is not supported for this model. Please retry with other thinking level."
_NO_THINKING = "Budget 0 is invalid. This model only works in thinking mode."
REFUSALS = (
    Refusal(
        "gemini-1* gemini-2.0-* gemini-3-pro-preview gemini-2.5-computer-use-* gemini-3.1-flash-lite-preview",
        always,
        "models/{model} is not found for API version v1beta, or is not supported for generateContent. Call"
        " ModelService.ListModels to see the list of available models and their supported methods.",
        f"litellm 1.110.2 model map (retirement); {_LIVE}",
        status=404,
    ),
    Refusal(
        f"{_SINCE_3_7} {_PRO}",
        _has_level("MINIMAL"),
        _MINIMAL,
        "BerriAI/litellm-docs#1505 (2026-09-16); vellum-ai/vellum-assistant#32687 (2026-05-30)",
    ),
    Refusal(
        f"gemini-3* gemini-4-argon* gemini-4-carbon* gemini-4-neon* gemini-[5-9]* {_LATEST}",
        _has_level("XHIGH"),
        "Thinking level XHIGH is not supported for this model. Please retry with other thinking level.",
        "@ai-sdk/google 4.0.121 google-model-catalog.ts",
    ),
    Refusal(
        "gemini-2.5-*",
        _level,
        "Thinking level is not supported for this model.",
        "RooCodeInc/Roo-Code#10700 (2026-01-13)",
    ),
    Refusal(
        f"{_GEMINI_4} gemma-*",
        lambda body: _budget(body) is not None,
        "Thinking budget is not supported for this model.",
        "@ai-sdk/google 4.0.121 google-model-catalog.ts; words inferred",
    ),
    Refusal(
        f"gemini-2.5-pro* {_PRO}",
        lambda body: _budget(body) == 0,
        _NO_THINKING,
        f"ai.google.dev: thinking; snailyp/gemini-balance#206 (2025-07-14); {_LIVE}",
        "gemini",
    ),
    Refusal(
        "gemini-3.5-flash-lite* gemini-flash-lite-latest",
        lambda body: _budget(body) == 0,
        _NO_THINKING,
        "maragudk/gai#369 (2026-09-16); words inferred",
    ),
    Refusal(
        "gemini-2.5-*",
        _penalty,
        "Penalty is not enabled for models/{model}",
        "BerriAI/litellm#32273 (2026-07-06)",
        "gemini",
    ),
    Refusal(
        _GEMINI_3,
        _penalty,
        "Penalty is not enabled for models/{model}",
        "google-gemini/cookbook#1290 (2026-07-17)",
    ),
    Refusal(
        _GEMINI_3,
        lambda body: (number(_config(body, "candidateCount")) or 1) > 1,
        "Multiple candidates is not enabled for this model",
        "googleapis/js-genai#1609 (2026-05-18)",
    ),
    Refusal(
        _ANY,
        lambda body: not 0 <= (number(_config(body, "temperature")) or 0) <= 2,
        "* GenerateContentRequest.generation_config.temperature: temperature must be in the range [0.0, 2.0].\n",
        "google-genai 3.6.1 types.py",
    ),
    Refusal(
        _ANY,
        lambda body: limit if (limit := _config(body, "maxOutputTokens") or 0) > 65536 else 0,
        "Unable to submit request because it has a maxOutputTokens value of {found} but the supported range is from 1"
        " (inclusive) to 65537 (exclusive). Update the value and try again.",
        "recorded answers of Vertex AI",
        "vertex",
    ),
    Refusal(
        _ANY,
        lambda body: len(_config(body, "stopSequences") or ()) > 5,
        "* GenerateContentRequest.generation_config.stop_sequences: at most 5 stop sequences can be set\n",
        "google-genai 3.6.1 types.py; words inferred",
    ),
    Refusal(
        f"gemini-3.5-flash-lite* gemini-3.6-flash* gemini-flash-lite-latest {_SINCE_3_7}",
        _ends_with_model,
        "Requests ending with a model turn are not supported.",
        "LibreChat-AI/agents#323 (2026-07-21); anomalyco/opencode#47034 (2026-09-03)",
    ),
    Refusal(
        _SINCE_3_7,
        _other_names,
        "Request contains an invalid argument.",
        "archestra-ai/archestra#7583 (2026-08-31)",
    ),
    Refusal(
        "gemini-2.5-*",
        lambda body: bool(declarations(body)) and _built_in(body),
        "Tool use with function calling is unsupported",
        "recorded answers",
    ),
    Refusal(
        _GEMINI_3,
        lambda body: bool(declarations(body)) and _built_in(body) and not _circulates(body),
        "Please enable tool_config.include_server_side_tool_invocations to use Built-in tools with Function calling.",
        "cloudwego/eino-ext#761 (2026-04-06); ag2ai/ag2#3145 (2026-08-10)",
        "gemini",
    ),
    Refusal(
        "gemini-2.5-*",
        _circulates,
        "Tool call context circulation is not enabled for models/{model}",
        _LIVE,
    ),
    Refusal(
        _ANY,
        lambda body: member(body, "toolConfig", "includeServerSideToolInvocations") is not None,
        "Invalid JSON payload received. Unknown name \"includeServerSideToolInvocations\" at 'tool_config': Cannot find"
        " field.",
        f"ag2ai/ag2#3145 (2026-08-10); {_LIVE}",
        "vertex",
    ),
    Refusal(
        "gemini-2.5-*",
        lambda body: bool(declarations(body)) and _config(body, "responseMimeType") == "application/json",
        "Function calling with a response mime type: 'application/json' is unsupported",
        "googleapis/python-genai#867 (2025-05-27)",
    ),
    Refusal(
        _ANY,
        lambda body: bool(member(body, "toolConfig", "functionCallingConfig")) and not declarations(body),
        "Function calling config is set without function_declarations.",
        "pydantic-ai 2.68.0 models/google.py",
    ),
    Refusal(
        _ANY,
        _media_type,
        "Unsupported MIME type: {found}",
        "ai.google.dev: image and document understanding",
    ),
    Refusal(
        _ANY,
        lambda body: (
            bool(body.get("cachedContent")) and bool(body.keys() & {"systemInstruction", "tools", "toolConfig"})
        ),
        "CachedContent can not be used with GenerateContent request setting system_instruction, tools or tool_config.",
        "litellm 1.110.2 vertex_ai/gemini/transformation.py",
    ),
)
