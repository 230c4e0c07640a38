"""One node's part in a team: the store, the nodes, and what is shared through them."""

from __future__ import annotations

import hashlib
import logging
import secrets
import socket
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import msgspec

from bm.chat.parts import Json
from bm.config.paths import Paths
from bm.config.shared import node_name
from bm.errors import ConfigError
from bm.gateway.services import Services
from bm.shared.nodes import Load, Node, Nodes
from bm.shared.parts import Parts
from bm.shared.replication import Replication
from bm.shared.store import Store, StoreAway
from bm.shared.switches import Edit

_log = logging.getLogger("bm")


class Team:
    """The team that this node belongs to. `work` are loops that run as long as the daemon serves."""

    def __init__(self, store: Store, nodes: Nodes, replication: Replication, parts: Parts) -> None:
        self.store, self.nodes, self.replication, self._parts = store, nodes, replication, parts
        self.work: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
            "looking for the shared store": store.keep,
            "telling the other nodes": nodes.keep_telling,
            **parts.work,
        }

    async def close(self) -> None:
        """Leave the team."""
        await self._parts.finish()
        await self.nodes.leave()
        await self.store.close()

    def to_json(self) -> Json:
        """The store and the nodes for `bm status`."""
        away = self.store.away
        return {
            "name": self.store.name,
            "node": self.nodes.own.name,
            "store": self.store.version,
            "away": {"reason": away[0], "since": away[1]} if away else None,
            "waiting": self._parts.outbox.waiting,
            "dropped": self._parts.outbox.dropped,
            "nodes": [
                {
                    "name": each.node.name,
                    "version": each.node.version,
                    "url": each.node.url,
                    "since": each.node.since,
                    "seen": round(each.ago, 1),
                    "here": not each.is_gone,
                    "clock": each.node.ahead,
                    "requests": msgspec.structs.asdict(each.node.load),
                }
                for each in self.nodes.seen
            ],
        }

    def metrics(self) -> Mapping[str, float]:
        """What `/metrics` shows, by the names there."""
        return {
            "bm_shared_away": float(self.store.is_away),
            "bm_shared_waiting": self._parts.outbox.waiting,
            "bm_shared_dropped": self._parts.outbox.dropped,
            "bm_shared_nodes": len(self.nodes.here),
        }


async def join(services: Services, paths: Paths, edit: Edit | None, *, version: str, since: float, url: str) -> Team:
    """Join the team of `[shared]`. `since` is the Unix time at which the daemon started, `url` where it serves; `edit`
    changes the stored accounts, unless all nodes have the same.

    Raises:
        ConfigError: the store cannot be used.
    """
    settings = services.config.shared
    store = Store(settings)
    try:
        await store.open()
    except ConfigError as error:
        raise error.placed(str(paths.config)) from None
    home = f"{socket.gethostname()}\0{paths.ledger.parent}"
    own = Node(
        name=node_name(settings),
        run=secrets.token_hex(6),
        version=version,
        url=url,
        home=hashlib.sha256(home.encode()).hexdigest()[:16],
        since=since,
    )
    calls = services.calls
    nodes = Nodes(store, own, lambda: Load(active=calls.active, total=calls.total, failed=calls.failed))
    try:
        await nodes.tell()
    except StoreAway as error:
        raise ConfigError(str(error), path=str(paths.config), key="shared.url", hint=store.remedy) from None
    _log.info("this is node %s of team %s, which shares its state through %s", own.name, store.name, store.version)
    return Team(store, nodes, Replication(store, nodes, services.pool, edit), Parts(store, nodes, services))
