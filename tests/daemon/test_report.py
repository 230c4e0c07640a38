"""The pipe between a starting daemon and the command that waits for it."""

from __future__ import annotations

import os

from bm.daemon.report import Report


def test_the_lines_of_a_start_and_of_a_failure() -> None:
    reading, writing = os.pipe()
    report = Report(writing)
    report.failed("port", "taken")
    report.ready()
    with os.fdopen(reading, "rb") as lines:
        assert lines.readlines() == [
            b'{"cause":"port","message":"taken"}\n',
            b'{"ready":true}\n',
        ]


def test_a_command_that_left_does_not_harm_the_daemon() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    Report(writing).ready()
