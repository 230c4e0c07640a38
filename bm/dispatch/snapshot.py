"""Everything that a decision depends on, at one moment. All times are seconds left, so no clock is needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import msgspec

from bm.config.schema import Chain, Routes
from bm.dispatch.target import AccountId
from bm.names import ProtocolName
from bm.providers.listing import Facts
from bm.providers.provider import Provider

ANY_MODEL = ""
"""The key of what applies to every model of an account."""


class ModelState(msgspec.Struct, frozen=True, kw_only=True):
    """The state of one model of an account.

    `cooldown` is the seconds until it may be asked again, `reason` why, and `overloaded` means that no limit is the
    cause. `excluded` is why the account does not have the model. `circuit` is open after repeated overload (for
    `cooldown` seconds, or while one request probes), then half open: one request may probe. `nearly_spent` means that
    little is left of the limit for this minute.
    """

    cooldown: float = 0.0
    reason: str = ""
    overloaded: bool = False
    excluded: str = ""
    circuit: Literal["closed", "half_open", "open"] = "closed"
    nearly_spent: bool = False


class AccountState(msgspec.Struct, frozen=True, kw_only=True):
    """The state of one account.

    `disabled` is why it cannot be used, empty while it can; `refused` means that the service said so. `health` goes
    from 1 (healthy) to 0. `idle` is the seconds since its last turn, which is as many requests as its weight, None =
    never used; `inflight` is the turns under way. `models` is its list of models if known. `states` holds the models
    that are not fully usable; `ANY_MODEL` applies to all of them. Accounts of a lower `tier` come first.
    """

    name: str
    tier: int = 0
    disabled: str = ""
    refused: bool = False
    health: float = 1.0
    idle: float | None = None
    inflight: int = 0
    models: frozenset[str] | None = None
    states: Mapping[str, ModelState] = {}

    def state(self, model: str) -> ModelState:
        """The state for `model`: the worse of the model's own and the one that applies to all."""
        if not self.states:
            return _USABLE
        own, every = self.states.get(model, _USABLE), self.states.get(ANY_MODEL, _USABLE)
        return max((own, every), key=lambda state: (bool(state.excluded), state.cooldown, state.circuit != "closed"))


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A provider with its accounts in their order.

    `contexts` are learned context limits of models, in tokens; `facts` is what its model list says of each of them.
    `wires` are protocols that it was found to speak beside its own. `barred` is why this request may not go to it.
    """

    provider: Provider
    barred: str = ""
    accounts: tuple[AccountState, ...] = ()
    contexts: Mapping[str, int] = {}
    facts: Mapping[str, Facts] = {}
    wires: tuple[ProtocolName, ...] = ()

    @property
    def account_states(self) -> tuple[AccountState, ...]:
        """Its accounts. A provider that needs no key always has one."""
        return self.accounts or ((AccountState(name="local"),) if self.provider.auth == "none" else ())


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of one request: seconds of waiting in total and upstream calls in total.

    `patience` is the seconds of waiting for an account of the pool before a fallback is asked.
    """

    max_wait: float = 30.0
    max_attempts: int = 20
    patience: float = 0.0


class Requirements(msgspec.Struct, frozen=True, kw_only=True):
    """What a request contains that not every model accepts. `tokens` is a lower bound of the prompt, 0 if unknown.
    `effort` is the `reasoning_effort` of a Chat client.

    `replaceable` names the kinds of media that occur only in earlier turns and in tool results: a model that does not
    take them can still continue the conversation with a note in their place.
    """

    images: bool = False
    documents: bool = False
    audio: bool = False
    video: bool = False
    tools: bool = False
    effort: str = ""
    tokens: int = 0
    replaceable: frozenset[str] = frozenset()


class Traits(msgspec.Struct, frozen=True, kw_only=True):
    """What a request is, for `[routes]`. `thinking` means that it asks for it, `web_search` that the service is to make
    one; `tokens` is an estimate of the prompt."""

    images: bool = False
    thinking: bool = False
    web_search: bool = False
    tokens: int = 0


class RouteQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A request as dispatch sees it: the model as the client named it, and the client's protocol.

    `tool` is the name of the coding tool, empty if it is not known. `hooked` is the name that the user's hook has
    given, empty for none. `draw` in [0, 1) decides where a choice is made by weight.
    """

    model: str
    protocol: ProtocolName
    requirements: Requirements = Requirements()
    traits: Traits = Traits()
    tool: str = ""
    hooked: str = ""
    draw: float = 0.0


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The providers in the order of `bm.providers.provider.effective`, with their accounts, aliases and limits.

    `routes` is None where none is set. `price` gives what a model of a provider costs, in any unit, None if unknown.
    `affinity` is the account that served the conversation last.
    """

    members: tuple[Member, ...] = ()
    aliases: Mapping[str, Chain] = {}
    routes: Routes | None = None
    price: Callable[[str, str], float | None] = lambda provider, model: None
    affinity: AccountId | None = None
    limits: Limits = Limits()

    @property
    def names(self) -> list[str]:
        """The names of the providers."""
        return [member.provider.name for member in self.members]


_USABLE = ModelState()
