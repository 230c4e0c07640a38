"""One credential of a provider, as it is kept."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Literal, TypeAlias, get_args

import msgspec

from bm.errors import AccountError

Kind = Literal["api_key", "google_oauth", "adc", "service_account"]
"""How an account proves who it is: by a key, by a person's sign-in through their own OAuth client, by what Google's
tools have set up on this machine (Application Default Credentials), or as a service account."""

KINDS: tuple[Kind, ...] = get_args(Kind)

AccountId: TypeAlias = tuple[str, str]
"""(provider, name)."""

CONFIG_NAME = "config"
"""The account that stands for the `api_key` of a provider in config.toml."""

MAIN_NAME = "main"
"""The account that `bm providers key` fills; further ones come by `bm accounts add --provider`."""

MAX_NAME = 64

GOOGLE_CONSENT = "https://accounts.google.com/o/oauth2/v2/auth"
GOOGLE_TOKEN = "https://oauth2.googleapis.com/token"  # noqa: S105 - where tokens are had, not one
"""Google's own addresses; a client's file may name others."""

DEFAULT_LOCATION = "global"
"""Where Vertex AI answers when no location is given."""

_LOCATION = re.compile(r"[a-z][a-z0-9-]{0,62}")
_PROJECT = re.compile(r"[a-z0-9][a-z0-9.:-]{0,99}")
"""An id or a number; old ones begin with a domain and a colon."""

_NAME = re.compile(r"[^\W_](?:[\w .@+-]*[\w@+-])?")


class OAuthClient(msgspec.Struct, frozen=True, kw_only=True):
    """The user's own OAuth client, as Google's console hands it out. `secret` may be a secret reference."""

    id: str
    secret: str = ""
    auth_uri: str = GOOGLE_CONSENT
    token_uri: str = GOOGLE_TOKEN

    def __repr__(self) -> str:
        return f"OAuthClient(id={self.id!r})"


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """What accounts.toml says about one credential.

    `key` is a secret reference as `bm.config.secrets` reads it, normally the key itself. For `google_oauth` it is the
    refresh token, and `client` is what it was issued to; for `service_account` it is `file:PATH` of the key file, or
    the file's content on one line; for `adc` it is empty. `project` names what the provider counts quotas by:
    accounts that share it share their rate limits. With a `location` the account uses Vertex AI there, without one
    the Gemini API. `renewed_at` is when a person last verified or enabled it: a refusal from before then is void.
    Both times have a time zone.
    """

    name: str
    key: str = ""
    provider: str = "gemini"
    kind: Kind = "api_key"
    enabled: bool = True
    project: str = ""
    location: str = ""
    client: OAuthClient | None = None
    added_at: datetime | None = None
    renewed_at: datetime | None = None

    @property
    def id(self) -> AccountId:
        """What no other account has."""
        return self.provider, self.name

    @property
    def identity(self) -> tuple[str, ...]:
        """What two accounts must not share: one key is one account, one credential of Google's one a place."""
        place = () if self.kind == "api_key" else (self.project, self.location)
        return (self.provider, self.kind, self.key, *place)

    def __repr__(self) -> str:
        # The key stays out of logs and tracebacks.
        shown = f"name={self.name!r}, provider={self.provider!r}, kind={self.kind!r}, enabled={self.enabled!r}"
        return f"Account({shown}, project={self.project!r}, location={self.location!r})"


def check(account: Account) -> None:
    """Refuse what could not be typed in a command, written in a response header, or sent as a key.

    Raises:
        AccountError: the name, the provider or the key is not acceptable; the text never holds the key.
    """
    if fault := name_fault(account.name):
        raise AccountError(f"{account.name[:MAX_NAME]!r} cannot be the name of an account: {fault}")
    if not account.provider:
        raise AccountError(f"account {account.name}: its provider is empty")
    if not account.key and account.kind != "adc":
        raise AccountError(f"account {account.name}: its key is empty")
    if not account.key.isprintable() or account.key != account.key.strip():
        raise AccountError(f"account {account.name}: its key holds line breaks, control characters or outer spaces")
    if fault := _place_fault(account):
        raise AccountError(f"account {account.name}: {fault}")


def _place_fault(account: Account) -> str:
    """What is wrong with the members that only some kinds have; they end up in URLs and headers."""
    if account.kind != "api_key" and account.provider != "gemini":
        return f"an account of {account.provider} has a key, not the kind {account.kind}"
    if account.kind == "google_oauth" and not (account.client and account.client.id):
        return "its OAuth client is missing"
    if account.location and account.kind == "api_key":
        return "Vertex AI takes no key of the Gemini API: sign in, or use a service account"
    if account.location and not _LOCATION.fullmatch(account.location):
        return f"{account.location!r} is no location, such as global, us, europe-west4"
    if account.location and account.kind != "adc" and not account.project:
        return "Vertex AI needs a project"
    if account.kind != "api_key" and account.project and not _PROJECT.fullmatch(account.project):
        return f"{account.project!r} is no id of a Google Cloud project"
    return ""


def name_fault(name: str) -> str:
    """What is wrong with a name; empty for a good one."""
    if not name:
        return "it is empty"
    if len(name) > MAX_NAME:
        return f"it is longer than {MAX_NAME} characters"
    if name == CONFIG_NAME:
        return "that name stands for the key in config.toml"
    if not _NAME.fullmatch(name) or not name.isascii():
        return "use letters, digits, space and . _ @ + - (no other signs; first a letter or digit, no space at the end)"
    return ""
