"""What became of a call: its record in memory, its document for `bm why`, its row in the ledger. Holds no prompt text.

An upstream's messages are recorded without what they quote of the prompt. Keys in them are masked when written.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import msgspec

from bm.chat.events import Usage
from bm.chat.parts import Json
from bm.chat.request import Loss
from bm.dispatch.candidates import Candidate
from bm.dispatch.plan import Considered, Plan
from bm.dispatch.target import Target
from bm.errors import Failure
from bm.gateway.redaction import PromptRedaction
from bm.ledger.entry import Entry
from bm.ledger.prices import cost_of
from bm.ledger.writer import Ledger
from bm.names import MAIN_KEY, Operation, ProtocolName

MAX_LINES = 40
"""Lines of a kind that are kept of one call."""
MAX_TEXT = 300
"""Characters of a text that are kept."""
RECENT = 100
"""Records kept in memory: the ledger may not have them yet, or may not be writable."""

_REDACTION = PromptRedaction()
"""Shared by all calls: a service words its refusals alike."""


class AttemptRecord(msgspec.Struct, kw_only=True):
    """One upstream call. Times are seconds: `wait` before it, `took` from sending to its outcome.

    `at` is when it was sent, since the call came in. `effect` is its effect on the account, which cools down for
    `cooldown` seconds. `usage` is what a call has used whose answer the client does not receive: it was cancelled
    because another target answered first, it failed after its service had counted tokens, or it lacks the required tool
    call. Where the service of a cancelled call has reported none, it is an estimate of the prompt.
    """

    target: Target
    reason: str
    wait: float = 0.0
    at: float = 0.0
    took: float = 0.0
    status: int = 0
    outcome: str = ""
    message: str = ""
    effect: str = ""
    cooldown: float = 0.0
    usage: Usage | None = None


class Record(msgspec.Struct, kw_only=True):
    """One call. `at` is Unix time, `took` and `first_content` are seconds since the call came in.

    `key` is the name of the client's key, `tool` is what its user agent names, `traceparent` its place in a trace (W3C
    Trace Context). `cost` is in US dollars at list price,
    with what cancelled attempts cost, None while no price is known. `continuations` counts how often another target has
    continued the answer after it was cut; `shares` then holds each target's part of the usage, at its own price.
    """

    id: str
    at: float
    protocol: ProtocolName
    model: str
    stream: bool
    operation: Operation = "generate"
    key: str = MAIN_KEY
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
    continuations: int = 0
    shares: list[tuple[Target, Usage]] = []
    tool: str = ""
    traceparent: str = ""

    @property
    def last_target(self) -> Target | None:
        """The target that has answered, or else the one tried last."""
        return self.target or (self.attempts[-1].target if self.attempts else None)

    def close(self, took: float, body: bytes) -> None:
        """The call with that body has ended after `took` seconds. Drop what only the client needed."""
        self.took = took
        if self.failure is not None:
            message = self.redact(self.failure.message, body)
            self.failure = msgspec.structs.replace(self.failure, message=message, upstream_body=b"")

    def redact(self, message: str, body: bytes) -> str:
        """An upstream's message without what it quotes of the call's body."""
        names = {self.model, *(attempt.target.model for attempt in self.attempts)}
        return _REDACTION.redact(message, body, names)

    def used(self) -> list[tuple[Target, Usage]]:
        """What each target has used for the call, also where the client has not received it."""
        found = list(self.shares)
        if not found and self.usage is not None and self.target is not None:
            found.append((self.target, self.usage))
        return [*found, *((each.target, each.usage) for each in self.attempts if each.usage is not None)]

    def set_cost(self) -> None:
        """Compute what the call has cost, unless it is known. Loads the price data: not for the event loop."""
        if self.cost is None and (used := self.used()):
            costs = [cost_of(target.provider, target.model, usage) for target, usage in used]
            known = [cost for cost in costs if cost is not None]
            self.cost = sum(known) if len(known) == len(costs) else None

    def __str__(self) -> str:
        """The one line of the log, which the log's thread writes."""
        target = self.last_target
        where = f"{target.provider}/{target.account} {target.model}" if target else "no target"
        parts = [self.id, self.protocol, self.model, "->", where, f"{self.took:.2f}s", f"{len(self.attempts)} tried"]
        if self.first_content is not None:
            parts.append(f"first content {self.first_content:.2f}s")
        if self.usage is not None:
            parts.append(f"{self.usage.prompt}+{self.usage.output} tokens")
        if self.continuations:
            parts.append("finished after a cut")
        if self.key != MAIN_KEY:
            parts.append(f"key {self.key}")
        if self.losses:
            parts.append(f"dropped {', '.join(loss.field for loss in self.losses)}")
        if self.client_left:
            parts.append("the client left")
        elif self.failure is not None:
            parts.append(f"{self.status} {self.failure.kind}: {self.failure.message}")
        else:
            parts.append(f"{self.status} {self.finish or 'complete'}")
        return " ".join(parts)


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
    """What `bm why` shows: the targets considered, every attempt, what was dropped, how it ended.

    It is bounded and holds no key. Computes the cost: not for the event loop.
    """
    record.set_cost()
    document: Json = msgspec.json.decode(_encoded(record, mask))
    return document


