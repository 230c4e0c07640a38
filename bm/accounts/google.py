"""Access tokens by google-auth: for a sign-in, a service account, or what the machine provides.

Everything here blocks and runs in a thread. google-auth is imported where it is used: it is slow to load.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import msgspec

from bm.accounts.account import Account
from bm.accounts.cure import cure_of
from bm.accounts.key_file import read_key_file
from bm.accounts.transport import Transport
from bm.config.secrets import Mask, resolve
from bm.errors import AccountError, ConfigError, Failure

if TYPE_CHECKING:
    from google.auth.credentials import Credentials
    from google.auth.transport import Request

CLOUD = "https://www.googleapis.com/auth/cloud-platform"
RETRIEVER = "https://www.googleapis.com/auth/generative-language.retriever"
"""The Gemini API's documented scopes (ai.google.dev/gemini-api/docs/oauth); Vertex AI needs the first alone."""

SKEW = 60.0
"""Seconds that two clocks may differ before it is worth a word; Google itself tolerates a few minutes."""

LIFETIME = 3600.0
"""Seconds a token lives when nobody says."""

NO_TOKEN = "token"  # noqa: S105 - a word, not one
"""The `code` of a failure to get an access token."""

_log = logging.getLogger("bm.accounts")


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """An access token, how many seconds it lives, and what else came with it.

    `billed` is the project that a user's calls are billed to, `project` the one that the machine's own credentials
    belong to, `refresh_token` a new one that replaces the old.
    """

    token: str
    lifetime: float
    billed: str = ""
    project: str = ""
    refresh_token: str = ""

    def __repr__(self) -> str:
        return f"Grant(lifetime={self.lifetime!r})"


class TokenError(Exception):
    """There is no access token for an account; carries why as a value. Its text never holds a secret."""

    def __init__(self, failure: Failure) -> None:
        self.failure = failure
        super().__init__(failure.message)


def scopes_of(location: str) -> tuple[str, ...]:
    """What a token must be good for: Vertex AI at a location, the Gemini API without one."""
    return (CLOUD,) if location else (CLOUD, RETRIEVER)


def obtain(account: Account, transport: Transport, environ: Mapping[str, str], refresh_token: str = "") -> Grant:
    """A new access token. `refresh_token` replaces the account's own, which it has outlived.

    Raises:
        TokenError: there is none; of kind `upstream_auth` when a person must act, with the cure.
    """
    from google.auth.exceptions import GoogleAuthError, TransportError

    try:
        match account.kind:
            case "google_oauth":
                return _user(account, transport, environ, refresh_token)
            case "service_account":
                return _service(account, transport, environ)
            case _:
                return _default(account, transport)
    except TransportError as error:
        raise TokenError(_unreachable(transport, str(error))) from None
    except GoogleAuthError as error:
        raise TokenError(_masked(_refused(account, transport, error), account, refresh_token)) from None
    except (AccountError, ConfigError) as error:
        raise TokenError(_must_act(account, str(error))) from None
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        # google-auth trusts an answer to be OAuth's; a captive portal's page is not.
        if transport.status:
            raise TokenError(_no_oauth(transport)) from None
        # What google-auth and cryptography say about a broken key may quote it.
        raise TokenError(_must_act(account, "its private key cannot be used")) from None


def _masked(failure: Failure, account: Account, refresh_token: str) -> Failure:
    """The failure without the secrets that were sent, should the endpoint have quoted them."""
    sent = (account.key, refresh_token, account.client.secret if account.client else "")
    return msgspec.structs.replace(failure, message=Mask(sent)(failure.message))


def _user(account: Account, transport: Transport, environ: Mapping[str, str], refresh_token: str) -> Grant:
    from google.oauth2.credentials import Credentials

    client = account.client
    assert client is not None, "`account.check` refuses a sign-in without its client"
    used = refresh_token or resolve(account.key, environ)
    made = Credentials(  # type: ignore[no-untyped-call]
        token=None,
        refresh_token=used,
        token_uri=client.token_uri,
        client_id=client.id,
        client_secret=resolve(client.secret, environ),
    )
    grant = _granted(made, transport, billed=account.project)
    return msgspec.structs.replace(grant, refresh_token=made.refresh_token) if made.refresh_token != used else grant


