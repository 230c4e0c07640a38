"""The stored accounts (accounts.toml), and every account with its secret.

accounts.toml is written by bm only: readable by its owner alone, replaced as a whole, changed under a lock. A file that
cannot be parsed is never overwritten, because it may hold the only copy of a key. Unknown members, and accounts of an
unknown kind, come from a newer version and are kept.
"""

from __future__ import annotations

import re
import secrets
import tomllib
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import tomli_w

from bm.accounts.account import CONFIG_NAME, KINDS, Account, check
from bm.accounts.google_files import read_key_file
from bm.config.files import changing, tighten, write_private
from bm.config.load import read_toml
from bm.config.schema import Config
from bm.config.secrets import hint, is_reference, resolve
from bm.config.validation import nearest
from bm.dispatch.target import AccountId
from bm.errors import AccountError, ConfigError
from bm.providers.provider import effective

VERSION = 1

LOCAL_KEY_PREFIX = "bm-"

LOCAL_NAME = "local"
"""The account of a provider that needs no key."""

_HEADER = "# Written by bm: use `bm accounts` to change it. It holds keys: do not share it, do not commit it.\n\n"

_Table: TypeAlias = dict[str, Any]


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """The content of accounts.toml. `local_key` is the key clients send to bm; `warnings` are not stored."""

    version: int = VERSION
    local_key: str = ""
    accounts: tuple[Account, ...] = ()
    warnings: tuple[str, ...] = ()

    def find(self, name: str, provider: str = "") -> Account:
        """The account with that name, of any provider unless one is given.

        Raises:
            AccountError: there is none, or several providers have one.
        """
        found = [each for each in self.accounts if each.name == name and provider in ("", each.provider)]
        if not found:
            of = f" of {provider}" if provider else ""
            near = nearest(name, [each.name for each in self.accounts]) or "`bm accounts` lists them"
            raise AccountError(f"no account{of} is named {name!r} ({near})")
        if len(found) > 1:
            owners = ", ".join(each.provider for each in found)
            raise AccountError(
                f"several providers have an account named {name!r}: {owners} (add --provider {found[0].provider})"
            )
        return found[0]

    def add(self, account: Account) -> Credentials:
        """A copy with one more account at the end.

        Raises:
            AccountError: its name or key is in use, or `account.check` refuses it.
        """
        check(account)
        for other in self.accounts:
            if other.id == account.id:
                raise AccountError(f"{account.provider} already has an account named {account.name!r}")
            if other.identity == account.identity:
                raise AccountError(f"the account {other.name!r} of {other.provider} has this key already")
        return msgspec.structs.replace(self, accounts=(*self.accounts, account))

    def change(self, account: Account) -> Credentials:
        """A copy with `account` in place of the one with its id.

        Raises:
            AccountError: there is no such account, `account.check` refuses it, or another one has its new key.
        """
        check(account)
        old = self.find(account.name, account.provider)
        for other in self.accounts:
            if other is not old and other.identity == account.identity != old.identity:
                raise AccountError(f"the account {other.name!r} of {other.provider} has this key already")
        changed = tuple(account if each is old else each for each in self.accounts)
        return msgspec.structs.replace(self, accounts=changed)

    def rename(self, account: Account, name: str) -> Credentials:
        """A copy in which `account` has another name.

        Raises:
            AccountError: there is no such account, or the name cannot be used.
        """
        renamed = msgspec.structs.replace(account, name=name)
        check(renamed)
        if any(each.id == renamed.id for each in self.accounts):
            raise AccountError(f"{account.provider} already has an account named {name!r}")
        old = self.find(account.name, account.provider)
        return msgspec.structs.replace(self, accounts=tuple(renamed if each is old else each for each in self.accounts))

    def remove(self, account_id: AccountId) -> Credentials:
        """A copy without that account.

        Raises:
            AccountError: there is no such account.
        """
        provider, name = account_id
        old = self.find(name, provider)
        return msgspec.structs.replace(self, accounts=tuple(each for each in self.accounts if each is not old))

    def __repr__(self) -> str:
        return f"Credentials(version={self.version}, accounts={self.accounts!r})"


