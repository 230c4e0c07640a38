"""The configuration as it may be shown: keys, header values and passwords in URLs are masked."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import msgspec

from bm.config.schema import Config
from bm.config.secrets import hint, is_reference

_MASK = "…"


def masked(config: Config) -> dict[str, Any]:
    """`config` as plain tables without secrets and without what is not set."""
    built: dict[str, Any] = _shown(msgspec.to_builtins(config), "")
    return built


def _shown(value: Any, key: str) -> Any:
    if isinstance(value, dict):
        if key == "headers":
            return dict.fromkeys(value, _MASK)
        return {name: _shown(each, name) for name, each in value.items() if each is not None}
    if isinstance(value, list | tuple):
        return [_shown(each, key) for each in value]
    if key == "api_key" and value and not is_reference(value):
        return hint(value)
    if key in ("url", "base_url"):
        return _without_password(value)
    return value


def _without_password(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return _MASK
    if "@" not in parts.netloc:
        return url
    return parts._replace(netloc=f"{_MASK}@{parts.netloc.rpartition('@')[2]}").geturl()
