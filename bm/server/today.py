"""What was used today, added up again when the ledger has grown, but not with every look."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final

from bm.chat.parts import Json
from bm.ledger.reader import LedgerError, midnight, usage

LASTS: Final = 5.0
"""Seconds for which a sum counts: adding it up reads every request of the day."""


class Today:
    """The last line of `bm usage --days 1`."""

    def __init__(self, ledger: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._ledger, self._clock = ledger, clock
        self._sum: Json | None = None
        self._of: tuple[int, float] | None = None
        self._again = float("-inf")

    async def told(self, written: int) -> Json | None:
        """The sum, a few seconds old at most; None while the ledger cannot be read.

        `written` counts what this run has entered in the ledger. What waits to be entered is no reason to add up: it
        would be missing, and then nothing would tell that it is.
        """
        of = written, midnight(1, datetime.now())
        if of != self._of and self._clock() >= self._again:
            self._of, self._again = of, self._clock() + LASTS
            self._sum = await asyncio.to_thread(self._read, of[1])
        return self._sum

    def _read(self, since: float) -> Json | None:
        try:
            total: Json = usage(self._ledger, since=since, by="day")["total"]
        except LedgerError:
            return None
        return total
