"""A team of three nodes under load while its parts fail, and what its history proves: `scripts/team --seconds 60`.

With network namespaces, if the system lets this process have them, else on loopback. Nothing else is on its network.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import msgspec

from bm.loop import runner
from tests.support.postgres import Server as Database
from tests.support.postgres import server
from tests.team.checker import CHECKS, check, share_served, shares_of_accounts
from tests.team.clients import BUDGETED_OF, Clients
from tests.team.cluster import ANSWER, MOST, NODES, PROMPT, Cluster, Node
from tests.team.history import Answered, Asked, Called, Changed, Event, History, Known, Lost, Recorded, Spent, Terms
from tests.team.network import Network, enter, is_within
from tests.team.schedule import KINDS, NAMESPACES, Fault, Kind, schedule

ACCOUNTS = 20
WINDOW = 60.0
"""Seconds of the vendor's quotas: a minute, as it says when it refuses."""
PRICES = 0.5e-6, 3e-6
"""US dollars for a token of the prompt and of the answer of `cluster.MODEL`, at list price."""
REPLICATION = 0.75
"""Seconds until every node knows what another one does, on a machine that runs all of them and the clients."""
MOST_SHOWN = 10
HEALED = 20.0
"""Seconds after the last fault until the nodes must agree."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A run. `load` is the part of what all accounts together may answer that clients ask for; nothing breaks in the
    first `calm` seconds, and then something about every `pause` seconds."""

    seconds: float
    clients: int
    seed: int = 0
    faults: bool = True
    load: float = 1.5
    calm: float = 0.0
    pause: float = 5.0

    @property
    def quotas(self) -> dict[str, int]:
        """The requests of each account in a minute: unequal, as those of free tiers are."""
        return {f"acct{number:02d}": 5 * (number % 6 + 2) for number in range(ACCOUNTS)}

    @property
    def budget(self) -> float:
        """What the key with a budget may spend: two thirds of what its clients would spend without."""
        prompt, answer = PRICES
        served = self.rate * self.seconds * min(1.0, 1 / self.load)
        return round(served / BUDGETED_OF * (PROMPT * prompt + ANSWER * answer) * 2 / 3, 4)

    @property
    def rate(self) -> float:
        """Requests a second."""
        return sum(self.quotas.values()) / WINDOW * self.load


async def run(home: Path, database: Database, plan: Plan, network: Network | None = None) -> History:
    """Run, heal, and collect what has happened."""
    cluster = Cluster(home, database, plan.quotas, window=WINDOW, budget=plan.budget, network=network)
    try:
        await cluster.start()
        clients = Clients(cluster, plan.clients, plan.rate, plan.seed)
        began = time.monotonic()
        asking = asyncio.ensure_future(clients.run())
        faults = _faults(plan, NAMESPACES if network else KINDS)
        broken: set[str] = set()
        await asyncio.gather(*(_break(cluster, fault, broken) for fault in faults), asyncio.sleep(plan.seconds))
        clients.stop()
        ended = time.monotonic()
        await asking
        known = await _healed(cluster)
        calls, changes = cluster.calls(), list(cluster.changes)
    finally:
        await cluster.stop()
    events: list[Event] = [*clients.events, *calls, *changes, *known, *cluster.recorded()]
    return History(_terms(plan, began, ended), tuple(events))


def _faults(plan: Plan, possible: Sequence[Kind]) -> list[Fault]:
    """What breaks when, since the start."""
    if not plan.faults:
        return []
    found = schedule(plan.seed, plan.seconds - plan.calm, len(NODES), plan.pause, possible)
    return [fault._replace(at=fault.at + plan.calm) for fault in found]


def _terms(plan: Plan, began: float, ended: float) -> Terms:
    prompt, answer = PRICES
    return Terms(
        began=began,
        ended=ended,
        nodes=NODES,
        quotas=plan.quotas,
        window=WINDOW,
        rate=plan.rate,
        budgets={"ci": plan.budget},
        reservation=PROMPT * prompt + MOST * answer,
        replication=REPLICATION,
    )


async def _break(cluster: Cluster, fault: Fault, broken: set[str]) -> None:
    """Break one part, and mend it; one that is broken already, and takes long to come back, is left as it is."""
    await asyncio.sleep(fault.at)
    node = cluster.nodes[fault.node]
    if fault.part in broken:
        return
    broken.add(fault.part)
    await _break_part(cluster, fault, node)
    broken.discard(fault.part)


