"""The descriptors of the process: every connection takes one, and the system gives only so many."""

from __future__ import annotations

import asyncio
import errno
import logging
import sys

from bm.tasks import note

LOOK_EVERY = 5.0
"""Seconds between two looks at how many are in use."""
NEARLY = 0.9
"""The share of them from which on bm warns."""
_NAME = "descriptors"
_KEPT = 64
"""For files, sockets that listen, and background work."""
_MIN_CONNECTIONS = 16
_MOST = 65_536
_log = logging.getLogger("bm")


if sys.platform == "win32":

    def most_connections() -> int:
        """How many connections of clients may be open."""
        return 4096

    def raise_limit() -> None:
        """Windows limits neither sockets nor handles this way."""

    def in_use() -> tuple[int, int]:
        """Descriptors in use, and the limit."""
        return 0, _MOST
else:
    import resource

    def most_connections() -> int:
        """How many connections of clients may be open: each may need another one to a provider."""
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft == resource.RLIM_INFINITY:
            return _MOST // 2
        return max(_MIN_CONNECTIONS, (soft - _KEPT) // 2)

    def raise_limit() -> None:
        """Raise the soft limit of open files; systems start programs with 256 or 1024."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = _MOST if hard == resource.RLIM_INFINITY else min(hard, _MOST)
        if soft == resource.RLIM_INFINITY or soft >= most:
            return
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        except (OSError, ValueError):
            # macOS refuses more than the kernel's own limit.
            _log.debug("the limit of open files stays at %d", soft)

    def in_use() -> tuple[int, int]:
        """Descriptors in use, and the limit. Counting takes one itself, and none may be left for it."""
        import psutil

        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        limit = _MOST if soft == resource.RLIM_INFINITY else soft
        try:
            return psutil.Process().num_fds(), limit
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE):
                raise
            return limit, limit


async def watch() -> None:
    """Warn while nearly all descriptors are in use, until cancelled."""
    warned = False
    while True:
        await asyncio.sleep(LOOK_EVERY)
        used, limit = in_use()
        scarce = used >= NEARLY * limit
        words = f"{used} of {limit} file descriptors are in use: connections fail or are closed (raise ulimit -n)"
        note(_NAME, words if scarce else "")
        if scarce and not warned:
            _log.warning("%s", words)
        elif warned and not scarce:
            _log.info("%d of %d file descriptors are in use again", used, limit)
        warned = scarce
