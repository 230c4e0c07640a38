"""The running daemon as the server knows it."""

from __future__ import annotations

from typing import Protocol


class Instance(Protocol):
    """Who this process is; the daemon room makes it."""

    @property
    def token(self) -> str:
        """The secret that tells this daemon from any other process on its port."""

    @property
    def started_at(self) -> float:
        """When the process began, in Unix time."""

    @property
    def version(self) -> str:
        """The version that runs, which an upgrade of the files does not change."""

    def ready(self) -> None:
        """The server answers now."""
