"""Failures of single choices, which only Chat Completions has."""

from __future__ import annotations

from bm.chat.parts import Json
from bm.errors import Failure
from bm.protocols.errors import in_band


def failed_choice(choice: Json) -> Failure:
    """Read the failure of a choice that finished with `error`, which says more only at OpenRouter."""
    if choice.get("error"):
        return in_band(choice)
    return Failure(kind="server", message="the upstream ended its answer with an error")
