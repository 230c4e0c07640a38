"""What a running daemon holds in memory."""

from __future__ import annotations

import time

from bm.accounts.affinity import Affinities
from bm.accounts.pool import Pool
from bm.accounts.tokens import Tokens
from bm.config.paths import Paths
from bm.config.schema import Config
from bm.config.secrets import Mask
from bm.gateway.capture import Recorder
from bm.gateway.learned import ContextLimits, LearnedRemedies, TokenCalibration
from bm.gateway.models import Models
from bm.gateway.record import CallLog
from bm.gateway.router import Router
from bm.gateway.settings import Settings
from bm.gateway.stores import Elsewhere, InteractionStore, ResponseStore, SignatureStore
from bm.keys.bucket import Buckets
from bm.keys.common import Common
from bm.keys.spending import Spending
from bm.ledger.open import ledger_of
from bm.ledger.source import Where
from bm.ledger.writer import Ledger
from bm.upstream.client import UpstreamClient
from bm.upstream.fetch import token_fetcher


class Services:
    """The parts that serve requests, made once and used from one event loop.

    `settings` are the ones in force; a request keeps those it began with. `disturbed` is the monotonic time at which
    the machine last woke from sleep or lost a network address. `common` are the limits that other nodes share.
    """

    def __init__(self, settings: Settings, *, ledger: Ledger | None = None, recorder: Recorder | None = None) -> None:
        pool_options = settings.config.pool
        self.settings = settings
        self.ledger, self.recorder = ledger, recorder
        self.mask = Mask(settings.secrets())
        self.client = UpstreamClient()
        self.pool = Pool(settings.credentials)
        self.tokens = Tokens(settings.vault.accounts, token_fetcher(self.client, lambda: self.config))
        self.affinities = Affinities(size=pool_options.affinity_size, ttl=pool_options.affinity_ttl)
        self.signatures = SignatureStore()
        self.responses = ResponseStore()
        self.interactions = InteractionStore()
        self.calibration = TokenCalibration()
        self.context_limits = ContextLimits()
        self.remedies = LearnedRemedies()
        self.models = Models(settings, self.client, self.pool, self.tokens, self.context_limits, self.remedies)
        self.router = Router(self.pool, self.affinities, self.context_limits, self.models, self.remedies)
        self.buckets, self.spending = Buckets(), Spending()
        self.common: Common | None = None
        self._budget(settings)
        self.calls = CallLog(self.mask, ledger)
        self.disturbed = float("-inf")
        self.elsewhere: Elsewhere | None = None

    def share(self, elsewhere: Elsewhere) -> None:
        """Find what other nodes have stored of conversations, and tell them what this one stores."""
        self.elsewhere = elsewhere
        self.signatures.elsewhere = self.responses.elsewhere = self.interactions.elsewhere = elsewhere

    def ledger_in(self, paths: Paths) -> Where:
        """Where the ledger is to be read."""
        return ledger_of(paths, self.config) if self.ledger is None else self.ledger.where

    @property
    def config(self) -> Config:
        """The configuration in force."""
        return self.settings.config

    def apply(self, settings: Settings) -> None:
        """Use new settings from the next request on. Requests under way finish on the old ones."""
        self.settings = settings
        pool_options = settings.config.pool
        self.affinities.rename(self.pool.reload(settings.credentials))
        self.affinities.resize(size=pool_options.affinity_size, ttl=pool_options.affinity_ttl)
        self._budget(settings)
        self.buckets.retain(frozenset(key.name for key in settings.keys))
        self.tokens.store = settings.vault.accounts
        self.tokens.retain(self.pool.runtimes.keys())
        self.mask.learn(settings.secrets())
        if self.ledger is not None:
            self.ledger.decisions = settings.config.limits.decisions
        self.models.apply(settings)

    def _budget(self, settings: Settings) -> None:
        """Use the budgets of these settings."""
        warn = settings.config.budgets.warn
        self.spending.configure(settings.budgets, settings.free, time.time(), warn=warn)

    async def close(self) -> None:
        """Close every connection."""
        await self.tokens.close()
        await self.client.close()
