"""Sign-in to Google through the user's own OAuth client, with a browser, a loopback redirect, PKCE and state.

This is the flow for native apps (RFC 8252, RFC 7636; developers.google.com/identity/protocols/oauth2/native-app).
Nothing here prints: the caller shows the addresses and messages.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import html
import os
import secrets
import socket
import webbrowser
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

import msgspec

from bm.accounts.account import Account, OAuthClient
from bm.accounts.credentials import Credentials
from bm.accounts.google import CLOUD, Fetch, FetchRequest, scopes_of
from bm.config.secrets import Mask, resolve
from bm.errors import UNREADABLE, AccountError, ConfigError, Failure

PATIENCE = 300.0
"""Seconds a person may take in the browser."""

_MAX_REQUEST = 16 * 1024

Ask = Callable[[str], Awaitable[str]]
"""Shows an address to open and returns what the person pasted."""


class SignIn(msgspec.Struct, frozen=True, kw_only=True):
    """One sign-in. `verifier` and `state` are random and used once."""

    client: OAuthClient
    redirect: str
    scopes: tuple[str, ...]
    verifier: str
    state: str

    def __repr__(self) -> str:
        return f"SignIn(client={self.client!r}, redirect={self.redirect!r})"

    @property
    def address(self) -> str:
        """The consent page. `prompt=consent`, because Google issues a refresh token only then."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        query = {
            "response_type": "code",
            "client_id": self.client.id,
            "redirect_uri": self.redirect,
            "scope": " ".join(self.scopes),
            "state": self.state,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
            "access_type": "offline",
            "prompt": "consent",
        }
        return f"{self.client.auth_uri}?{urlencode(query)}"

    @property
    def form(self) -> dict[str, str]:
        """The form that exchanges a code for tokens, without the code and the client's secret."""
        return {
            "grant_type": "authorization_code",
            "client_id": self.client.id,
            "redirect_uri": self.redirect,
            "code_verifier": self.verifier,
        }


def new_sign_in(client: OAuthClient, location: str, port: int) -> SignIn:
    """A sign-in that redirects to a port of this machine."""
    return SignIn(
        client=client,
        redirect=f"http://127.0.0.1:{port}",
        scopes=scopes_of(location),
        verifier=secrets.token_urlsafe(48),
        state=secrets.token_urlsafe(24),
    )


def code_of(sign_in: SignIn, pasted: str) -> str:
    """The code in the address the browser was redirected to. A pasted code alone is accepted too.

    Raises:
        AccountError: consent was refused, the address is of another sign-in, or there is no code.
    """
    pasted = pasted.strip()
    if not pasted:
        raise AccountError("nothing was pasted: run the command again")
    if "=" not in pasted and "://" not in pasted:
        return unquote(pasted)
    query = {name: values[-1] for name, values in parse_qs(urlsplit(pasted).query or pasted).items()}
    if query.get("state") != sign_in.state:
        raise AccountError("that is not the answer to this sign-in: open the address that was shown last")
    if error := query.get("error"):
        raise AccountError(_denied(error))
    if not query.get("code"):
        raise AccountError("there is no code in it: paste the whole address that the browser was sent to")
    return query["code"]


def _denied(error: str) -> str:
    if error == "access_denied":
        return "access was not granted: sign in again and allow it, or add yourself as a test user of the OAuth client"
    return f"Google refused the sign-in: {error[:100]}"


async def sign_in_with_browser(
    client: OAuthClient,
    location: str,
    fetch: Fetch,
    show: Callable[[str], None],
    *,
    open_browser: Callable[[str], bool] | None = None,
    patience: float = PATIENCE,
) -> str:
    """Open the browser, wait for the redirect to this machine, and return the refresh token.

    `show` is called with the address, which a person can open if no browser starts.

    Raises:
        AccountError: consent was refused or took too long, or Google issued no token.
    """
    async with redirect_awaited(client, location) as (sign_in, answered):
        show(sign_in.address)
        await asyncio.to_thread(open_browser or webbrowser.open, sign_in.address)
        code = await within(patience, answered)
    return await exchange(sign_in, code, fetch)


@asynccontextmanager
async def redirect_awaited(client: OAuthClient, location: str) -> AsyncIterator[tuple[SignIn, asyncio.Future[str]]]:
    """A new sign-in, and the code that the browser brings to this machine, or the error in its place."""
    answered: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sign_in = new_sign_in(client, location, listener.getsockname()[1])
        server = await asyncio.start_server(_receiver(sign_in, answered), sock=listener, limit=_MAX_REQUEST)
        async with server:
            yield sign_in, answered


