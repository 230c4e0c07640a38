"""Sign-in to Google through the user's own OAuth client: the browser, a loopback redirect, PKCE and state.

The protocol is that of native apps (RFC 8252, RFC 7636; developers.google.com/identity/protocols/oauth2/native-app).
Nothing here prints: addresses to open and texts to read are handed to the caller.
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
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

import msgspec

from bm.accounts.account import GOOGLE_CONSENT, GOOGLE_TOKEN, Account, OAuthClient
from bm.accounts.google import CLOUD, scopes_of
from bm.accounts.key_file import is_safe, mistaken
from bm.accounts.store import Credentials
from bm.accounts.transport import Fetch, FetchRequest
from bm.config.secrets import Mask, resolve
from bm.errors import AccountError, ConfigError, Failure

PATIENCE = 300.0
"""Seconds a person may take in the browser."""

CONSOLE = "https://console.cloud.google.com/auth/clients"
_LONGEST_REQUEST = 16 * 1024

Ask = Callable[[str], Awaitable[str]]
"""Shows an address to open, and gives what the person pasted."""


class _Installed(msgspec.Struct):
    client_id: str
    client_secret: str
    auth_uri: str = GOOGLE_CONSENT
    token_uri: str = GOOGLE_TOKEN


class _ClientFile(msgspec.Struct):
    installed: _Installed | None = None
    web: _Installed | None = None


def read_client(path: Path) -> OAuthClient:
    """The OAuth client in a `client_secret.json` of Google's console.

    Raises:
        AccountError: the file cannot be read, or holds no client of the type "Desktop app".
    """
    document = None
    try:
        document = msgspec.json.decode(path.read_text(encoding="utf-8-sig"))
        found = msgspec.convert(document, _ClientFile)
    except OSError as error:
        raise AccountError(f"{path}: cannot be read: {error.strerror}") from error
    except msgspec.ValidationError:
        # What the decoder says is about shapes alone, but the file is somebody's secret.
        found = _ClientFile()
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise AccountError(f"{path}: is not JSON; download it again at {CONSOLE}") from None
    if found.web is not None and found.installed is None:
        raise AccountError(f"{path}: is a client of the type Web application; make a Desktop app at {CONSOLE}")
    client = found.installed
    if client is None and (told := mistaken(document)):
        raise AccountError(f"{path}: {told}")
    if client is None or not client.client_id:
        raise AccountError(f"{path}: holds no OAuth client; make one of the type Desktop app at {CONSOLE}")
    if not (is_safe(client.auth_uri) and is_safe(client.token_uri)):
        raise AccountError(f"{path}: its auth_uri or token_uri is not an https address")
    return OAuthClient(
        id=client.client_id, secret=client.client_secret, auth_uri=client.auth_uri, token_uri=client.token_uri
    )


class SignIn(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt to sign in. `verifier` and `state` are random and serve once."""

    client: OAuthClient
    redirect: str
    scopes: tuple[str, ...]
    verifier: str
    state: str

    def __repr__(self) -> str:
        return f"SignIn(client={self.client!r}, redirect={self.redirect!r})"

    @property
    def address(self) -> str:
        """Where the person consents. `prompt=consent` because Google gives a refresh token only then."""
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
        """What turns a code into tokens, but for the code and the client's secret."""
        return {
            "grant_type": "authorization_code",
            "client_id": self.client.id,
            "redirect_uri": self.redirect,
            "code_verifier": self.verifier,
        }


def new_sign_in(client: OAuthClient, location: str, port: int) -> SignIn:
    """An attempt whose answer comes to a port of this machine."""
    return SignIn(
        client=client,
        redirect=f"http://127.0.0.1:{port}",
        scopes=scopes_of(location),
        verifier=secrets.token_urlsafe(48),
        state=secrets.token_urlsafe(24),
    )


