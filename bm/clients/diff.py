"""The difference between two texts of settings, with everything masked that is or looks like a secret."""

from __future__ import annotations

import re
from difflib import unified_diff
from typing import Final

from bm.config.redaction import MASK, Mask

_CONTEXT: Final = 2
"""Lines around a change: enough to find it, and not more of a file that may hold other secrets."""

_TELLING: Final = r"(?:key|token|secret|password|credential|bearer|cookie)"
_NAMED: Final = re.compile(
    rf"""(?i)(["']?[\w.-]*{_TELLING}s?["']?[ \t]*[:=][ \t]*)("(?:\\.|[^"\\])*"|'[^']*'|[^\s"'{{\[,\]}}]+)"""
)
_USER: Final = re.compile(r"(://)[^/@\s\"']+@")


def difference(name: str, before: str | None, after: str | None, secrets: tuple[str, ...]) -> str:
    """The changes of the file `name` as a unified diff, "" when there are none. None stands for no file."""
    mask = Mask(secrets)
    lines = unified_diff(
        (before or "").splitlines(),
        (after or "").splitlines(),
        name if before is not None else "(no file)",
        name if after is not None else "(no file)",
        n=_CONTEXT,
        lineterm="",
    )
    return "\n".join(masked(line, mask) for line in lines)


def masked(line: str, mask: Mask) -> str:
    """`line` without known secrets, what has their shape, and what a name says to be one."""
    named = _NAMED.sub(lambda found: f"{found[1]}{_hidden(found[2])}", mask(line))
    return _USER.sub(rf"\1{MASK}@", named)


def _hidden(value: str) -> str:
    quote = value[0] if value[0] in "\"'" else ""
    return f"{quote}{MASK}{quote}"
