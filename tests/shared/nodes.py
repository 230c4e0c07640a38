"""Two nodes of a team in one process: what each of them holds, over a real store."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from bm.shared.leases import Leases
from bm.shared.news import News
from bm.shared.outbox import Outbox
from bm.shared.store import Store
from bm.tasks import Work
from tests.shared.conftest import opened
from tests.support.waiting import until


@dataclass
class Node:
    """What the parts of one node share."""

    store: Store
    outbox: Outbox
    news: News
    leases: Leases

    async def settled(self) -> None:
        """Wait until the store has everything, which takes long on a busy machine."""
        await until(lambda: not self.outbox.waiting)


@asynccontextmanager
async def nodes(url: str, *names: str, clock: Callable[[], float] = time.time) -> AsyncIterator[list[Node]]:
    """Nodes that send and read until the block ends."""
    async with AsyncExitStack() as stack:
        found = []
        for name in names:
            store = await stack.enter_async_context(opened(url))
            node = Node(store, Outbox(store), News(store, name, clock), Leases(store))
            work = Work({"sending": node.outbox.keep_sending, "reading": node.news.keep_reading})
            work.start()
            stack.push_async_callback(_stopped, work)
            found.append(node)
        yield found


async def _stopped(work: Work) -> None:
    """Stop, and let what is cancelled give its connection back."""
    work.stop()
    await asyncio.sleep(0.005)
