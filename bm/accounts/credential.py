"""Every account with its secret: those of accounts.toml and the `api_key` of each provider in config.toml."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from bm.accounts.account import CONFIG_NAME, Account, AccountId
from bm.accounts.key_file import read_key_file
from bm.accounts.store import Credentials
from bm.config.schema import Config
from bm.config.secrets import hint, is_reference, resolve
from bm.errors import AccountError, ConfigError
from bm.providers.provider import effective

LOCAL_NAME = "local"
"""The account of a provider that asks for no key."""


class Credential(msgspec.Struct, frozen=True, kw_only=True):
    """An account with its secret. `problem` says why it cannot be used; there may be a secret all the same.

    `secret` is the key, or the refresh token of a sign-in; empty for accounts whose secrets stay where they are.
    `owner` is whom a service account's key names.
    """

    account: Account
    secret: str = ""
    problem: str = ""
    owner: str = ""

    @property
    def shown(self) -> str:
        """What may be shown of it, to tell it from others."""
        match self.account.kind:
            case "api_key":
                return hint(self.secret)
            case "google_oauth" if self.account.client:
                return self.account.client.id
            case _:
                return self.owner

    @property
    def id(self) -> AccountId:
        """The account's."""
        return self.account.id

    def __repr__(self) -> str:
        return f"Credential({self.account!r}, problem={self.problem!r})"


def all_accounts(credentials: Credentials, config: Config, environ: Mapping[str, str]) -> tuple[Credential, ...]:
    """The accounts of all providers: the stored ones in their order, then the configuration's.

    A key that cannot be found makes an account with a problem, not an error. A second account with the key of
    another one of its provider has a problem too, or is left out where it is the configuration's. References of
    disabled accounts are not followed. May block while a `cmd:` runs, see `bm.config.secrets`.
    """
    found: list[Credential] = []
    for account in (*credentials.accounts, *_configured(config)):
        credential = _resolved(account, environ)
        twin = next((each for each in found if _same_key(each, credential)), None)
        if twin is None:
            found.append(credential)
        elif account.name != CONFIG_NAME:
            problem = f"it has the same key as the account {twin.account.name}"
            found.append(msgspec.structs.replace(credential, problem=problem))
    return tuple(found)


def _configured(config: Config) -> Iterator[Account]:
    for name, section in config.providers.items():
        if section.api_key:
            yield Account(name=CONFIG_NAME, provider=name, key=section.api_key, enabled=section.enabled)
    for provider in effective(config):
        if provider.auth == "none" and provider.configured and not config.providers[provider.name].api_key:
            yield Account(name=LOCAL_NAME, provider=provider.name, key="", enabled=provider.enabled)


def resolved(account: Account, environ: Mapping[str, str]) -> Credential:
    """The account with what its references lead to.

    Raises:
        ConfigError: a reference leads nowhere.
        AccountError: the key file of a service account cannot be used.
    """
    match account.kind:
        case "adc":
            return Credential(account=account)
        case "service_account":
            return Credential(account=account, owner=read_key_file(account.key, environ).client_email)
        case _:
            return Credential(account=account, secret=resolve(account.key, environ))


def _resolved(account: Account, environ: Mapping[str, str]) -> Credential:
    if not account.enabled and is_reference(account.key):
        return Credential(account=account)
    try:
        return resolved(account, environ)
    except (ConfigError, AccountError) as error:
        return Credential(account=account, problem=str(error))


def _same_key(one: Credential, other: Credential) -> bool:
    if one.account.identity == other.account.identity:
        return bool(one.account.key) or one.account.kind == "adc"
    alike = one.secret == other.secret and one.account.identity[3:] == other.account.identity[3:]
    return bool(one.secret) and alike and one.account.provider == other.account.provider
