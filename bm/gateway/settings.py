"""What the files say, taken together once and then unchanged: a request keeps the settings it began with."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from bm.accounts.credentials import Credential, all_accounts, ensure_local_key
from bm.accounts.credentials import load as load_credentials
from bm.config.load import Loaded, load
from bm.config.paths import Paths
from bm.config.schema import Config, Gemini, ProviderConfig, Timeouts
from bm.dispatch.snapshot import Limits, Member
from bm.providers.catalog import KNOWN, OPENAI_CLIENTS
from bm.providers.provider import Provider, effective


class Rules(msgspec.Struct, frozen=True):
    """How calls are adapted: `strict` refuses losses, `echo_asked` answers under the model name that was asked for."""

    strict: bool = False
    echo_asked: bool = False


class Settings(msgspec.Struct, frozen=True, dict=True):
    """The configuration, the providers it makes and the accounts they have, with the file that keeps them."""

    config: Config
    providers: Mapping[str, Provider]
    credentials: tuple[Credential, ...]
    local_key: str
    warnings: tuple[str, ...] = ()
    accounts_file: Path = Path("accounts.toml")

    @cached_property
    def limits(self) -> Limits:
        """How long a request is fought for."""
        return Limits(max_wait=self.config.pool.max_wait, max_attempts=self.config.pool.max_attempts)

    @cached_property
    def rules(self) -> Rules:
        """What holds for every lane."""
        return Rules(strict=self.config.pool.strict, echo_asked=self.config.server.echo_model == "asked")

    @cached_property
    def members(self) -> dict[str, Member]:
        """The providers for dispatch, without their accounts."""
        return {name: Member(provider=provider) for name, provider in self.providers.items()}

    @cached_property
    def keyless(self) -> frozenset[str]:
        """The providers that ask for no key, and so can be used without an account."""
        return frozenset(name for name, provider in self.providers.items() if provider.auth == "none")

    @cached_property
    def choosy(self) -> bool:
        """Whether a provider in use has models that take text alone, so that it matters what a request holds."""
        return any(each.enabled and each.mode != "off" and each.protocol in OPENAI_CLIENTS for each in self._paid)

    @property
    def _paid(self) -> list[Provider]:
        return [each for each in self.providers.values() if not each.pool]

    def max_silence(self, provider: str) -> float:
        """Seconds of silence inside a response that is not a stream: some send its head before they have thought."""
        timeouts = self.config.timeouts_for(provider)
        return max(timeouts.idle, timeouts.whole) if timeouts.idle and timeouts.whole else 0.0

    def patience(self, provider: str, *, stream: bool) -> Timeouts:
        """The timeouts towards a provider. The head of an answer that is no stream comes with its end."""
        timeouts = self.config.timeouts_for(provider)
        if stream or not timeouts.first_byte:
            return timeouts
        return msgspec.structs.replace(timeouts, first_byte=max(timeouts.first_byte, timeouts.whole))

    def secrets(self) -> Iterator[str]:
        """Every secret: bm's own key, account keys, OAuth client secrets, configured headers, proxy passwords."""
        yield self.local_key
        for credential in self.credentials:
            yield credential.secret
            if client := credential.account.client:
                yield client.secret
        sections: list[Gemini | ProviderConfig] = [self.config.gemini, *self.config.providers.values()]
        for section in sections:
            yield from section.headers.values()
        for proxy in (self.config.upstream_proxy, *(section.proxy for section in sections if section.proxy)):
            yield urlsplit(proxy.url).password or ""


def read_settings(paths: Paths, environ: Mapping[str, str] = os.environ) -> Settings:
    """Read config.toml and accounts.toml. Blocks, also while a `cmd:` reference runs its command.

    Raises:
        ConfigError: config.toml cannot be used.
        AccountError: accounts.toml cannot be used.
    """
    return make_settings(load(paths.config, environ, known=KNOWN), paths, environ)


def make_settings(loaded: Loaded, paths: Paths, environ: Mapping[str, str] = os.environ) -> Settings:
    """Add the accounts to a configuration that was read already.

    Raises:
        AccountError: accounts.toml cannot be used.
    """
    local_key = ensure_local_key(paths.accounts)
    stored = load_credentials(paths.accounts)
    credentials = tuple(_not_own(each, local_key) for each in all_accounts(stored, loaded.config, environ))
    providers = {provider.name: provider for provider in effective(loaded.config)}
    warnings = (*loaded.warnings, *stored.warnings)
    return Settings(loaded.config, providers, credentials, local_key, warnings, paths.accounts)


def _not_own(credential: Credential, local_key: str) -> Credential:
    """Keep bm's own key from a provider: a shell set up by `bm env` offers it as `OPENAI_API_KEY` and the like."""
    if credential.secret != local_key:
        return credential
    problem = "its key is the one that tools show to bm, not one of this provider"
    return msgspec.structs.replace(credential, secret="", problem=problem)
