"""What requests change in a daemon that finishes them after it has handed over, for the one that serves by now."""

from __future__ import annotations

import time

import msgspec

from bm.accounts import changes as accounts
from bm.accounts.changes import AccountChanges, AccountWatch
from bm.gateway.services import Services
from bm.gateway.stores import Kept, StoredExchange
from bm.keys.spending import Spent
from bm.server.state import SavedModels, learned_models, restore_learned

MOST = 4 * 1024 * 1024
"""Bytes of responses that are sent at a time."""


class Changes(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Changes since the last ones."""

    accounts: AccountChanges = AccountChanges()
    signatures: tuple[Kept, ...] = ()
    models: SavedModels = SavedModels()
    responses: dict[str, StoredExchange] = {}
    interactions: dict[str, bytes] = {}
    spent: tuple[Spent, ...] = ()


class Watch:
    """Finds what has changed since it last looked. Responses are on no disk, so all of them count as new at first."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._accounts = AccountWatch(services.pool, services.affinities, time.monotonic())
        self._models = learned_models(services)
        services.spending.take_journal()

    def changes(self) -> Changes:
        """The changes since the last call, with a part of the responses if there are many."""
        services, models = self._services, learned_models(self._services)
        learned, self._models = models if models != self._models else SavedModels(), models
        return Changes(
            accounts=self._accounts.changes(time.monotonic(), time.time()),
            signatures=tuple(services.signatures.take_new()),
            models=learned,
            responses=services.responses.take_new(MOST),
            interactions=services.interactions.take_new(MOST),
            spent=services.spending.take_journal(),
        )


def merge(services: Services, changes: Changes) -> None:
    """Apply the changes."""
    now, wall = time.monotonic(), time.time()
    accounts.merge(services.pool, services.affinities, changes.accounts, now=now, wall=wall)
    services.signatures.add(changes.signatures)
    restore_learned(services, changes.models)
    services.responses.restore(changes.responses)
    services.interactions.restore(changes.interactions)
    services.spending.count(changes.spent, wall)
