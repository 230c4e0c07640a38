"""Both spellings of every member: the SDKs mix camelCase and snake_case in one body, and the API takes either."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from bm.chat.parts import Json

_HUMP = re.compile(r"(?<=[a-z0-9])[A-Z]")
_UNDERSCORE = re.compile(r"(?<=[a-z0-9])_([a-z0-9])")


@lru_cache(maxsize=512)
def snake(name: str) -> str:
    """`inline_data` for `inlineData`."""
    return _HUMP.sub(lambda found: f"_{found.group().lower()}", name)


@lru_cache(maxsize=512)
def camel(name: str) -> str:
    """`inlineData` for `inline_data`; a name in camelCase stays as it is."""
    return _UNDERSCORE.sub(lambda found: found.group(1).upper(), name)


def member(obj: Json, name: str) -> Any:
    """The member called `name` (in camelCase) in either spelling; None when it is absent or null."""
    value = obj.get(name)
    return obj.get(snake(name)) if value is None else value
