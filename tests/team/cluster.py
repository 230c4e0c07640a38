"""Three nodes as processes, one store, one database, one simulated vendor: a team here, each part breakable.

Where the system allows it, each node is in a network namespace with a cable to the clients and the vendor, and one to
the store and the database. Elsewhere all is on loopback, and only a link between node and store can be cut.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psycopg

from bm.accounts.account import Account
from bm.accounts.credentials import ensure_local_key, update
from bm.config.paths import Paths, make_folders
from bm.keys.file import new_key
from bm.keys.file import update as update_keys
from bm.keys.key import Key
from bm.simulator import Quota, Rule, Simulator
from bm.simulator.rules import Usage
from tests.reliability.service import Service, free_port
from tests.support.postgres import Server as Database
from tests.support.valkey import Valkey
from tests.team.history import Called, Changed, Known, Recorded, Spent
from tests.team.link import Link
from tests.team.network import HOSTS, Namespace, Network

NODES = ("n0", "n1", "n2")
MODEL = "gemini-3-flash-preview"
BUDGETED = "ci"
"""The key with a budget."""
PROMPT, ANSWER = 100, 500
"""Tokens that the vendor reports of each request."""
MOST = 1_000
"""Tokens of an answer that clients allow."""


@dataclass
class Node:
    """One bm, in a namespace or with its own link to the store."""

    name: str
    service: Service
    way: Link | Namespace
    paths: Paths
    admin: httpx.AsyncClient = field(init=False)

    @property
    def is_there(self) -> bool:
        """Whether it takes requests, as a load balancer finds out."""
        return self.service.alive_since not in (0.0, float("inf"))


class Cluster:
    """The team. `changes` are what has gone away and come back."""

    def __init__(
        self,
        home: Path,
        database: Database,
        quotas: Mapping[str, int],
        *,
        window: float,
        budget: float,
        network: Network | None = None,
    ) -> None:
        self._home, self._quotas, self._window, self._budget = home, quotas, window, budget
        self.database, self._ledger = database, database.new_database()
        self._network, self._links = network, list[Link]()
        self.vendor = Simulator(host=HOSTS["front"]) if network else Simulator()
        self.store = Valkey(home)
        self.nodes: list[Node] = []
        self.keys: dict[str, str] = {}
        self.changes: list[Changed] = []

    async def start(self) -> None:
        """Start everything, and wait until all nodes answer."""
        self.vendor.start()
        self.vendor.script(
            Rule(times=None, chunks=4, delay=0.02, usage=Usage(input=PROMPT, output=ANSWER)),
            quotas={name: Quota(size, self._window) for name, size in self._quotas.items()},
        )
        await asyncio.to_thread(self.store.start)
        if self._network:
            store, ledger = [await self._link(port, HOSTS["back"]) for port in (self.store.port, self.database.port)]
        for name in NODES:
            paths = Paths.under(self._home / name)
            service, way = Service(paths.config.parent, free_port()), None
            if self._network:
                way = self._network.add()
                service.host, service.within = way.address("front"), way.command
                self._prepare(name, paths, store, ledger)
            else:
                store = await self._link(self.store.port)
                self._prepare(name, paths, store)
            node = Node(name, service, way or store, paths)
            node.admin = httpx.AsyncClient(
                base_url=node.service.url, headers={"x-api-key": self.keys["main"]}, trust_env=False, timeout=5
            )
            self.nodes.append(node)
        await asyncio.gather(*(node.service.start() for node in self.nodes))

    async def _link(self, port: int, host: str = "127.0.0.1") -> Link:
        link = Link(port, host)
        await link.open()
        self._links.append(link)
        return link

    def _prepare(self, name: str, paths: Paths, store: Link, ledger: Link | None = None) -> None:
        """Write the files of a node: the same for all but for its name, and its link to the store where it has one."""
        database = self._ledger
        if ledger:
            database = database.replace(f"127.0.0.1:{self.database.port}", f"{ledger.host}:{ledger.port}")
        make_folders(paths)
        paths.config.write_text(
            f"""
