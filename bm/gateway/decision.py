"""How a call came to its answer, as a document for `bm why` and a row for the ledger. Bounded, without any key."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import msgspec

from bm.chat.events import Usage
from bm.chat.parts import Json
from bm.dispatch.plan import Choice, Considered, Plan
from bm.dispatch.target import Target
from bm.gateway.record import AttemptRecord, Record
from bm.ledger.entry import Entry
from bm.ledger.writer import Ledger

MOST = 40
"""Lines of a kind that are kept of one call."""

LONGEST = 300
"""Characters of a text that are kept."""

RECENT = 100
"""Records kept in memory: the ledger may not have them yet, or may not be writable."""


class CallLog:
    """The calls under way, the latest that have ended, and how many there were. Writes each to the ledger.

    `observers` are called with the record of each call that has ended, in the event loop: they must be quick and must
    not raise.
    """

    def __init__(self, mask: Callable[[str], str], ledger: Ledger | None = None) -> None:
        self._mask, self._ledger = mask, ledger
        self.under_way: dict[str, Record] = {}
        self.recent: deque[Record] = deque(maxlen=RECENT)
        self.total = self.failed = 0
        self.observers: list[Callable[[Record], None]] = []

    @property
    def active(self) -> int:
        """How many calls are under way."""
        return len(self.under_way)

    def begin(self, record: Record) -> None:
        """A call has come in."""
        self.total += 1
        self.under_way[record.id] = record

    def end(self, record: Record) -> None:
        """A call has ended, and its record is complete."""
        self.under_way.pop(record.id, None)
        self.recent.append(record)
        self.failed += record.failure is not None
        for observe in self.observers:
            observe(record)
        if self._ledger is not None:
            self._ledger.put(partial(entry_of, record, self._mask))

    def find(self, request_id: str) -> Record | None:
        """One of the latest calls. `last` is the latest of all."""
        return next((record for record in reversed(self.recent) if request_id in ("last", record.id)), None)


def document_of(record: Record, mask: Callable[[str], str]) -> Json:
    """What `bm why` shows: who was considered, every attempt, what was dropped, the end. Not for the event loop."""
    record.price()
    document: Json = msgspec.json.decode(_encoded(record, mask))
    return document


def entry_of(record: Record, mask: Callable[[str], str]) -> Entry:
    """The ledger's row with the decision. Not for the event loop."""
    return msgspec.structs.replace(row_of(record), decision=_encoded(record, mask))


def row_of(record: Record) -> Entry:
    """The ledger's row alone, also of a call that is under way: it stands with the target that was tried last, and so
    does one that failed. Not for the event loop."""
    record.price()
    target = _target(record)
    usage = record.usage or Usage()
    return Entry(
        id=record.id,
        at=record.at,
        protocol=record.protocol,
        operation=record.operation,
        model=_short(record.model),
        provider=target.provider if target else "",
        account=target.account if target else "",
        upstream_model=_short(target.model) if target else "",
        stream=record.stream,
        status=record.status,
        finish=_finish(record),
        failure=record.failure.kind if record.failure and not record.client_left else "",
        attempts=len(record.attempts),
        first_content=record.first_content,
        took=record.took,
        input=usage.input,
        cache_read=usage.cache_read,
        cache_write=usage.cache_write,
        output=usage.output,
        thinking=usage.thinking,
        cost=record.cost,
        passed_through=record.passed_through,
        dropped=_short(", ".join(loss.field for loss in record.losses)),
    )


def _target(record: Record) -> Target | None:
    return record.target or (record.attempts[-1].target if record.attempts else None)


def _finish(record: Record) -> str:
    return "client_left" if record.client_left else record.finish


def _encoded(record: Record, mask: Callable[[str], str]) -> bytes:
    plan = record.plan or Plan(asked=record.model)
    document: Json = {
        "id": record.id,
        "at": record.at,
        "protocol": record.protocol,
        "operation": record.operation,
        "model": _short(record.model),
        "stream": record.stream,
        "steps": [_short(step) for step in plan.steps[:MOST]],
        "considered": [considered(line) for line in plan.considered[:MOST]],
        "targets": [chosen(choice) for choice in (*plan.choices, *plan.cooling)[:MOST]],
        "left_out": _left_out(plan.considered, (*plan.choices, *plan.cooling), record.attempts, record.losses),
        "attempts": [_attempt(entry) for entry in record.attempts[:MOST]],
        "answered_by": _names(record.target) if record.target else None,
        "passed_through": record.passed_through,
        "seams": record.seams,
        "dropped": [{"field": _short(loss.field), "reason": _short(loss.reason)} for loss in record.losses[:MOST]],
        "status": record.status,
        "finish": _finish(record),
        "failure": _failure(record),
        "client_left": record.client_left,
        "first_content": record.first_content,
        "took": record.took,
        "usage": msgspec.structs.asdict(record.usage) if record.usage else None,
        "cost": record.cost,
    }
    return mask(msgspec.json.encode(document).decode()).encode()


def considered(line: Considered) -> Json:
    """A provider or account, and why it is in the plan or out of it."""
    return {
        "provider": line.provider,
        "account": line.account or None,
        "model": _short(line.model),
        "verdict": line.verdict,
        "reason": _short(line.reason),
        "seconds": line.seconds,
        "in": line.verdict == "ready",
    }


def chosen(choice: Choice) -> Json:
    """A target of the plan, and why it stands where it does."""
    return {
        **_names(choice.target),
        "protocol": choice.target.protocol,
        "stage": choice.stage,
        "reason": _short(choice.reason),
        "mapping": _short(choice.mapping),
        "seconds": choice.seconds,
    }


def _attempt(entry: AttemptRecord) -> Json:
    return {
        **_names(entry.target),
        "reason": _short(entry.reason),
        "wait": entry.wait,
        "at": entry.at,
        "took": entry.took,
        "status": entry.status,
        "outcome": entry.outcome,
        "message": _short(entry.message),
        "booked": entry.booked,
        "rests": entry.rests,
    }


def _names(target: Target) -> Json:
    return {"provider": target.provider, "account": target.account, "model": _short(target.model)}


def _failure(record: Record) -> Json | None:
    failure = record.failure
    if failure is None:
        return None
    return {"kind": failure.kind, "message": _short(failure.message), "retry_after": failure.retry_after}


def _left_out(*lists: Sequence[Any]) -> int:
    """How many lines the bounds have cost."""
    return sum(max(0, len(lines) - MOST) for lines in lists)


def _short(text: str) -> str:
    """A text within its bound; half a character, which JSON may hold and UTF-8 not, is replaced."""
    kept = text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
    return kept if kept.isascii() else kept.encode("utf-8", "replace").decode()
