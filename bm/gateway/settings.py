"""What the files say, read together into one frozen value: a request keeps the settings it began with."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path

import msgspec

from bm.accounts.credentials import Credential, all_accounts
from bm.chat.events import Usage
from bm.config.budget import Limit, limits_of
from bm.config.chains import chains_of
from bm.config.load import Loaded, load
from bm.config.paths import Paths
from bm.config.schema import Choice, Config, Routes, Timeouts
from bm.config.secrets import configured_secrets
from bm.dispatch.snapshot import Limits, Member
from bm.gateway.hook import Hook, load_hook, path_of
from bm.keys.key import NO_KEYS, Keys, digest
from bm.keys.spending import Scope
from bm.ledger.prices import cost_of
from bm.ledger.prices import load as load_prices
from bm.names import MAIN_KEY, ROUTE_KINDS, RouteKind
from bm.providers.catalog import KNOWN, OPENAI_CLIENTS
from bm.providers.provider import Provider, effective
from bm.vault.vault import Vault, open_vault

_TYPICAL = Usage(input=3_000, output=1_000)
WHOLE_HEDGE = 0.25
"""The part of `[timeouts] whole` after which a second target is asked for an answer that is not streamed."""


class Rules(msgspec.Struct, frozen=True):
    """How calls are adapted: `strict` refuses losses, `echo_asked` answers under the model name that was asked for."""

    strict: bool = False
    echo_asked: bool = False


class Settings(msgspec.Struct, frozen=True, dict=True):
    """The configuration with its folder, its providers, their accounts and the keys of clients with their vault."""

    config: Config
    providers: Mapping[str, Provider]
    credentials: tuple[Credential, ...]
    local_key: str
    vault: Vault
    warnings: tuple[str, ...] = ()
    keys: Keys = NO_KEYS
    folder: Path = Path()

    @cached_property
    def hook(self) -> Hook | None:
        """The user's function of `[routes]`, loaded when it is first asked for. That blocks while its file runs.

        Raises:
            ConfigError: it cannot be loaded.
        """
        setting = self.config.routes.hook
        return load_hook(setting, self.folder) if setting else None

    @property
    def hook_file(self) -> Path | None:
        """The file of the hook."""
        setting = self.config.routes.hook
        return path_of(setting, self.folder) if setting else None

    @cached_property
    def limits(self) -> Limits:
        """How long a request may wait and how often it may be tried."""
        pool = self.config.pool
        return Limits(max_wait=pool.max_wait, max_attempts=pool.max_attempts, patience=pool.patience)

    @cached_property
    def rules(self) -> Rules:
        """How every call is adapted to its targets."""
        return Rules(strict=self.config.pool.strict, echo_asked=self.config.server.echo_model == "asked")

    @cached_property
    def members(self) -> dict[str, Member]:
        """The providers for dispatch, without their accounts."""
        return {name: Member(provider=provider) for name, provider in self.providers.items()}

    @cached_property
    def routes(self) -> Routes | None:
        """`[routes]`; None if nothing is set there, so that requests need not be looked at."""
        return None if self.config.routes == Routes() else self.config.routes

    @cached_property
    def route_kinds(self) -> frozenset[RouteKind]:
        """The kinds of requests that matter: those with a route somewhere, and all to a hook."""
        if self.config.routes.hook:
            return frozenset(ROUTE_KINDS)
        set_by = {key[-1] for key, _ in chains_of(self.config) if key[0] == "routes"}
        return frozenset(kind for kind in ROUTE_KINDS if kind in set_by)

    def price(self, provider: str, model: str) -> float | None:
        """What four thousand tokens of a model cost at list price, three of the prompt; nothing on the own machine."""
        return 0.0 if provider in self.keyless else cost_of(provider, model, _TYPICAL)

    @cached_property
    def keyless(self) -> frozenset[str]:
        """The providers that need no key and so can be used without an account."""
        return frozenset(name for name, provider in self.providers.items() if provider.auth == "none")

    @cached_property
    def has_text_models(self) -> bool:
        """Whether a provider in use may have models for text alone, so that a request's requirements matter."""
        return any(
            not each.pool and each.enabled and each.mode != "off" and each.protocol in OPENAI_CLIENTS
            for each in self.providers.values()
        )

    @cached_property
    def budgets(self) -> tuple[tuple[Scope, Limit], ...]:
        """Every budget, of the configuration and of the keys."""
        written = self.config.budgets
        found = [(Scope("total"), limit) for limit in limits_of(written.total)]
        for name, limits in written.providers.items():
            found += [(Scope("provider", name), limit) for limit in limits_of(limits)]
        for name, limits in [*written.keys.items(), *((key.name, key.budgets) for key in self.keys)]:
            found += [(Scope("key", name), limit) for limit in limits_of(limits)]
        return tuple(found)

    @property
    def free(self) -> frozenset[str]:
        """The providers whose requests cost no money."""
        return self.keyless.union(self.config.budgets.free)

    def timeouts_for(self, provider: str, *, stream: bool, alone: bool = False) -> Timeouts:
        """The timeouts towards a provider. Without a stream, the head of a response comes with its end.

        No other target is asked beside one that is `alone`.
        """
        timeouts = self.config.timeouts_for(provider)
        if not stream:
            return msgspec.structs.replace(timeouts, first_byte=timeouts.whole, idle=timeouts.whole)
        return timeouts.alone if alone else timeouts

    def hedge_for(self, provider: str, *, stream: bool) -> float:
        """Seconds of silence after which another target is asked beside the provider; 0 = never."""
        timeouts = self.config.timeouts_for(provider)
        return timeouts.hedge if stream or not timeouts.hedge else timeouts.whole * WHOLE_HEDGE

    def secrets(self) -> Iterator[str]:
        """Every secret: bm's own key, account keys, OAuth client secrets, configured headers, passwords in URLs."""
        yield self.local_key
        for credential in self.credentials:
            yield credential.secret
            if client := credential.account.client:
                yield client.secret
        yield from configured_secrets(self.config)


