"""Questions go to the daemon, or to the same code in this process."""

from __future__ import annotations

import pytest

from bm.cli import admin
from bm.config.paths import Paths, make_folders
from bm.daemon import runtime
from bm.daemon.start import start
from bm.errors import DaemonError
from tests.daemon.support import answering, daemon


def test_the_home_is_the_environments(paths: Paths) -> None:
    assert admin.here() == paths


def test_the_same_question_has_the_same_answer_with_and_without_a_daemon(paths: Paths) -> None:
    down = admin.ask(paths, "GET", "/admin/providers")
    assert admin.running(paths) is None
    started = start(paths).daemon
    assert admin.running(paths) == started
    assert admin.ask(paths, "GET", "/admin/providers") == down


def test_a_refusal_is_an_error_in_the_daemons_words(paths: Paths) -> None:
    with pytest.raises(DaemonError, match="there is no /admin/nothing here"):
        admin.ask(paths, "GET", "/admin/nothing")
    with answering(503, b"{}") as port, pytest.raises(DaemonError, match="answered with status 503"):
        admin.ask_daemon(paths, daemon(port=port), "GET", "/admin/status")


def test_without_a_daemon_there_is_nothing_to_reload(paths: Paths) -> None:
    admin.reload(paths)


def test_a_daemon_that_cannot_use_the_files_says_so(paths: Paths) -> None:
    make_folders(paths)
    refusal = b'{"ok": false, "error": "line 3", "instance": "%s"}' % daemon().fingerprint.encode()
    with answering(200, refusal) as port:
        runtime.write(paths.runtime, daemon(port=port))
        with pytest.raises(DaemonError, match="goes on with its old settings: line 3"):
            admin.reload(paths)
