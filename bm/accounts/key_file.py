"""The key file of a service account, as Google Cloud hands it out. It is referred to, not copied."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from bm.accounts.account import GOOGLE_TOKEN
from bm.config.address import is_loopback
from bm.config.secrets import is_reference, resolve
from bm.errors import AccountError, ConfigError

FILE = "file:"


class KeyFile(msgspec.Struct, frozen=True, kw_only=True):
    """What is needed of it. Nothing but `client_email` and `project_id` may be shown."""

    type: str
    client_email: str
    private_key: str
    project_id: str = ""
    private_key_id: str = ""
    token_uri: str = GOOGLE_TOKEN

    def __repr__(self) -> str:
        return f"KeyFile(client_email={self.client_email!r}, project_id={self.project_id!r})"


def mistaken(document: object) -> str:
    """What another file of Google's is that was given by mistake, and where it belongs; empty for any other file."""
    match document:
        case {"type": "service_account"}:
            return "is the key of a service account: bm accounts add NAME --vertex FILE (or --service-account FILE)"
        case {"type": "authorized_user"}:
            return "holds default credentials, as gcloud writes them: bm accounts add NAME --adc"
        case {"type": str(kind)}:
            return f"holds a credential of the type {kind[:40]!r}"
        case _:
            return ""


def read_key_file(key: str, environ: Mapping[str, str]) -> KeyFile:
    """The key file that an account's `key` refers to or holds.

    Raises:
        AccountError: it cannot be read, or is not the key of a service account; the text never holds its content.
    """
    place = "the key of the service account"
    try:
        if key.startswith(FILE):
            # A plain read: the file has many lines, which `resolve` refuses.
            place = key.removeprefix(FILE)
            text = Path(place).expanduser().read_text(encoding="utf-8-sig")
        else:
            text = resolve(key, environ) if is_reference(key) else key
        return _decoded(text, place)
    except OSError as error:
        raise AccountError(f"{place}: cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, RuntimeError):
        raise AccountError(f"{place}: is not a readable text file") from None
    except ConfigError as error:
        raise AccountError(str(error)) from error


def _decoded(text: str, place: str) -> KeyFile:
    try:
        document = msgspec.json.decode(text)
        found = msgspec.convert(document, KeyFile)
    except msgspec.ValidationError as error:
        raise AccountError(f"{place}: {_other(document) or f'is not the key of a service account: {error}'}") from None
    except msgspec.DecodeError:
        raise AccountError(f"{place}: is not JSON") from None
    if other := _other(document):
        raise AccountError(f"{place}: {other}")
    if not is_safe(found.token_uri):
        raise AccountError(f"{place}: its token_uri is not an https address")
    return found


def _other(document: object) -> str:
    """What the file is instead of a key of a service account; empty when it means to be one."""
    match document:
        case {"type": "service_account"}:
            return ""
        case {"installed": _} | {"web": _}:
            return "is an OAuth client: bm accounts login NAME --client FILE"
        case _:
            return mistaken(document)


def is_safe(address: str) -> bool:
    """Whether secrets may be sent to `address`: over https, or to this machine."""
    parts = urlsplit(address)
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