def _service(account: Account, transport: Transport, environ: Mapping[str, str]) -> Grant:
    from google.auth.exceptions import RefreshError
    from google.oauth2.service_account import Credentials

    document = msgspec.to_builtins(read_key_file(account.key, environ))
    scopes = scopes_of(account.location)
    made = Credentials.from_service_account_info(document, scopes=scopes)  # type: ignore[no-untyped-call]
    try:
        return _granted(made, transport)
    except RefreshError:
        if abs(transport.skew) <= SKEW:
            raise
    # An assertion is dated; dated by Google's clock it is good on a machine whose clock is wrong.
    ahead = transport.skew
    _log.warning("%s", _clock(ahead))
    now = int(datetime.now(UTC).timestamp() + ahead)
    dated = made.with_claims({"iat": now, "exp": now + int(LIFETIME)})
    return _granted(dated, transport)


def _default(account: Account, transport: Transport) -> Grant:
    import google.auth

    request = cast("Request", transport)
    scopes, payer = scopes_of(account.location), account.project or None
    made, project = google.auth.default(scopes=scopes, request=request, quota_project_id=payer)
    if account.location and not (account.project or project):
        raise AccountError("Vertex AI needs a project, and this machine's credentials name none: give the account one")
    # Only a user's calls name who pays: a service account's own project does.
    billed = getattr(made, "quota_project_id", None) if hasattr(made, "refresh_token") else None
    return _granted(made, transport, billed=billed or "", project=project or "")


def _granted(made: Credentials, transport: Transport, *, billed: str = "", project: str = "") -> Grant:
    made.refresh(transport)  # type: ignore[no-untyped-call]
    if not (isinstance(made.token, str) and made.token and made.token.isascii() and made.token.isprintable()):
        raise ValueError("a token that cannot be sent")
    # google-auth counts by this machine's clock, which may be wrong, but is so on both sides of the difference.
    left = LIFETIME
    if made.expiry is not None:
        left = (made.expiry - datetime.now(UTC).replace(tzinfo=None)).total_seconds()
    return Grant(token=made.token, lifetime=left, billed=billed, project=project)


def _unreachable(transport: Transport, words: str) -> Failure:
    """The account is not to blame."""
    kind = transport.failure.kind if transport.failure else "connection"
    told = transport.failure.message if transport.failure else words
    return Failure(kind=kind, message=f"no access token: {told}", code=NO_TOKEN)


def _refused(account: Account, transport: Transport, error: Any) -> Failure:
    details = error.args[1] if len(error.args) > 1 and isinstance(error.args[1], dict) else {}
    code = str(details.get("error") or "")
    said = str(details.get("error_description") or code or error.args[0])[:300]
    if transport.status == 429 or transport.status >= 500 or error.retryable:
        return Failure(kind="connection", message=f"no access token: the token endpoint says {said}", code=NO_TOKEN)
    if account.kind != "adc" and not code:
        return _no_oauth(transport)
    if account.kind == "service_account" and abs(transport.skew) > SKEW:
        said = f"{said}; {_clock(transport.skew)}"
    elif account.kind == "google_oauth" and code == "invalid_grant":
        said = f"the sign-in is no longer valid: {said}"
    elif account.kind == "adc" and not transport.status:
        said = "no Application Default Credentials were found on this machine"
    return _must_act(account, said)


def _no_oauth(transport: Transport) -> Failure:
    """Something else than Google answered: a proxy, or the page of a network that wants a login."""
    message = f"no access token: the token endpoint answered {transport.status} and no word of OAuth"
    return Failure(kind="connection", message=message, code=NO_TOKEN)


def _clock(ahead: float) -> str:
    """How wrong this machine's clock is."""
    return f"this machine's clock is {abs(ahead):.0f} s {'behind' if ahead > 0 else 'ahead'}; set it right"


def _must_act(account: Account, said: str) -> Failure:
    """A person has to do something, and this is what."""
    message = f"{said.rstrip('.')} ({cure_of(account, said)})"
    return Failure(kind="upstream_auth", message=message, code=NO_TOKEN, should_retry=False)
