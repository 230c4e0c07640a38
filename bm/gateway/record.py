"""What became of one call: what `bm why` tells and the ledger keeps. Holds no prompt text.

An upstream's words are kept without what they quote of the prompt; whoever writes them down masks the keys in them.
"""

from __future__ import annotations

import msgspec

from bm.chat.events import Usage
from bm.chat.request import Loss
from bm.dispatch.plan import Plan
from bm.dispatch.target import Target
from bm.errors import Failure
from bm.gateway.quotes import Quotes
from bm.ledger.prices import cost_of
from bm.names import ProtocolName
from bm.upstream.endpoint import Operation

_QUOTES = Quotes()
"""Shared by all calls: what a service says of one it says of the next."""


class AttemptRecord(msgspec.Struct, kw_only=True):
    """One upstream call. Times are seconds: `wait` before it, `took` from sending to its outcome.

    `at` is when it was sent, since the call came in. `booked` is what it means for the account, which rests for `rests`
    seconds.
    """

    target: Target
    reason: str
    wait: float = 0.0
    at: float = 0.0
    took: float = 0.0
    status: int = 0
    outcome: str = ""
    message: str = ""
    booked: str = ""
    rests: float = 0.0


class Record(msgspec.Struct, kw_only=True):
    """One call. `at` is Unix time, `took` and `first_content` are seconds since the call came in.

    `cost` is in US dollars at list price, None when no price is known or nobody has asked for it yet. `seams` says how
    often another target went on with the answer after it was cut; `shares` then says what each of them took, which is
    paid for at its own price.
    """

    id: str
    at: float
    protocol: ProtocolName
    model: str
    stream: bool
    operation: Operation = "generate"
    plan: Plan | None = None
    attempts: list[AttemptRecord] = []
    target: Target | None = None
    status: int = 0
    took: float = 0.0
    first_content: float | None = None
    usage: Usage | None = None
    cost: float | None = None
    finish: str = ""
    failure: Failure | None = None
    losses: tuple[Loss, ...] = ()
    passed_through: bool = False
    client_left: bool = False
    seams: int = 0
    shares: list[tuple[Target, Usage]] = []

    def settle(self, took: float, body: bytes) -> None:
        """The call with that body is over: note how long it took, and let go of what only its client needed."""
        self.took = took
        if self.failure is not None:
            message = self.words(self.failure.message, body)
            self.failure = msgspec.structs.replace(self.failure, message=message, upstream_body=b"")

    def words(self, message: str, body: bytes) -> str:
        """A message as it is kept: without what it quotes of the call's body."""
        names = {self.model, *(attempt.target.model for attempt in self.attempts)}
        return _QUOTES.without(message, body, names)

    def price(self) -> None:
        """Note what the call cost, unless it is known already. Not for the event loop."""
        if self.cost is None and self.usage is not None and self.target is not None:
            shares = self.shares or [(self.target, self.usage)]
            costs = [cost_of(target.provider, target.model, usage) for target, usage in shares]
            known = [cost for cost in costs if cost is not None]
            self.cost = sum(known) if len(known) == len(costs) else None

    def line(self) -> str:
        """The one line of the log."""
        target = self.target or (self.attempts[-1].target if self.attempts else None)
        where = f"{target.provider}/{target.account} {target.model}" if target else "no target"
        parts = [self.id, self.protocol, self.model, "->", where, f"{self.took:.2f}s", f"{len(self.attempts)} tried"]
        if self.first_content is not None:
            parts.append(f"first content {self.first_content:.2f}s")
        if self.usage is not None:
            parts.append(f"{self.usage.prompt}+{self.usage.output} tokens")
        if self.seams:
            parts.append("finished after a cut")
        if self.losses:
            parts.append(f"dropped {', '.join(loss.field for loss in self.losses)}")
        if self.client_left:
            parts.append("the client left")
        elif self.failure is not None:
            parts.append(f"{self.status} {self.failure.kind}: {self.failure.message}")
        else:
            parts.append(f"{self.status} {self.finish or 'complete'}")
        return " ".join(parts)
