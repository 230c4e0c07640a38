"""Access tokens by google-auth: for a sign-in, a service account, or the credentials of this machine.

google-auth blocks, so it runs in a thread; its requests go back to the event loop, where the daemon's own client sends
them through the configured proxy. google-auth is slow to load and therefore imported where it is used.
"""

from __future__ import annotations

import asyncio
import email.utils
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import CancelledError, Future
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import msgspec

from bm.accounts.account import Account, remedy_for
from bm.accounts.google_files import read_key_file
from bm.config.secrets import Mask, resolve
from bm.errors import AccountError, ConfigError, Failure

if TYPE_CHECKING:
    from google.auth.credentials import Credentials
    from google.auth.transport import Request

CLOUD = "https://www.googleapis.com/auth/cloud-platform"
RETRIEVER = "https://www.googleapis.com/auth/generative-language.retriever"
"""The documented scopes of the Gemini API (ai.google.dev/gemini-api/docs/oauth). Vertex AI needs only the first."""

SKEW = 60.0
"""Difference of two clocks in seconds that is worth a message. Google itself tolerates a few minutes."""

LIFETIME = 3600.0
"""Lifetime of a token in seconds if the response does not say."""

REQUEST_LIMIT = 10.0
"""Seconds that one request to a token endpoint may take."""

MARGIN = 5.0
"""Further seconds after which an event loop that has not run the request counts as stopped."""

NO_TOKEN = "token"  # noqa: S105 - a failure code
"""The `code` of a failure to obtain an access token."""

_log = logging.getLogger("bm.accounts")


class Fetched(msgspec.Struct, frozen=True, kw_only=True):
    """A response. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class FetchRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request, whose body may contain secrets."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes = b""

    def __repr__(self) -> str:
        return f"FetchRequest(method={self.method!r}, url={self.url!r})"


Fetch = Callable[[FetchRequest], Awaitable[Fetched | Failure]]
"""Sends a request. The lack of a response is a value."""


class Response:
    """A response in the form of `google.auth.transport.Response`."""

    def __init__(self, fetched: Fetched) -> None:
        self.status = fetched.status
        self.headers = fetched.headers
        self.data = fetched.body


class Transport:
    """Sends requests for google-auth (`google.auth.transport.Request`), from a thread other than the event loop's.

    `failure` is why the last request got no response, `status` that of the last response. `skew` is by how many seconds
    the server's clock is ahead of this machine's according to its `Date` header, 0 without one.
    """

    def __init__(self, fetch: Fetch, loop: asyncio.AbstractEventLoop, wall: Callable[[], float] = time.time) -> None:
        self._fetch, self._loop, self._wall = fetch, loop, wall
        self._pending: Future[Fetched | Failure] | None = None
        self._stopped = False
        self.failure: Failure | None = None
        self.status = 0
        self.skew = 0.0

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **_: Any,
    ) -> Response:
        """Send a request and wait for the response.

        Raises:
            google.auth.exceptions.TransportError: there was none.
        """
        data = body.encode() if isinstance(body, str) else body or b""
        found = self._wait(FetchRequest(method=method, url=url, headers=dict(headers or {}), body=data), timeout)
        if isinstance(found, Failure):
            from google.auth.exceptions import TransportError

            self.failure = found
            raise TransportError(found.message)  # type: ignore[no-untyped-call]
        self.failure, self.status = None, found.status
        self.skew = _seconds_ahead(found.headers.get("date", ""), self._wall())
        return Response(found)

    def _wait(self, request: FetchRequest, timeout: float | None) -> Fetched | Failure:
        # google-auth gives the metadata server a short timeout; where there is none, it must not take the full limit.
        limit = min(timeout or REQUEST_LIMIT, REQUEST_LIMIT)
        work = _limited(self._fetch, request, limit)
        try:
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError:
            work.close()
            return _stopping()
        self._pending = future
        try:
            return _stopping() if self._stopped and future.cancel() else future.result(limit + MARGIN)
        except (CancelledError, TimeoutError):
            return _stopping()

    def stop(self) -> None:
        """Send no further request, and stop waiting for a response."""
        self._stopped = True
        if self._pending is not None:
            self._pending.cancel()


async def _limited(fetch: Fetch, request: FetchRequest, limit: float) -> Fetched | Failure:
    try:
        async with asyncio.timeout(limit):
            return await fetch(request)
    except TimeoutError:
        return Failure(kind="timeout", message=f"no answer within {limit:g} s")


def _stopping() -> Failure:
    return Failure(kind="connection", message="bm is stopping")


def _seconds_ahead(date: str, wall: float) -> float:
    try:
        return email.utils.parsedate_to_datetime(date).timestamp() - wall
    except ValueError:
        return 0.0


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """An access token with its lifetime in seconds.

    `billed` is the project that a user's calls are billed to, `project` the one that the machine's credentials belong
    to, `refresh_token` a new one that replaces the old.
    """

    token: str
    lifetime: float
    billed: str = ""
    project: str = ""
    refresh_token: str = ""

    def __repr__(self) -> str:
        return f"Grant(lifetime={self.lifetime!r})"


class TokenError(Exception):
    """There is no access token for an account; carries the reason as a value. Its text never contains a secret."""

    def __init__(self, failure: Failure) -> None:
        self.failure = failure
        super().__init__(failure.message)


def scopes_of(location: str) -> tuple[str, ...]:
    """The scopes a token needs: for Vertex AI at a location, for the Gemini API without one."""
    return (CLOUD,) if location else (CLOUD, RETRIEVER)


def obtain(account: Account, transport: Transport, environ: Mapping[str, str], refresh_token: str = "") -> Grant:
    """A new access token. `refresh_token` replaces the account's own.

    Raises:
        TokenError: there is none. A failure of kind `upstream_auth` needs a person, and names the remedy.
    """
    from google.auth.exceptions import GoogleAuthError, TransportError

    try:
        match account.kind:
            case "google_oauth":
                return _user_token(account, transport, environ, refresh_token)
            case "service_account":
                return _service_token(account, transport, environ)
            case _:
                return _default_token(account, transport)
    except TransportError as error:
        raise TokenError(_unreachable(transport, str(error))) from None
    except GoogleAuthError as error:
        raise TokenError(_masked(_refused(account, transport, error), account, refresh_token)) from None
    except (AccountError, ConfigError) as error:
        raise TokenError(_needs_person(account, str(error))) from None
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        # google-auth assumes an OAuth response; the page of a captive portal is none.
        if transport.status:
            raise TokenError(_no_oauth(transport)) from None
        # The messages of google-auth and cryptography about a broken key may quote it.
        raise TokenError(_needs_person(account, "its private key cannot be used")) from None


def _masked(failure: Failure, account: Account, refresh_token: str) -> Failure:
    """The failure without the secrets that were sent, which the endpoint may have quoted."""
    sent = (account.key, refresh_token, account.client.secret if account.client else "")
    return msgspec.structs.replace(failure, message=Mask(sent)(failure.message))


def _user_token(account: Account, transport: Transport, environ: Mapping[str, str], refresh_token: str) -> Grant:
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


def _service_token(account: Account, transport: Transport, environ: Mapping[str, str]) -> Grant:
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
    # An assertion carries its date. Dated by Google's clock, it is valid on a machine whose clock is wrong.
    ahead = transport.skew
    _log.warning("%s", _wrong_clock(ahead))
    now = int(datetime.now(UTC).timestamp() + ahead)
    dated = made.with_claims({"iat": now, "exp": now + int(LIFETIME)})
    return _granted(dated, transport)


def _default_token(account: Account, transport: Transport) -> Grant:
    import google.auth

    request = cast("Request", transport)
    scopes, payer = scopes_of(account.location), account.project or None
    made, project = google.auth.default(scopes=scopes, request=request, quota_project_id=payer)
    if account.location and not (account.project or project):
        raise AccountError("Vertex AI needs a project, and this machine's credentials name none: give the account one")
    # Only a user's calls name the project to bill; a service account is billed to its own.
    billed = getattr(made, "quota_project_id", None) if hasattr(made, "refresh_token") else None
    return _granted(made, transport, billed=billed or "", project=project or "")


def _granted(made: Credentials, transport: Transport, *, billed: str = "", project: str = "") -> Grant:
    made.refresh(transport)  # type: ignore[no-untyped-call]
    if not (isinstance(made.token, str) and made.token and made.token.isascii() and made.token.isprintable()):
        raise ValueError("a token that cannot be sent")
    # google-auth computes the expiry from this machine's clock; an error in the clock cancels out in the difference.
    left = LIFETIME
    if made.expiry is not None:
        left = (made.expiry - datetime.now(UTC).replace(tzinfo=None)).total_seconds()
    return Grant(token=made.token, lifetime=left, billed=billed, project=project)


def _unreachable(transport: Transport, message: str) -> Failure:
    """There was no response: not the account's fault."""
    kind = transport.failure.kind if transport.failure else "connection"
    reason = transport.failure.message if transport.failure else message
    return Failure(kind=kind, message=f"no access token: {reason}", code=NO_TOKEN)


