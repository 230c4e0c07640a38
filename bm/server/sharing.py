"""What this daemon shares with other nodes, if there is `[shared] url`; otherwise nothing of it is loaded."""

from __future__ import annotations

import socket
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from bm.chat.parts import Json
from bm.config.address import is_unspecified, url_of
from bm.config.paths import Paths
from bm.config.schema import Config
from bm.config.shared import INSTALL
from bm.errors import ConfigError
from bm.gateway.services import Services
from bm.server.edits import Edits
from bm.server.reload import Reloader
from bm.tasks import Work
from bm.vault.vault import FileVault

if TYPE_CHECKING:
    from bm.shared.team import Team


class Run(Protocol):
    """The run of the daemon: `bm.server.admin.Instance`."""

    @property
    def version(self) -> str: ...

    @property
    def started_at(self) -> float: ...


class Sharing:
    """This node's part in a team, or none at all."""

    def __init__(self, team: Team | None) -> None:
        self._team = team
        self._work = Work(team.work if team else {})

    @property
    def loops(self) -> Mapping[str, Callable[[], Coroutine[Any, Any, None]]]:
        """What only one daemon of a node at a time does: two would replicate the same twice."""
        return self._team.replication.loops if self._team is not None else {}

    async def start(self, paths: Paths) -> None:
        """Learn what the other nodes know, and share until `close`."""
        if self._team is not None:
            edited = paths.accounts.stat().st_mtime if paths.accounts.exists() else 0.0
            await self._team.replication.start(edited)
        self._work.start()

    async def close(self, *, handed_over: bool = False) -> None:
        """Leave the team. A daemon that has `handed_over` has reported the rest to the next one."""
        self._work.stop()
        if self._team is None:
            return
        if not handed_over:
            await self._team.replication.publish()
        await self._team.close()

    def to_json(self) -> Json | None:
        """The store and the nodes; None without a team."""
        return self._team.to_json() if self._team is not None else None

    def problem(self, config: Config) -> str:
        """Why this node can serve nothing: the store is away, and the settings want that no request does without it."""
        if self._team is None or not self._team.store.is_away or config.shared.fail == "open":
            return ""
        return "the shared store is away, and [budgets] total limits every request" if config.budgets.total else ""

    def metrics(self) -> Mapping[str, float]:
        """What `/metrics` shows, by the names there."""
        return self._team.metrics() if self._team is not None else {}


async def joined(services: Services, reloader: Reloader, paths: Paths, run: Run, sock: socket.socket) -> Team | None:
    """The team of `[shared]`, joined; None if there is none. `sock` is where the daemon listens.

    Raises:
        ConfigError: the store cannot be used, or what is needed for it is not installed.
    """
    if not services.config.shared.url:
        return None
    try:
        from bm.shared.team import join
    except ModuleNotFoundError as error:
        message = f"needs the package {error.name}, which is not installed"
        raise ConfigError(message, path=str(paths.config), key="shared.url", hint=INSTALL) from None
    server = services.config.server
    # `[server] url` may be that of a balancer, which all nodes have in common.
    host = socket.gethostname() if is_unspecified(server.host) else server.host
    url = url_of(host, sock.getsockname()[1], tls=bool(server.tls_cert))
    edit = Edits(paths, reloader).accounts if isinstance(services.settings.vault, FileVault) else None
    return await join(services, paths, edit, version=run.version, since=run.started_at, url=url)
