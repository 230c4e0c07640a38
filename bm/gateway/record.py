"""What became of one call: what `bm why` tells and the ledger keeps. Holds no prompt text and no key."""

from __future__ import annotations

import msgspec

from bm.chat.events import Usage
from bm.chat.request import Loss
from bm.dispatch.target import Target
from bm.errors import Failure
from bm.names import ProtocolName


class AttemptRecord(msgspec.Struct, kw_only=True):
    """One upstream call. Times are seconds: `wait` before it, `took` from sending to its outcome."""

    target: Target
    reason: str
    wait: float = 0.0
    took: float = 0.0
    status: int = 0
    outcome: str = ""
    message: str = ""
    booked: str = ""


class Record(msgspec.Struct, kw_only=True):
    """One call. `at` is Unix time, `took` and `first_content` are seconds since the call came in."""

    id: str
    at: float
    protocol: ProtocolName
    model: str
    stream: bool
    attempts: list[AttemptRecord] = []
    target: Target | None = None
    status: int = 0
    took: float = 0.0
    first_content: float | None = None
    usage: Usage | None = None
    finish: str = ""
    failure: Failure | None = None
    losses: tuple[Loss, ...] = ()
    passed_through: bool = False
    client_left: bool = False

    def line(self) -> str:
        """The one line of the log."""
        where = f"{self.target.provider}/{self.target.account} {self.target.model}" if self.target else "no target"
        parts = [self.id, self.protocol, self.model, "->", where, f"{self.took:.2f}s", f"{len(self.attempts)} tried"]
        if self.usage is not None:
            parts.append(f"{self.usage.prompt}+{self.usage.output} tokens")
        if self.losses:
            parts.append(f"dropped {', '.join(loss.field for loss in self.losses)}")
        if self.client_left:
            parts.append("the client left")
        elif self.failure is not None:
            parts.append(f"{self.status} {self.failure.kind}: {self.failure.message}")
        else:
            parts.append(f"{self.status} {self.finish or 'complete'}")
        return " ".join(parts)
