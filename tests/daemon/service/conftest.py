"""Fakes of the managers' tools."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.daemon.conftest import paths
from tests.support.managers import LAUNCHCTL, SCHTASKS, SYSTEMCTL, Tool, install

__all__ = ["paths"]


@pytest.fixture
def systemctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tool:
    """A `systemctl` that runs the unit when started."""
    return install(tmp_path, monkeypatch, "systemctl", SYSTEMCTL)


@pytest.fixture
def launchctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tool:
    """A `launchctl` that keeps track of whether the job is loaded."""
    return install(tmp_path, monkeypatch, "launchctl", LAUNCHCTL)


@pytest.fixture
def schtasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tool:
    """A `schtasks` that keeps track of whether the task is registered."""
    return install(tmp_path, monkeypatch, "schtasks", SCHTASKS)
