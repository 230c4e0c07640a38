"""What has happened in a run of a team: each event as its witness has seen it, at a time of one clock in seconds."""

from __future__ import annotations

from typing import Literal

import msgspec


class Asked(msgspec.Struct, frozen=True, tag=True):
    """A client has sent a request to a node."""

    at: float
    request: int
    node: str
    conversation: str
    key: str


class Answered(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A client has the end of its response: from which `account`, and whether what it says is what was asked for.

    `id` is bm's name of the request, `retry_after` what a refusal says.
    """

    at: float
    request: int
    node: str
    status: int
    id: str
    account: str = ""
    right: bool = True
    retry_after: float | None = None
    message: str = ""


class Lost(msgspec.Struct, frozen=True, tag=True):
    """A client has no whole response: its connection to a node broke, or, without a node, it has left."""

    at: float
    request: int
    node: str
    why: str


class Called(msgspec.Struct, frozen=True, tag=True):
    """The vendor was asked with an account. `ends` is when the account may be asked again, if it has refused that."""

    at: float
    answered: float
    account: str
    ends: float | None = None


class Changed(msgspec.Struct, frozen=True, tag=True):
    """A part of the team has gone or come back: a node, the store, the link of a node to the store, the database."""

    at: float
    part: str
    state: Literal["up", "away"]


class Recorded(msgspec.Struct, frozen=True, tag=True):
    """A row of the ledger at the end."""

    id: str
    key: str
    money: float


class Known(msgspec.Struct, frozen=True, tag=True):
    """What a node knows at the end of an account: whether it may be asked, and when it may be again."""

    node: str
    account: str
    state: str
    ends: float | None


class Spent(msgspec.Struct, frozen=True, tag=True):
    """What a node says of a key's budget at the end."""

    node: str
    key: str
    spent: float
    reserved: float


Event = Asked | Answered | Lost | Called | Changed | Recorded | Known | Spent


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What a run must keep to.

    `quotas` are the requests that each account answers in a window of so many seconds, `rate` is that of the requests.
    `budgets` are the amounts of the keys that have one, `reservation` is the most that a request reserves.
    `replication` is the longest time until a node knows what another one does.
    """

    began: float
    ended: float
    nodes: tuple[str, ...]
    quotas: dict[str, int]
    window: float
    rate: float
    budgets: dict[str, float]
    reservation: float
    replication: float


class History(msgspec.Struct, frozen=True):
    """All events of a run."""

    terms: Terms
    events: tuple[Event, ...]