async def within(patience: float, answered: asyncio.Future[str]) -> str:
    """The code, within so many seconds.

    Raises:
        AccountError: consent was refused or took too long.
    """
    try:
        async with asyncio.timeout(patience):
            return await answered
    except TimeoutError:
        raise AccountError(f"no sign-in within {patience:g} s: begin again") from None


async def sign_in_by_paste(client: OAuthClient, location: str, fetch: Fetch, ask: Ask) -> str:
    """Have the person open the address anywhere and paste the one the browser ends at; return the refresh token.

    Raises:
        AccountError: consent was refused, the pasted text contains no code, or Google issued no token.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    sign_in = new_sign_in(client, location, port)
    return await exchange(sign_in, code_of(sign_in, await ask(sign_in.address)), fetch)


def _receiver(
    sign_in: SignIn, answered: asyncio.Future[str]
) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    """A handler of connections from the browser. Requests other than the redirect have no effect."""

    async def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(10):
                head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError, OSError):
            writer.close()
            return
        words = head.split(b" ", 2)
        target = words[1].decode("ascii", "replace") if words[0] == b"GET" and len(words) == 3 else ""
        status, page = _reply(sign_in, target, answered)
        writer.write(_http(status, page))
        writer.close()

    return receive


def _reply(sign_in: SignIn, target: str, answered: asyncio.Future[str]) -> tuple[str, str]:
    """The status and the page for a request. Sets `answered` to the code, or to the error that takes its place."""
    query = parse_qs(urlsplit(target).query)
    if urlsplit(target).path not in ("/", "") or query.get("state") != [sign_in.state]:
        return "404 Not Found", "This is not the answer to a sign-in of bm."
    try:
        code = code_of(sign_in, target)
    except AccountError as error:
        if not answered.done():
            answered.set_exception(error)
        return "200 OK", f"bm is not signed in: {error}."
    if not answered.done():
        answered.set_result(code)
    return "200 OK", "bm has its answer. You can close this page."


def _http(status: str, words: str) -> bytes:
    body = f"<!doctype html><meta charset=utf-8><title>bm</title><p>{html.escape(words)}</p>".encode()
    head = f"HTTP/1.1 {status}\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {len(body)}\r\n"
    # The address of this page contains the code, so it must not be sent as a referrer.
    return f"{head}referrer-policy: no-referrer\r\ncache-control: no-store\r\nconnection: close\r\n\r\n".encode() + body


class _Tokens(msgspec.Struct):
    """The response of the token endpoint."""

    refresh_token: str = ""
    scope: str | None = None
    error: str = ""
    error_description: str = ""


async def exchange(sign_in: SignIn, code: str, fetch: Fetch) -> str:
    """The refresh token for a code.

    Raises:
        AccountError: there is none. The message contains neither the code nor a token.
    """
    try:
        secret = resolve(sign_in.client.secret, os.environ)
    except ConfigError as error:
        raise AccountError(f"the secret of the OAuth client: {error}") from error
    body = urlencode(sign_in.form | {"client_secret": secret, "code": code}).encode()
    headers = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
    response = await fetch(FetchRequest(method="POST", url=sign_in.client.token_uri, headers=headers, body=body))
    if isinstance(response, Failure):
        raise AccountError(f"no sign-in: {response.message}: run the command again")
    try:
        found = msgspec.json.decode(response.body, type=_Tokens)
    except UNREADABLE:
        found = _Tokens(error=f"status {response.status}")
    if response.status != 200 or found.error:
        said = Mask((secret, code))(found.error_description or found.error or f"status {response.status}")
        raise AccountError(f"Google refused the sign-in: {said[:200].rstrip('.')}: run the command again")
    if found.scope is not None and CLOUD not in found.scope.split():
        raise AccountError("the access that bm asked for was not ticked: sign in again and allow all of it")
    if not found.refresh_token:
        remedy = "remove bm's access at https://myaccount.google.com/connections and sign in again"
        raise AccountError(f"Google issued no refresh token: {remedy}")
    return found.refresh_token


def signed_in(stored: Credentials, account: Account, now: datetime) -> Credentials:
    """A copy with the account of a sign-in: a new one, or the existing one enabled again with its new token.

    Raises:
        AccountError: an account of another kind has the name, or `account.check` refuses it.
    """
    old = next((each for each in stored.accounts if each.id == account.id), None)
    if old is None:
        return stored.add(msgspec.structs.replace(account, added_at=now, renewed_at=now))
    if old.kind != account.kind:
        raise AccountError(f"{account.name!r} is an account of another kind: choose another name, or remove it first")
    made = msgspec.structs.replace(account, enabled=True, added_at=old.added_at, renewed_at=now)
    return stored.change(made)
