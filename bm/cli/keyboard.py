"""Single keys from a terminal that is left as it was found."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Wait = Callable[[float], str]
"""The key that is pressed within so many seconds; empty when none is."""

if sys.platform == "win32":
    import msvcrt

    _STEP = 0.05

    @contextmanager
    def keys() -> Iterator[Wait]:
        """Read keys as they are pressed."""

        def wait(seconds: float) -> str:
            ends = time.monotonic() + seconds
            while time.monotonic() < ends:
                if msvcrt.kbhit():
                    return msvcrt.getwch()
                time.sleep(_STEP)
            return ""

        yield wait

else:
    import os
    import select
    import termios

    @contextmanager
    def keys() -> Iterator[Wait]:
        """Read keys as they are pressed and show none. Ctrl-C works as ever; Ctrl-Z does nothing, since it would leave
        the shell in another program's screen. Without a terminal to read from there are no keys."""
        if not sys.stdin.isatty():
            yield _no_key
            return
        source = sys.stdin.fileno()
        before = termios.tcgetattr(source)
        changed = termios.tcgetattr(source)
        changed[3] &= ~(termios.ICANON | termios.ECHO)
        changed[6][termios.VSUSP] = b"\0"

        def wait(seconds: float) -> str:
            ready, _, _ = select.select([source], [], [], seconds)
            return os.read(source, 64).decode("utf-8", "replace")[:1] if ready else ""

        try:
            termios.tcsetattr(source, termios.TCSADRAIN, changed)
            yield wait
        finally:
            termios.tcsetattr(source, termios.TCSADRAIN, before)

    def _no_key(seconds: float) -> str:
        time.sleep(seconds)
        return ""