[pool]
learn_models = false
max_wait = 0
[gemini]
base_url = "{self.vendor.url}"
models = {{ default = "{MODEL}" }}
[shared]
url = "valkey://{store.host}:{store.port}/0"
node = "{name}"
[ledger]
url = "{database}"
[budgets.keys]
{BUDGETED} = "{self._budget}/month"
""",
            encoding="utf-8",
        )
        if not self.nodes:
            for account in self._quotas:
                stored = Account(name=account, key=f"key-of-the-account-{account}")
                update(paths.accounts, lambda old, stored=stored: old.add(stored))  # type: ignore[misc]
            self.keys["main"] = ensure_local_key(paths.accounts)
            made = new_key(Key(name=BUDGETED), datetime.now(UTC))
            update_keys(paths.keys, lambda old: old.add(made.stored))
            self.keys[BUDGETED] = made.secret
            return
        for file in ("accounts", "keys"):
            written = getattr(paths, file)
            written.write_bytes(getattr(self.nodes[0].paths, file).read_bytes())
            written.chmod(0o600)

    async def stop(self) -> None:
        """End everything."""
        for node in self.nodes:
            await node.admin.aclose()
        await asyncio.gather(*(asyncio.to_thread(node.service.stop) for node in self.nodes))
        for link in self._links:
            await link.close()
        await asyncio.to_thread(self.store.stop)
        await asyncio.to_thread(self.vendor.stop)

    async def kill(self, node: Node, seconds: float) -> None:
        """The process dies, and is started again later."""
        self._note(node.name, "away")
        await asyncio.to_thread(node.service.kill)
        await asyncio.sleep(seconds)
        await node.service.start()
        self._note(node.name, "up")

    async def freeze(self, node: Node, seconds: float) -> None:
        """The process stands still, as a machine that swaps; its connections stay."""
        assert node.service.process is not None
        since, node.service.alive_since = node.service.alive_since, float("inf")
        self._note(node.name, "away")
        node.service.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        node.service.process.send_signal(signal.SIGCONT)
        node.service.alive_since = since
        self._note(node.name, "up")

    async def cut(self, node: Node, seconds: float) -> None:
        """A node and the store do not reach each other; nor, with namespaces, a node and the database."""
        self._note(f"link of {node.name}", "away")
        node.way.cut()
        await asyncio.sleep(seconds)
        node.way.heal()
        self._note(f"link of {node.name}", "up")

    async def isolate(self, node: Node, seconds: float) -> None:
        """A node reaches nothing, and nothing reaches it."""
        assert isinstance(node.way, Namespace)
        since, node.service.alive_since = node.service.alive_since, float("inf")
        self._note(node.name, "away")
        node.way.cut(*HOSTS)
        await asyncio.sleep(seconds)
        node.way.heal(*HOSTS)
        node.service.alive_since = since
        self._note(node.name, "up")

    async def lose_store(self, seconds: float) -> None:
        """The store dies, and comes back empty."""
        self._note("store", "away")
        await asyncio.to_thread(self.store.stop)
        await asyncio.sleep(seconds)
        await asyncio.to_thread(self.store.start)
        self._note("store", "up")

    async def freeze_store(self, seconds: float) -> None:
        """The store answers nothing."""
        self._note("store", "away")
        with self.store.silent():
            await asyncio.sleep(seconds)
        self._note("store", "up")

    async def lose_database(self, seconds: float) -> None:
        """The database dies, and comes back with what it has committed."""
        self._note("database", "away")
        await asyncio.to_thread(self.database.kill)
        await asyncio.sleep(seconds)
        await asyncio.to_thread(self.database.start)
        self._note("database", "up")

    def _note(self, part: str, state: Any) -> None:
        self.changes.append(Changed(time.monotonic(), part, state))

    def calls(self) -> list[Called]:
        """What the vendor was asked, and until when it has refused."""
        began: dict[str, float] = {}
        found = []
        for record in sorted(self.vendor.log(), key=lambda each: each.t):
            if record.operation == "models":
                continue
            at = record.t + self.vendor._app._started
            if record.status != 429 and at - began.get(record.account, float("-inf")) >= self._window:
                began[record.account] = at
            ends = began[record.account] + self._window if record.status == 429 else None
            found.append(Called(at, at + (record.duration or 0.0), record.account, ends))
        return found

    async def known(self) -> list[Known | Spent]:
        """What every node says of the accounts and the budget."""
        return [each for node in self.nodes for each in await _said(node)]

    def recorded(self) -> list[Recorded]:
        """The rows of the ledger. The nodes have ended."""
        with psycopg.connect(self._ledger) as connection:
            rows = connection.execute("SELECT id, key, cost FROM bm_requests").fetchall()
        return [Recorded(id_, key, cost or 0.0) for id_, key, cost in rows]


async def _said(node: Node) -> list[Known | Spent]:
    accounts = (await node.admin.get("/admin/accounts")).json()["accounts"]
    now = time.monotonic()
    found: list[Known | Spent] = []
    for row in accounts:
        ends = [now + each["seconds"] for each in row["cooldowns"]]
        found.append(Known(node.name, row["name"], row["state"], max(ends) if ends else None))
    keys = (await node.admin.get("/admin/keys")).json()["keys"]
    for row in keys:
        found += [Spent(node.name, row["name"], each["spent"], each["reserved"]) for each in row["spending"]]
    return found