async def _break_part(cluster: Cluster, fault: Fault, node: Node) -> None:
    match fault.kind:
        case "kill":
            await cluster.kill(node, fault.seconds)
        case "freeze":
            await cluster.freeze(node, fault.seconds)
        case "cut":
            await cluster.cut(node, fault.seconds)
        case "isolate":
            await cluster.isolate(node, fault.seconds)
        case "lose store":
            await cluster.lose_store(fault.seconds)
        case "freeze store":
            await cluster.freeze_store(fault.seconds)
        case "lose database":
            await cluster.lose_database(fault.seconds)


async def _healed(cluster: Cluster) -> list[Known | Spent]:
    """What the nodes say, once they agree or should have agreed."""
    limit = time.monotonic() + HEALED
    while True:
        known = await cluster.known()
        said = Counter((each.account, each.state) for each in known if isinstance(each, Known))
        sums = {(each.key, round(each.spent, 6)) for each in known if isinstance(each, Spent)}
        held = any(each.reserved for each in known if isinstance(each, Spent))
        if (set(said.values()) == {len(NODES)} and len(sums) == 1 and not held) or time.monotonic() > limit:
            return known
        await asyncio.sleep(0.25)


def figures(history: History) -> str:
    """What has happened, as a table."""
    kinds = Counter(type(each) for each in history.events)
    statuses = Counter(each.status for each in history.events if isinstance(each, Answered))
    left = sum(isinstance(each, Lost) and not each.node for each in history.events)
    shares = shares_of_accounts(history)
    rows = [
        ("seconds", f"{history.terms.ended - history.terms.began:.0f}"),
        ("requests", f"{kinds[Asked]}"),
        *((f"answered with {status}", f"{count}") for status, count in sorted(statuses.items())),
        ("left by their clients", f"{left}"),
        ("lost with a node", f"{kinds[Lost] - left}"),
        ("calls to the vendor", f"{kinds[Called]}"),
        ("of them refused", f"{sum(isinstance(each, Called) and each.ends is not None for each in history.events)}"),
        ("rows of the ledger", f"{kinds[Recorded]}"),
        ("served of what could be, before anything broke", f"{share_served(history):.1%}"),
        ("by each account, of its quota", f"{min(shares):.0%} to {max(shares):.0%}"),
        ("parts that went away", f"{sum(isinstance(e, Changed) and e.state == 'away' for e in history.events)}"),
    ]
    return "\n".join(["| figure | value |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in rows)])


def main() -> int:
    """Run, print the figures and the faults that the checker finds, and keep the history if a file is named."""
    parser = argparse.ArgumentParser(prog="scripts/team", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--load", type=float, default=1.5, help="requests for each that the accounts may answer")
    parser.add_argument("--calm", type=float, default=0, help="seconds at the start in which nothing breaks")
    parser.add_argument("--pause", type=float, default=5, help="seconds between two faults, about")
    parser.add_argument("--no-faults", action="store_true", help="break nothing, and see how the load is shared")
    parser.add_argument(
        "--loopback", action="store_true", help="use no network namespaces, even where that is possible"
    )
    parser.add_argument("--write", type=Path, help="where the history is kept, as JSON")
    options = parser.parse_args()
    why = "" if is_within() else "not wanted" if options.loopback else enter()
    if why:
        print(f"No network namespaces ({why}): on loopback, where a partition cuts a node from the store only.")
    else:
        print("Each node is in a network namespace: a partition cuts it from store and database, or from everything.")
    # Whoever ends a run ends its processes, also where it was started with `&`, which ignores the other signal.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    plan = Plan(
        seconds=options.seconds,
        clients=options.clients,
        seed=options.seed,
        load=options.load,
        calm=options.calm,
        pause=options.pause,
        faults=not options.no_faults,
    )
    with tempfile.TemporaryDirectory() as folder, nullcontext() if why else Network() as network, server() as database:
        history = runner().run(run(Path(folder), database, plan, network))
    if options.write:
        options.write.write_bytes(msgspec.json.encode(history))
    print(figures(history))
    for find in CHECKS:
        found = list(find(history))
        print(f"{find.__name__.replace('_', ' ')}: {f'{len(found)} faults' if found else 'yes'}")
        for fault in found[:MOST_SHOWN]:
            print(f"  {fault}")
    return int(bool(check(history)))


if __name__ == "__main__":
    raise SystemExit(main())
