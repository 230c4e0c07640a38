"""The JSON files that Google issues: key files of service accounts, and OAuth clients (`client_secret.json`)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from bm.accounts.account import GOOGLE_CONSENT, GOOGLE_TOKEN, OAuthClient
from bm.config.address import is_loopback
from bm.config.secrets import is_reference, resolve
from bm.errors import UNREADABLE, AccountError, ConfigError

FILE = "file:"

CONSOLE = "https://console.cloud.google.com/auth/clients"


class KeyFile(msgspec.Struct, frozen=True, kw_only=True):
    """The key file of a service account. Only `client_email` and `project_id` may be shown."""

    type: str
    client_email: str
    private_key: str
    project_id: str = ""
    private_key_id: str = ""
    token_uri: str = GOOGLE_TOKEN

    def __repr__(self) -> str:
        return f"KeyFile(client_email={self.client_email!r}, project_id={self.project_id!r})"


class _Installed(msgspec.Struct):
    client_id: str
    client_secret: str
    auth_uri: str = GOOGLE_CONSENT
    token_uri: str = GOOGLE_TOKEN


class _ClientFile(msgspec.Struct):
    installed: _Installed | None = None
    web: _Installed | None = None


def read_key_file(key: str, environ: Mapping[str, str]) -> KeyFile:
    """The key file that an account's `key` refers to or contains.

    Raises:
        AccountError: it cannot be read, or is not the key of a service account. The message never quotes it.
    """
    place = "the key of the service account"
    try:
        if key.startswith(FILE):
            # A plain read: `resolve` refuses files of several lines.
            place = key.removeprefix(FILE)
            text = Path(place).expanduser().read_text(encoding="utf-8-sig")
        else:
            text = resolve(key, environ) if is_reference(key) else key
        return _key_file(text, place)
    except OSError as error:
        raise AccountError(f"{place}: cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, RuntimeError):
        raise AccountError(f"{place}: is not a readable text file") from None
    except ConfigError as error:
        raise AccountError(str(error)) from error


def _key_file(text: str, place: str) -> KeyFile:
    try:
        document = msgspec.json.decode(text)
        found = msgspec.convert(document, KeyFile)
    except msgspec.ValidationError as error:
        other = _other_than_key(document) or f"is not the key of a service account: {error}"
        raise AccountError(f"{place}: {other}") from None
    except UNREADABLE:
        raise AccountError(f"{place}: is not JSON") from None
    if other := _other_than_key(document):
        raise AccountError(f"{place}: {other}")
    if not is_safe(found.token_uri):
        raise AccountError(f"{place}: its token_uri is not an https address")
    return found


def _other_than_key(document: object) -> str:
    """What the file is instead of a service account's key; empty if it is meant to be one."""
    match document:
        case {"type": "service_account"}:
            return ""
        case {"installed": _} | {"web": _}:
            return "is an OAuth client: bm accounts login NAME --client FILE"
        case _:
            return _credential_type(document)


def read_client(path: Path) -> OAuthClient:
    """The OAuth client in a `client_secret.json` from Google's console.

    Raises:
        AccountError: the file cannot be read, or contains no client of the type "Desktop app".
    """
    try:
        return client_in(path.read_text(encoding="utf-8-sig"), str(path))
    except OSError as error:
        raise AccountError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise AccountError(f"{path}: is not JSON; download it again at {CONSOLE}") from None


def client_in(text: str, place: str) -> OAuthClient:
    """The OAuth client in the content of a `client_secret.json`; `place` names it in errors.

    Raises:
        AccountError: it contains no client of the type "Desktop app".
    """
    document = None
    try:
        document = msgspec.json.decode(text)
        found = msgspec.convert(document, _ClientFile)
    except msgspec.ValidationError:
        found = _ClientFile()
    except UNREADABLE:
        raise AccountError(f"{place}: is not JSON; download it again at {CONSOLE}") from None
    if found.web is not None and found.installed is None:
        raise AccountError(f"{place}: is a client of the type Web application; make a Desktop app at {CONSOLE}")
    client = found.installed
    if client is None and (other := _credential_type(document)):
        raise AccountError(f"{place}: {other}")
    if client is None or not client.client_id:
        raise AccountError(f"{place}: holds no OAuth client; make one of the type Desktop app at {CONSOLE}")
    if not (is_safe(client.auth_uri) and is_safe(client.token_uri)):
        raise AccountError(f"{place}: its auth_uri or token_uri is not an https address")
    return OAuthClient(
        id=client.client_id, secret=client.client_secret, auth_uri=client.auth_uri, token_uri=client.token_uri
    )


def _credential_type(document: object) -> str:
    """Which Google credential a file holds, and the command that takes it; empty for any other file."""
    match document:
        case {"type": "service_account"}:
            return "is the key of a service account: bm accounts add NAME --vertex FILE (or --service-account FILE)"
        case {"type": "authorized_user"}:
            return "holds default credentials, as gcloud writes them: bm accounts add NAME --adc"
        case {"type": str(kind)}:
            return f"holds a credential of the type {kind[:40]!r}"
        case _:
            return ""


def is_safe(address: str) -> bool:
    """Whether secrets may be sent to `address`: over https, or to this machine."""
    parts = urlsplit(address)
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
