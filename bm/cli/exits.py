"""Exit codes, and the errors that only the command line raises."""

from __future__ import annotations

from bm.errors import AccountError, BmError, ConfigError, DaemonError

DONE, FAILED, USAGE, NOT_RUNNING = range(4)


class NotRunning(DaemonError):
    """The command needs a running daemon."""

    def __init__(self, message: str = "bm is not running (bm start)") -> None:
        super().__init__(message)


class UsageError(BmError):
    """The command line asks for something impossible."""


def exit_code(error: Exception) -> int:
    """The exit code of an error, as documented in docs/cli.md."""
    from bm.daemon.start import StartError

    match error:
        case NotRunning():
            return NOT_RUNNING
        case BmError(passes=True):
            return FAILED
        case ConfigError() | AccountError() | UsageError() | StartError(usage=True):
            return USAGE
        case _:
            return FAILED


def message(error: Exception) -> str:
    """The text for the user."""
    if isinstance(error, OSError) and not isinstance(error, BmError):
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror or str(error)
    return str(error)
