"""One account, a credential of a provider: what is stored of it, what a request carries for it, how to repair it."""

from __future__ import annotations

import re
import shlex
from datetime import datetime
from typing import Literal, get_args

import msgspec

from bm.dispatch.target import AccountId
from bm.errors import AccountError
from bm.providers.catalog import GEMINI

Kind = Literal["api_key", "google_oauth", "adc", "service_account"]
"""How an account authenticates: with a key, with a person's sign-in through their own OAuth client, with the
Application Default Credentials of this machine, or as a service account."""

KINDS: tuple[Kind, ...] = get_args(Kind)

CONFIG_NAME = "config"
"""The account that stands for the `api_key` of a provider in config.toml."""

MAIN_NAME = "main"
"""The account that `bm providers key` sets. `bm accounts add --provider` adds further ones."""

MAX_NAME = 64

MAX_ORDER = 99
"""The largest tier and weight."""

GOOGLE_CONSENT = "https://accounts.google.com/o/oauth2/v2/auth"
GOOGLE_TOKEN = "https://oauth2.googleapis.com/token"  # noqa: S105 - a URL
"""Google's own addresses; a client file may name others."""

DEFAULT_LOCATION = "global"
"""The location of Vertex AI when none is given."""

_LOCATION = re.compile(r"[a-z][a-z0-9-]{0,62}")
_PROJECT = re.compile(r"[a-z0-9][a-z0-9.:-]{0,99}")
"""An id or a number; old ids begin with a domain and a colon."""

_NAME = re.compile(r"[^\W_](?:[\w .@+-]*[\w@+-])?")


class OAuthClient(msgspec.Struct, frozen=True, kw_only=True):
    """The user's own OAuth client, as issued by Google's console. `secret` may be a secret reference."""

    id: str
    secret: str = ""
    auth_uri: str = GOOGLE_CONSENT
    token_uri: str = GOOGLE_TOKEN

    def __repr__(self) -> str:
        return f"OAuthClient(id={self.id!r})"


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """One account as accounts.toml stores it.

    `key` is a secret reference as `bm.config.secrets` reads it, normally the key itself. For `google_oauth` it is the
    refresh token, and `client` is the OAuth client it was issued to; for `service_account` it is `file:PATH` of the key
    file, or its content on one line; for `adc` it is empty. Accounts with the same `project` share their rate limits.
    With a `location` the account uses Vertex AI there, without one the Gemini API. `renewed_at` is when a person last
    verified or enabled it: earlier refusals are void. Both times have a time zone. Accounts of a provider with a lower
    `tier` are used up before those with a higher one; among those of one tier, `weight` is the share of the requests.
    """

    name: str
    key: str = ""
    provider: str = "gemini"
    kind: Kind = "api_key"
    enabled: bool = True
    project: str = ""
    location: str = ""
    client: OAuthClient | None = None
    tier: int = 0
    weight: int = 1
    added_at: datetime | None = None
    renewed_at: datetime | None = None

    @property
    def id(self) -> AccountId:
        """The provider and the name, which together are unique."""
        return self.provider, self.name

    @property
    def identity(self) -> tuple[str, ...]:
        """What two accounts must not share: the key, and for Google credentials the project and location too."""
        place = () if self.kind == "api_key" else (self.project, self.location)
        return (self.provider, self.kind, self.key, *place)

    def __repr__(self) -> str:
        # The key stays out of logs and tracebacks.
        shown = f"name={self.name!r}, provider={self.provider!r}, kind={self.kind!r}, enabled={self.enabled!r}"
        return f"Account({shown}, project={self.project!r}, location={self.location!r})"


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """A key or an access token, ready to be sent.

    `bearer` marks an access token. `billed` is the project that pays for a user's calls (`x-goog-user-project`). With
    a `location` the request goes to Vertex AI there, under `project`.
    """

    key: str = ""
    bearer: bool = False
    project: str = ""
    location: str = ""
    billed: str = ""

    def __repr__(self) -> str:
        return f"Access(bearer={self.bearer!r}, project={self.project!r}, location={self.location!r})"


def check(account: Account) -> None:
    """Refuse an account that could not be typed in a command, written in a response header, or sent as a key.

    Raises:
        AccountError: the name, the provider or the key is invalid. The message never contains the key.
    """
    if error := name_error(account.name):
        raise AccountError(f"{account.name[:MAX_NAME]!r} cannot be the name of an account: {error}")
    if not account.provider:
        raise AccountError(f"account {account.name}: its provider is empty")
    if not account.key and account.kind != "adc":
        raise AccountError(f"account {account.name}: its key is empty")
    if not account.key.isprintable() or account.key != account.key.strip():
        raise AccountError(f"account {account.name}: its key holds line breaks, control characters or outer spaces")
    if not (0 <= account.tier <= MAX_ORDER and 1 <= account.weight <= MAX_ORDER):
        raise AccountError(f"account {account.name}: its tier is 0 to {MAX_ORDER}, its weight 1 to {MAX_ORDER}")
    if error := _kind_error(account):
        raise AccountError(f"account {account.name}: {error}")


def _kind_error(account: Account) -> str:
    """What is wrong with the members that only some kinds have. They end up in URLs and headers."""
    if account.kind != "api_key" and account.provider != "gemini":
        return f"an account of {account.provider} has a key, not the kind {account.kind}"
    if account.kind == "google_oauth" and not (account.client and account.client.id):
        return "its OAuth client is missing"
    if account.location and account.kind == "api_key":
        return "Vertex AI takes no key of the Gemini API: sign in, or use a service account"
    if account.location and not _LOCATION.fullmatch(account.location):
        return f"{account.location!r} is not a location, such as global, us, europe-west4"
    if account.location and account.kind != "adc" and not account.project:
        return "Vertex AI needs a project"
    if account.kind != "api_key" and account.project and not _PROJECT.fullmatch(account.project):
        return f"{account.project!r} is not the id of a Google Cloud project"
    return ""


def name_error(name: str) -> str:
    """What is wrong with a name; empty for a valid one."""
    if not name:
        return "it is empty"
    if len(name) > MAX_NAME:
        return f"it is longer than {MAX_NAME} characters"
    if name == CONFIG_NAME:
        return "that name stands for the key in config.toml"
    if not _NAME.fullmatch(name) or not name.isascii():
        return "use letters, digits, space and . _ @ + - (no other signs; first a letter or digit, no space at the end)"
    return ""


def remedy_for(account: Account, reason: str = "") -> str:
    """The commands that make a disabled account usable again.

    A `reason` that names the account's project means that the project is wrong or lacks something.
    """
    name = shlex.quote(account.name)
    verify = f"bm accounts verify {name}"
    match account.kind:
        case "google_oauth" if account.project and account.project in reason:
            return f"put the project right, then: {verify}; for another: bm accounts login {name} --project P"
        case "google_oauth":
            return f"bm accounts login {name}"
        case "service_account":
            return f"put it right, then: {verify}"
        case "adc":
            return f"gcloud auth application-default login, then: {verify}"
        case _ if account.name == CONFIG_NAME:
            return f"correct [providers.{account.provider}] api_key"
        case _ if account.name == MAIN_NAME and account.provider != GEMINI.name:
            return f"bm providers key {account.provider}"
        case _:
            of = "" if account.provider == GEMINI.name else f" --provider {account.provider}"
            return f"{verify}; for another key: bm accounts key {name}{of}"
