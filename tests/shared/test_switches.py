"""Accounts that are switched on one node are switched on the others; the latest switch holds."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import msgspec
import pytest

from bm.accounts.credentials import Credential, Credentials
from bm.accounts.pool import Pool
from bm.errors import AccountError
from bm.shared.facts import Fact, FactKind
from bm.shared.replica import Replica
from bm.shared.switches import Switches
from tests.accounts.build import credential


class Node:
    """A pool and its stored accounts."""

    def __init__(self, *credentials: Credential) -> None:
        self.stored = Credentials(accounts=tuple(each.account for each in credentials))
        self.pool = Pool(credentials)
        self.replica = Replica(self.pool, "here", anchor=0.0)
        self.switches = Switches(self.replica, self.pool, self.edit)
        self.edits = 0
        self.meanwhile: Callable[[], None] = lambda: None

    async def edit(self, change: Callable[[Credentials], Credentials]) -> None:
        self.edits += 1
        self.stored = change(self.stored)
        self.meanwhile()
        self.reload()

    def reload(self) -> None:
        self.pool.reload(Credential(account=each, secret=each.key) for each in self.stored.accounts)

    def hear(self, kind: FactKind, at: float, name: str = "a") -> None:
        fact = Fact(run="there", number=int(at), kind=kind, provider="gemini", account=name, proof="", at=at)
        self.replica.receive([fact], 0.0)

    def on(self, name: str = "a") -> bool:
        return self.pool.runtimes["gemini", name].credential.account.enabled

    def switch(self, *, on: bool) -> None:
        self.stored = self.stored.change(msgspec.structs.replace(self.stored.find("a", "gemini"), enabled=on))
        self.reload()


async def test_what_was_switched_elsewhere_is_switched_here_and_not_sent_back() -> None:
    node = Node(credential("a"), credential("b"))
    node.hear("off", 10.0)
    await node.switches.apply()
    assert (node.on(), node.on("b")) == (False, True)
    assert node.switches.changes(20.0) == []
    node.hear("on", 30.0)
    node.hear("off", 5.0)
    await node.switches.apply()
    assert node.on()
    await node.switches.apply()
    assert node.edits == 2


async def test_another_switch_that_arrives_meanwhile_is_not_undone() -> None:
    node = Node(credential("a"))
    node.hear("off", 10.0)
    node.meanwhile = lambda: node.hear("on", 20.0)
    await node.switches.apply()
    assert node.switches.changes(30.0) == []
    await node.switches.apply()
    assert node.on()


def test_what_a_person_switches_here_is_a_fact() -> None:
    node = Node(credential("a"))
    assert node.switches.changes(10.0) == []
    node.switch(on=False)
    (fact,) = node.switches.changes(20.0)
    assert (fact.kind, fact.account, fact.at) == ("off", "a", 20.0)
    assert node.switches.changes(30.0) == []


@pytest.mark.parametrize(
    ("enabled", "renewed", "edited", "heard", "made"),
    [
        (True, 0.0, 50.0, "off", []),
        (True, 20.0, 50.0, "off", ["on"]),
        (False, 0.0, 50.0, "on", ["off"]),
        (False, 0.0, 5.0, "on", []),
        (True, 0.0, 50.0, "on", []),
        (True, 0.0, 50.0, "", []),
    ],
)
def test_what_was_switched_while_no_daemon_ran(
    enabled: bool, renewed: float, edited: float, heard: FactKind | str, made: list[str]
) -> None:
    own = credential("a", enabled=enabled)
    account = msgspec.structs.replace(own.account, renewed_at=datetime.fromtimestamp(renewed, UTC))
    node = Node(msgspec.structs.replace(own, account=account))
    if heard in ("on", "off"):
        node.hear("on" if heard == "on" else "off", 10.0)
    assert [fact.kind for fact in node.switches.begin(edited, at=60.0)] == made


async def test_an_account_that_cannot_be_switched_is_given_up() -> None:
    node = Node(credential("a"))

    async def refuse(change: object) -> None:
        node.edits += 1
        raise AccountError("no")

    switches = Switches(node.replica, node.pool, refuse)
    node.hear("off", 10.0)
    await switches.apply()
    await switches.apply()
    assert node.edits == 1
