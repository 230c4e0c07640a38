"""Parts that only Gemini knows: code it ran, tools it called itself, and whatever comes next."""

from __future__ import annotations

from typing import Any

from bm.chat.parts import Json, Opaque
from bm.protocols.gemini.casing import camel, member

_ANNOTATIONS = frozenset({"thought", "thoughtSignature", "videoMetadata", "partMetadata", "mediaResolution"})


def opaque_part(part: Json) -> Opaque:
    """The part as it is, with the code or its output as text for those who do not know it."""
    kind = next((name for key in part if (name := camel(key)) not in _ANNOTATIONS), "part")
    return Opaque("gemini", kind, part, _summary(kind, member(part, kind)))


def _summary(kind: str, value: Any) -> str:
    if not isinstance(value, dict):
        return ""
    match kind:
        case "executableCode":
            code = value.get("code")
            language = str(value.get("language") or "").lower()
            return f"```{'' if language == 'language_unspecified' else language}\n{code}\n```" if code else ""
        case "codeExecutionResult":
            output = value.get("output")
            return f"```\n{output}\n```" if output else ""
        case _:
            return ""