def read_settings(paths: Paths, environ: Mapping[str, str] = os.environ, held: Vault | None = None) -> Settings:
    """Read the configuration, the accounts and the keys. Blocks while it reads and while a `cmd:` reference runs.

    A running daemon holds its vault.

    Raises:
        ConfigError: config.toml cannot be used.
        AccountError: the accounts or keys cannot be used.
    """
    return make_settings(load(paths.config, environ, known=KNOWN), paths, environ, held)


def make_settings(
    loaded: Loaded, paths: Paths, environ: Mapping[str, str] = os.environ, held: Vault | None = None
) -> Settings:
    """Add the accounts and keys to a configuration.

    Raises:
        AccountError: the accounts or keys cannot be used.
    """
    vault = open_vault(paths, loaded.config, environ, held)
    stored, clients = vault.accounts.load(), vault.keys.load()
    keys = Keys(clients.keys)
    local_key = vault.local_key()
    credentials = tuple(
        _without_own_key(each, local_key, keys) for each in all_accounts(stored, loaded.config, environ)
    )
    providers = {provider.name: provider for provider in effective(loaded.config)}
    unknown = loaded.config.budgets.keys.keys() - {MAIN_KEY, *(key.name for key in clients.keys)}
    absent = tuple(f"[budgets.keys] {name}: there is no such key (bm keys)" for name in sorted(unknown))
    warnings = (*loaded.warnings, *stored.warnings, *clients.warnings, *absent)
    folder = paths.config.parent
    return Settings(loaded.config, providers, credentials, local_key, vault, warnings, keys, folder)


def prepare(settings: Settings) -> None:
    """Load what would hold up the first requests: the hook, and the prices if a chain goes by them. Blocks.

    Raises:
        ConfigError: the hook cannot be loaded.
    """
    _ = settings.hook
    if any(isinstance(chain, Choice) and chain.cheapest for _, chain in chains_of(settings.config)):
        load_prices()


def _without_own_key(credential: Credential, local_key: str, keys: Keys) -> Credential:
    """Never send a key of bm's to a provider: a shell set up by `bm env` has it in `OPENAI_API_KEY` and the like."""
    if credential.secret != local_key and keys.by_digest(digest(credential.secret)) is None:
        return credential
    problem = "its key is the one that tools send to bm, not one of this provider"
    return msgspec.structs.replace(credential, secret="", problem=problem)
