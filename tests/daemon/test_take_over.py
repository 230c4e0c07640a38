"""Taking over from a daemon that does not hand over says why, and leaves it alone."""

from __future__ import annotations

import pytest

from bm.config.paths import Paths, make_folders
from bm.config.schema import Server
from bm.daemon import runtime
from bm.daemon.take_over import NoHandover, taken_over
from tests.daemon.support import answering, daemon


def test_without_a_daemon(paths: Paths) -> None:
    make_folders(paths)
    with pytest.raises(NoHandover, match="no daemon is running"), taken_over(paths, Server()):
        pass


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (404, b'{"error": "there is no /admin/handover here"}', "version 0.1.0, which is running, cannot hand over"),
        (409, b'{"error": "the daemon is already handing over"}', "the daemon is already handing over"),
        (500, b"[]", "the daemon answers with status 500"),
        (200, b"no JSON", "does not answer as bm does"),
    ],
)
def test_a_daemon_that_refuses(paths: Paths, status: int, body: bytes, reason: str) -> None:
    make_folders(paths)
    running = daemon()
    with answering(status, body, proves=running) as port:
        runtime.write(paths.runtime, daemon(port=port))
        with pytest.raises(NoHandover, match=reason), taken_over(paths, Server(port=port)):
            pass