def _refused(account: Account, transport: Transport, error: Any) -> Failure:
    details = error.args[1] if len(error.args) > 1 and isinstance(error.args[1], dict) else {}
    code = str(details.get("error") or "")
    said = str(details.get("error_description") or code or error.args[0])[:300]
    if transport.status == 429 or transport.status >= 500 or error.retryable:
        return Failure(kind="connection", message=f"no access token: the token endpoint says {said}", code=NO_TOKEN)
    if account.kind != "adc" and not code:
        return _no_oauth(transport)
    if account.kind == "service_account" and abs(transport.skew) > SKEW:
        said = f"{said}; {_wrong_clock(transport.skew)}"
    elif account.kind == "google_oauth" and code == "invalid_grant":
        said = f"the sign-in is no longer valid: {said}"
    elif account.kind == "adc" and not transport.status:
        said = "no Application Default Credentials were found on this machine"
    return _needs_person(account, said)


def _no_oauth(transport: Transport) -> Failure:
    """The response is not Google's: it comes from a proxy, or is the login page of a network."""
    message = f"no access token: the token endpoint answered {transport.status}, and not in terms of OAuth"
    return Failure(kind="connection", message=message, code=NO_TOKEN)


def _wrong_clock(ahead: float) -> str:
    return f"this machine's clock is {abs(ahead):.0f} s {'behind' if ahead > 0 else 'ahead'}; set it right"


def _needs_person(account: Account, reason: str) -> Failure:
    """A failure that only a person can resolve, with the remedy."""
    message = f"{reason.rstrip('.')} ({remedy_for(account, reason)})"
    return Failure(kind="upstream_auth", message=message, code=NO_TOKEN, should_retry=False)
