"""What an error means to the shell."""

from __future__ import annotations

import pytest

from bm.cli.exits import NotRunning, UsageError, exit_code, message
from bm.daemon.start import StartError
from bm.database.connection import DatabaseAway
from bm.errors import AccountError, ConfigError, DaemonError


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DaemonError("x"), 1),
        (DatabaseAway("x"), 1),
        (StartError("x"), 1),
        (OSError(13, "denied"), 1),
        (StartError("x", usage=True), 2),
        (ConfigError("x"), 2),
        (AccountError("x"), 2),
        (UsageError("x"), 2),
        (NotRunning(), 3),
    ],
)
def test_the_exit_code_of_an_error(error: Exception, code: int) -> None:
    assert exit_code(error) == code


def test_an_error_of_the_system_names_its_file() -> None:
    assert message(PermissionError(13, "Permission denied", "x.toml")) == "x.toml: Permission denied"
    assert message(OSError(28, "No space left on device")) == "No space left on device"
    assert message(OSError("odd")) == "odd"