def load(path: Path) -> Credentials:
    """Read accounts.toml. A missing file counts as empty; loose permissions are tightened, with a warning.

    Raises:
        AccountError: it cannot be read or parsed. The message names the file, the line if known, and the remedy.
    """
    table, text = _read(path)
    content = content_of(table, path, text)
    return msgspec.structs.replace(content, warnings=(*tighten(path), *content.warnings))


def update(path: Path, change: Callable[[Credentials], Credentials], *, patience: float = 10.0) -> Credentials:
    """Replace the content with the result of `change`, under a lock, and return it.

    Raises:
        AccountError: `change` raised it, or the file cannot be read, parsed or written. The file is unchanged.
        LockTimeout: another process holds the lock for longer than `patience` seconds.
    """
    with changing(path, patience):
        table, text = _read(path)
        old = content_of(table, path, text)
        new = change(old)
        if new != old or not path.exists():
            write_private(path, (_HEADER + tomli_w.dumps(table_of(table, new, path))).encode())
        return new


def ensure_local_key(path: Path) -> str:
    """The key that clients send to bm (`bm-` and 43 characters), created if the file has none.

    Raises:
        AccountError: the file cannot be read, parsed or written.
        LockTimeout: another process holds the lock.
    """
    table, text = _read(path)
    return content_of(table, path, text).local_key or update(path, _with_local_key).local_key


def new_local_key() -> str:
    """A key that clients may send to bm."""
    return LOCAL_KEY_PREFIX + secrets.token_urlsafe(32)


def _with_local_key(credentials: Credentials) -> Credentials:
    if credentials.local_key:
        return credentials
    return msgspec.structs.replace(credentials, local_key=new_local_key())