def code_of(sign_in: SignIn, answer: str) -> str:
    """The code in what the browser was sent to: the whole address, or (pasted) the code alone.

    Raises:
        AccountError: consent was refused, the answer is to another question, or there is no code.
    """
    answer = answer.strip()
    if not answer:
        raise AccountError("nothing was pasted: run the command again")
    if "=" not in answer and "://" not in answer:
        return unquote(answer)
    query = {name: values[-1] for name, values in parse_qs(urlsplit(answer).query or answer).items()}
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
    tell: Callable[[str], None],
    *,
    open_browser: Callable[[str], bool] | None = None,
    patience: float = PATIENCE,
) -> str:
    """Open the browser, wait for it to come back to this machine, and give the refresh token.

    `tell` is handed the address, which a person can open where no browser comes up.

    Raises:
        AccountError: consent was refused or did not come in time, or Google gave no token.
    """
    loop = asyncio.get_running_loop()
    answered: asyncio.Future[str] = loop.create_future()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sign_in = new_sign_in(client, location, listener.getsockname()[1])
        server = await asyncio.start_server(_receiver(sign_in, answered), sock=listener, limit=_LONGEST_REQUEST)
        async with server:
            tell(sign_in.address)
            await asyncio.to_thread(open_browser or webbrowser.open, sign_in.address)
            try:
                async with asyncio.timeout(patience):
                    code = await answered
            except TimeoutError:
                raise AccountError(f"nobody signed in within {patience:g} s: run the command again") from None
    return await exchange(sign_in, code, fetch)


async def sign_in_by_paste(client: OAuthClient, location: str, fetch: Fetch, ask: Ask) -> str:
    """Have the person open the address anywhere and paste where the browser was sent; give the refresh token.

    Raises:
        AccountError: consent was refused, what was pasted is of no use, or Google gave no token.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    sign_in = new_sign_in(client, location, port)
    return await exchange(sign_in, code_of(sign_in, await ask(sign_in.address)), fetch)


def _receiver(
    sign_in: SignIn, answered: asyncio.Future[str]
) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    """Answers the browser. Requests that are no answer (icons, strangers) change nothing."""

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
    """The status and the page for a request; the code, or why there is none, goes to `answered`."""
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
    return "200 OK", "bm has its answer. You can close this page and go back to the terminal."


def _http(status: str, words: str) -> bytes:
    body = f"<!doctype html><meta charset=utf-8><title>bm</title><p>{html.escape(words)}</p>".encode()
    head = f"HTTP/1.1 {status}\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {len(body)}\r\n"
    # The address of this page holds the code: it must not be told to anybody.
    return f"{head}referrer-policy: no-referrer\r\ncache-control: no-store\r\nconnection: close\r\n\r\n".encode() + body


class _Tokens(msgspec.Struct):
    """The token endpoint's answer."""

    refresh_token: str = ""
    scope: str | None = None
    error: str = ""
    error_description: str = ""


async def exchange(sign_in: SignIn, code: str, fetch: Fetch) -> str:
    """The refresh token for a code.

    Raises:
        AccountError: there is none; the text holds neither the code nor a token.
    """
    try:
        secret = resolve(sign_in.client.secret, os.environ)
    except ConfigError as error:
        raise AccountError(f"the secret of the OAuth client: {error}") from error
    body = urlencode(sign_in.form | {"client_secret": secret, "code": code}).encode()
    headers = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
    answer = await fetch(FetchRequest(method="POST", url=sign_in.client.token_uri, headers=headers, body=body))
    if isinstance(answer, Failure):
        raise AccountError(f"no sign-in: {answer.message}: run the command again")
    try:
        found = msgspec.json.decode(answer.body, type=_Tokens)
    except (msgspec.DecodeError, UnicodeDecodeError):
        found = _Tokens(error=f"status {answer.status}")
    if answer.status != 200 or found.error:
        said = Mask((secret, code))(found.error_description or found.error or f"status {answer.status}")
        raise AccountError(f"Google refused the sign-in: {said[:200].rstrip('.')}: run the command again")
    if found.scope is not None and CLOUD not in found.scope.split():
        raise AccountError("the access that bm asked for was not ticked: sign in again and allow all of it")
    if not found.refresh_token:
        cure = "remove bm's access at https://myaccount.google.com/connections and sign in again"
        raise AccountError(f"Google gave no refresh token: {cure}")
    return found.refresh_token


def signed_in(stored: Credentials, account: Account, now: datetime) -> Credentials:
    """With the account of a sign-in: a new one, or the one of that name in use again with its new token.

    Raises:
        AccountError: the name belongs to an account of another kind, or `account.check` refuses it.
    """
    old = next((each for each in stored.accounts if each.id == account.id), None)
    if old is None:
        return stored.add(msgspec.structs.replace(account, added_at=now, renewed_at=now))
    if old.kind != account.kind:
        raise AccountError(f"{account.name!r} is an account of another kind: choose another name, or remove it first")
    made = msgspec.structs.replace(account, enabled=True, added_at=old.added_at, renewed_at=now)
    return stored.change(made)
