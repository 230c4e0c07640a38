"""Everything a decision needs to know, at one moment. All times are seconds that remain, so there is no clock in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from bm.names import ProtocolName
from bm.providers.provider import Provider

ANY_MODEL = ""
"""The key of what holds for every model of an account."""


class ModelState(msgspec.Struct, frozen=True, kw_only=True):
    """How an account stands for one model.

    `cooldown` are the seconds until it may be asked again and `reason` says why it rests; `overloaded` that no limit is
    the cause. `excluded` names the reason why the model is not to be had with this account at all. `circuit` is open
    after repeated overload (for `cooldown` seconds, or while one request tries), then half open: one request may try.
    `nearly_spent`: little is left of what it may use in this minute.
    """

    cooldown: float = 0.0
    reason: str = ""
    overloaded: bool = False
    excluded: str = ""
    circuit: Literal["closed", "half_open", "open"] = "closed"
    nearly_spent: bool = False


class AccountState(msgspec.Struct, frozen=True, kw_only=True):
    """One account.

    `disabled` is the reason it is out of use, empty while it is in use. `health` goes from 1 (well) to 0. `idle` are
    the seconds since it was last used, None = never. `models` is its known model list. `states` holds what is not in
    order, by model name; `ANY_MODEL` counts for all of them.
    """

    name: str
    disabled: str = ""
    health: float = 1.0
    idle: float | None = None
    inflight: int = 0
    models: frozenset[str] | None = None
    states: Mapping[str, ModelState] = {}

    def state(self, model: str) -> ModelState:
        """How it stands for `model`: what rests longer of the model's own state and that of the whole account."""
        if not self.states:
            return _WELL
        own, whole = self.states.get(model, _WELL), self.states.get(ANY_MODEL, _WELL)
        return max((own, whole), key=lambda state: (bool(state.excluded), state.cooldown, state.circuit != "closed"))


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A provider with its accounts in their order. `contexts` are learnt limits of its models, in tokens."""

    provider: Provider
    accounts: tuple[AccountState, ...] = ()
    contexts: Mapping[str, int] = {}

    @property
    def account_states(self) -> tuple[AccountState, ...]:
        """Its accounts; a provider that asks for no key needs none and has one all the same."""
        return self.accounts or ((AccountState(name="local"),) if self.provider.auth == "none" else ())


class Affinity(msgspec.Struct, frozen=True):
    """Where the conversation was served last."""

    provider: str
    account: str


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How long a request is fought for: seconds of waiting in all, and upstream calls in all."""

    max_wait: float = 30.0
    max_attempts: int = 20


class Requirements(msgspec.Struct, frozen=True, kw_only=True):
    """What a request holds that not every model takes. `tokens` is a lower bound of its prompt; 0 = unknown.

    `past` names the media of which there are none in the person's newest message, only in earlier ones and in results
    of tools: a model that cannot be shown them can still go on with the conversation.
    """

    images: bool = False
    documents: bool = False
    audio: bool = False
    video: bool = False
    tools: bool = False
    tokens: int = 0
    past: frozenset[str] = frozenset()


class RouteQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A request as far as dispatch cares: the model as the client wrote it and the client's protocol."""

    model: str
    protocol: ProtocolName
    requirements: Requirements = Requirements()


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The providers in the order of `bm.providers.provider.effective`, with their accounts, and the rules."""

    members: tuple[Member, ...] = ()
    aliases: Mapping[str, str] = {}
    affinity: Affinity | None = None
    limits: Limits = Limits()


_WELL = ModelState()