def _read(path: Path) -> tuple[_Table, str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        table = read_toml(text)
    except FileNotFoundError:
        return {}, ""
    except OSError as error:
        raise AccountError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise _corrupt(path, 0, "it is not UTF-8 text") from None
    except tomllib.TOMLDecodeError as error:
        # The parser's message may quote the line, and with it a key.
        found = re.search(r"at line (\d+)", str(error))
        raise _corrupt(path, int(found[1]) if found else text.count("\n") + 1, "it is not valid TOML") from None
    except (ValueError, RecursionError):
        raise _corrupt(path, 0, "a number in it has too many digits, or it is nested too deeply") from None
    if not text.strip():
        # bm itself never leaves it empty; a full disk or another program may.
        raise _corrupt(path, 0, "it is empty, although bm keeps its key and the accounts there")
    return table, text


def content_of(table: _Table, path: Path | str, text: str = "") -> Credentials:
    """The known members of `table`, checked. `path` and `text` are the file, or name another place.

    Raises:
        AccountError: one of them cannot be used.
    """
    rows = table.get("accounts", [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise _corrupt(path, _line(text, r"(\[+\s*)?accounts\b"), "`accounts` is not a list of tables")
    content = Credentials()
    foreign = []
    for number, row in enumerate(rows, 1):
        if _is_foreign(row):
            foreign.append(str(row.get("name", number)))
            continue
        try:
            account = msgspec.convert(row, Account)
            check(account)
            if account.id in {each.id for each in content.accounts}:
                raise AccountError(f"the second account of {account.provider} named {account.name!r}")
        except (msgspec.ValidationError, AccountError) as error:
            line = _line(text, r"\[\[\s*accounts\s*\]\]", number)
            raise _corrupt(path, line, f"account number {number}: {error}") from None
        content = msgspec.structs.replace(content, accounts=(*content.accounts, account))
    known = {name: table[name] for name in ("version", "local_key") if name in table}
    try:
        head = msgspec.convert(known, Credentials)
    except msgspec.ValidationError as error:
        name = "version" if str(error).endswith("`$.version`") else "local_key"
        raise _corrupt(path, _line(text, rf"{name}\b"), str(error)) from None
    kept = f"{path}: of a kind that needs a newer bm, not used: {', '.join(foreign)}"
    return msgspec.structs.replace(head, accounts=content.accounts, warnings=(kept,) if foreign else ())


def table_of(table: _Table, credentials: Credentials, path: Path | str) -> _Table:
    """`table` with its known members replaced. An account that stays keeps its unknown members.

    Raises:
        AccountError: an account has the name of one that needs a newer bm.
    """
    rows: list[_Table] = table.get("accounts", [])
    foreign = [row for row in rows if _is_foreign(row)]
    old = {(row.get("provider", "gemini"), row.get("name")): row for row in rows if not _is_foreign(row)}
    taken = {(row.get("provider", "gemini"), row.get("name")) for row in foreign}
    written = []
    for account in credentials.accounts:
        if account.id in taken:
            raise AccountError(f"{path}: {account.name!r} is an account of a kind that needs a newer bm")
        unknown = {name: value for name, value in old.get(account.id, {}).items() if name not in _KNOWN}
        members = msgspec.to_builtins(account, builtin_types=(datetime,)).items()
        said = {name: value for name, value in members if value not in ("", None) and (name, value) not in _UNSAID}
        written.append(said | unknown)
    head = {"version": max(credentials.version, VERSION), "local_key": credentials.local_key}
    return table | head | {"accounts": written + foreign}


_KNOWN = frozenset(Account.__struct_fields__)
_UNSAID = (("tier", 0), ("weight", 1))


def _is_foreign(row: _Table) -> bool:
    kind = row.get("kind", KINDS[0])
    return isinstance(kind, str) and kind not in KINDS


def _line(text: str, pattern: str, count: int = 1) -> int:
    """The line on which `pattern` starts for the `count`th time; 0 if it does not."""
    numbers = [number for number, line in enumerate(text.splitlines(), 1) if re.match(rf"\s*{pattern}", line)]
    return numbers[count - 1] if len(numbers) >= count else 0


def _corrupt(path: Path | str, line: int, message: str) -> AccountError:
    if not isinstance(path, Path):
        return AccountError(f"{path}: {message} (update bm on this node)")
    place = f"{path}:{line}" if line else str(path)
    return AccountError(
        f"{place}: {message} (correct it in an editor, or move the file away and add the accounts again)"
    )


class Credential(msgspec.Struct, frozen=True, kw_only=True):
    """An account with its secret. `problem` says why it cannot be used, even if there is a secret.

    `secret` is the key, or the refresh token of a sign-in; empty for accounts whose secrets are not copied. `owner` is
    the email address in a service account's key file.
    """

    account: Account
    secret: str = ""
    problem: str = ""
    owner: str = ""

    @property
    def shown(self) -> str:
        """What may be shown of the credential, to tell it from others."""
        match self.account.kind:
            case "api_key":
                return hint(self.secret)
            case "google_oauth" if self.account.client:
                return self.account.client.id
            case _:
                return self.owner

    @property
    def id(self) -> AccountId:
        return self.account.id

    def __repr__(self) -> str:
        return f"Credential({self.account!r}, problem={self.problem!r})"


def all_accounts(credentials: Credentials, config: Config, environ: Mapping[str, str]) -> tuple[Credential, ...]:
    """The accounts of all providers: the stored ones in their order, then those of the configuration.

    A key that cannot be resolved is a `problem` of its account, not an error. So is a key that another account of the
    provider has; if the configuration repeats it, that copy is left out. References of disabled accounts are not
    resolved. May block while a `cmd:` runs, see `bm.config.secrets`.
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
    """The account with its references resolved.

    Raises:
        ConfigError: a reference cannot be resolved.
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
