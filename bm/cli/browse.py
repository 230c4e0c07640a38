"""What the user looks at in `bm top`: the requests, one of them, or the providers and their modes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple, get_args

from bm.names import Mode

MODES: Final[tuple[Mode, ...]] = get_args(Mode)
PAGE: Final = 10
"""Lines that Page Up and Page Down move."""
_MOVES: Final = {"up": -1, "k": -1, "down": 1, "j": 1, "pgup": -PAGE, "pgdn": PAGE, "home": -10_000, "end": 10_000}
_BACK: Final = ("esc", "enter", "left", "q")
HINTS: Final = {
    "requests": "up/down: choose a request   enter: why   m: modes   q: quit",
    "why": "up/down: scroll   esc: back   q: back",
    "modes": "up/down: choose a provider   space: next mode   esc: back   q: back",
}
"""The keys of each panel."""


class Step(NamedTuple):
    """What a key asks for: leave, explain the request `name`, or give the provider `name` a mode."""

    kind: Literal["quit", "why", "mode"]
    name: str = ""
    mode: Mode = "off"


class Browse:
    """The panel below the accounts. A request stays chosen when newer ones come."""

    def __init__(self) -> None:
        self.panel: Literal["requests", "why", "modes"] = "requests"
        self.request = ""
        self.place = 0
        self.lines: Sequence[str] = ()
        self.message = ""

    def press(self, key: str, requests: Sequence[dict[str, Any]], providers: Sequence[dict[str, Any]]) -> Step | None:
        """Take a key; "" is none."""
        if not key:
            return None
        self.message = ""
        if self.panel == "requests":
            return self._in_requests(key, requests)
        if key in _BACK and not (key == "enter" and self.panel == "modes"):
            self.panel = "requests"
        elif key in _MOVES:
            last = len(self.lines if self.panel == "why" else providers) - 1
            self.place = max(0, min(self.place + _MOVES[key], last))
        elif self.panel == "modes" and key in (" ", "enter", "right", "m") and providers:
            row = providers[min(self.place, len(providers) - 1)]
            return Step("mode", row["name"], MODES[(MODES.index(row["mode"]) + 1) % len(MODES)])
        return None

    def _in_requests(self, key: str, requests: Sequence[dict[str, Any]]) -> Step | None:
        if key in ("q", "Q"):
            return Step("quit")
        if key == "m":
            self.panel, self.place = "modes", 0
        elif key == "esc":
            self.request = ""
        elif key in _MOVES and requests:
            at = self.chosen(requests)
            moved = at + _MOVES[key] if at >= 0 else 0
            self.request = requests[max(0, min(moved, len(requests) - 1))]["id"]
        elif key in ("enter", "right") and self.chosen(requests) >= 0:
            return Step("why", self.request)
        return None

    def chosen(self, requests: Sequence[dict[str, Any]]) -> int:
        """The place of the chosen request; -1 for none."""
        return next((place for place, row in enumerate(requests) if row["id"] == self.request), -1)

    def explain(self, lines: Sequence[str]) -> None:
        """Show why a request was answered as it was."""
        self.panel, self.place, self.lines = "why", 0, lines