def entry_of(record: Record, mask: Callable[[str], str]) -> Entry:
    """The ledger's row together with the document. Not for the event loop."""
    row = row_of(record)
    return msgspec.structs.replace(row, model=mask(row.model), decision=_encoded(record, mask))


def row_of(record: Record) -> Entry:
    """The ledger's row without the document, also of a call that is under way. Not for the event loop."""
    record.set_cost()
    target = record.last_target
    usage = record.usage or Usage()
    return Entry(
        **_facts(record),
        model=_short(record.model),
        provider=target.provider if target else "",
        account=target.account if target else "",
        upstream_model=_short(target.model) if target else "",
        failure=record.failure.kind if record.failure and not record.client_left else "",
        attempts=len(record.attempts),
        input=usage.input,
        cache_read=usage.cache_read,
        cache_write=usage.cache_write,
        output=usage.output,
        thinking=usage.thinking,
        dropped=_short(", ".join(loss.field for loss in record.losses)),
    )


def _facts(record: Record) -> Json:
    """What the row and the document have in common."""
    return {
        "id": record.id,
        "at": record.at,
        "protocol": record.protocol,
        "operation": record.operation,
        "stream": record.stream,
        "status": record.status,
        "finish": "client_left" if record.client_left else record.finish,
        "first_content": record.first_content,
        "took": record.took,
        "cost": record.cost,
        "passed_through": record.passed_through,
        "key": record.key,
        "tool": record.tool,
    }


def _encoded(record: Record, mask: Callable[[str], str]) -> bytes:
    plan = record.plan or Plan(asked=record.model)
    choices = (*plan.choices, *plan.cooling_down)
    lists: tuple[Sequence[Any], ...] = (plan.considered, choices, record.attempts, record.losses)
    document = _facts(record) | {
        "model": _short(record.model),
        "route": plan.route or None,
        "steps": [_short(step) for step in plan.steps[:MAX_LINES]],
        "considered": [_considered(line) for line in plan.considered[:MAX_LINES]],
        "targets": [_chosen(choice) for choice in choices[:MAX_LINES]],
        "left_out": plan.unlisted + sum(max(0, len(lines) - MAX_LINES) for lines in lists),
        "attempts": [_attempt(entry) for entry in record.attempts[:MAX_LINES]],
        "answered_by": _names(record.target) if record.target else None,
        "continuations": record.continuations,
        "dropped": [{"field": _short(loss.field), "reason": _short(loss.reason)} for loss in record.losses[:MAX_LINES]],
        "failure": _failure(record),
        "client_left": record.client_left,
        "usage": msgspec.structs.asdict(record.usage) if record.usage else None,
    }
    return mask(msgspec.json.encode(document).decode()).encode()


def _considered(line: Considered) -> Json:
    """A provider or account, and why it is or is not in the plan."""
    texts = {"account": line.account or None, "model": _short(line.model), "reason": _short(line.reason)}
    return msgspec.structs.asdict(line) | texts | {"in": line.verdict == "ready"}


def _chosen(choice: Candidate) -> Json:
    """A target of the plan, and why it has its place in the order."""
    texts = {"reason": _short(choice.reason), "mapping": _short(choice.mapping)}
    place = {"protocol": choice.target.protocol, "stage": choice.stage, "seconds": choice.seconds}
    return _names(choice.target) | place | texts


def _attempt(entry: AttemptRecord) -> Json:
    facts = msgspec.structs.asdict(entry)
    target: Target = facts.pop("target")
    return _names(target) | facts | {"reason": _short(entry.reason), "message": _short(entry.message)}


def _names(target: Target) -> Json:
    return {"provider": target.provider, "account": target.account, "model": _short(target.model)}


def _failure(record: Record) -> Json | None:
    failure = record.failure
    if failure is None:
        return None
    return {"kind": failure.kind, "message": _short(failure.message), "retry_after": failure.retry_after}


def _short(text: str) -> str:
    """The text, cut to `MAX_TEXT`. Lone surrogates, which JSON may hold and UTF-8 may not, are replaced."""
    kept = text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…"
    return kept if kept.isascii() else kept.encode("utf-8", "replace").decode()
