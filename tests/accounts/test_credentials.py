"""accounts.toml, and every account with its secret."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from bm.accounts.account import Account, OAuthClient
from bm.accounts.credentials import Credential, Credentials, all_accounts, ensure_local_key, load, update
from bm.config.schema import Config, ProviderConfig
from bm.errors import AccountError

SECRET = "planted-secret-value"

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no file modes")


@pytest.fixture
def path(bm_home: Path) -> Path:
    return bm_home / "deep" / "accounts.toml"


def account(name: str, key: str = "", provider: str = "gemini") -> Account:
    return Account(name=name, key=key or f"key-{provider}-{name}", provider=provider)


def adding(*accounts: Account) -> Callable[[Credentials], Credentials]:
    def change(credentials: Credentials) -> Credentials:
        for each in accounts:
            credentials = credentials.add(each)
        return credentials

    return change


def written(path: Path, text: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    return path


def test_a_missing_file_is_an_empty_one(path: Path) -> None:
    assert load(path) == Credentials()
    assert not path.exists()


def test_written_content_is_read_back(path: Path) -> None:
    full = Account(
        name="a",
        key="env:A",
        provider="groq",
        enabled=False,
        project="p-1",
        added_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    )
    new = update(path, adding(full, account("b")))
    assert load(path) == new
    assert load(path).accounts == (full, account("b"))


@posix
def test_the_file_is_private(path: Path) -> None:
    update(path, adding(account("a")))
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


@posix
def test_loose_permissions_are_tightened_and_reported(path: Path) -> None:
    update(path, adding(account("a")))
    path.chmod(0o644)
    ensure_local_key(path)
    path.chmod(0o644)
    assert ensure_local_key(path) == ensure_local_key(path)
    (warning,) = load(path).warnings
    assert str(path) in warning and "644" in warning
    assert path.stat().st_mode & 0o777 == 0o600
    assert load(path).warnings == ()


def test_the_local_key_is_made_once(path: Path) -> None:
    key = ensure_local_key(path)
    assert re.fullmatch(r"bm-[A-Za-z0-9_-]{43}", key)
    assert ensure_local_key(path) == key
    update(path, adding(account("a")))
    assert load(path).local_key == key


def test_a_change_that_refuses_leaves_the_file_as_it_was(path: Path) -> None:
    update(path, adding(account("a")))
    before = path.read_bytes()
    with pytest.raises(AccountError):
        update(path, adding(account("b"), account("a")))
    assert path.read_bytes() == before


def test_content_of_a_newer_version_is_kept(path: Path) -> None:
    written(
        path,
        """
        version = 7
        colour = "green"
        [[accounts]]
        name = "a"
        key = "k1"
        mood = 3
        [[accounts]]
        name = "gone"
        key = "k2"
        mood = 4
        [[accounts]]
        name = "later"
        kind = "telepathy"
        token = "t"
        [other]
        deep = [1, 2]
        """,
    )
    loaded = load(path)
    assert [each.name for each in loaded.accounts] == ["a", "gone"]
    assert "later" in loaded.warnings[0]
    update(path, lambda it: it.remove(("gemini", "gone")).change(account("a", "k9")).add(account("b")))
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    assert (table["version"], table["colour"], table["other"]) == (7, "green", {"deep": [1, 2]})
    rows = {row["name"]: row for row in table["accounts"]}
    assert list(rows) == ["a", "b", "later"]
    assert (rows["a"]["key"], rows["a"]["mood"]) == ("k9", 3)
    assert rows["later"] == {"name": "later", "kind": "telepathy", "token": "t"}
    with pytest.raises(AccountError, match="newer bm"):
        update(path, adding(account("later")))


CORRUPT = {
    "not TOML": (f'version = 1\n[[accounts]]\nname = "a\nkey = "{SECRET}"\n', 3),
    "cut short": (f'local_key = "{SECRET}', 1),
    "no key": (f'local_key = "{SECRET}"\n[[accounts]]\nname = "a"\n', 2),
    "a key of another type": (f'local_key = "{SECRET}"\n\n[[accounts]]\nname = "a"\nkey = 5\n', 3),
    "the second of a name": (
        f'[[accounts]]\nname = "a"\nkey = "{SECRET}"\n\n[[accounts]]\nname = "a"\nkey = "{SECRET}2"\n',
        5,
    ),
    "a bad name": (f'[[accounts]]\nname = "a/b"\nkey = "{SECRET}"\n', 1),
    "accounts of another shape": (f'local_key = "{SECRET}"\n[accounts]\nname = "a"\n', 2),
    "a version of another type": (f'local_key = "{SECRET}"\nversion = "one"\n', 2),
    "a local key of another type": (f'local_key = ["{SECRET}"]\n', 1),
}


@pytest.mark.parametrize(("text", "line"), CORRUPT.values(), ids=CORRUPT)
def test_a_corrupt_file_is_an_error_with_line_and_remedy_and_is_not_changed(path: Path, text: str, line: int) -> None:
    written(path, text)
    for act in (load, ensure_local_key, lambda it: update(it, adding(account("new")))):
        with pytest.raises(AccountError, match=f"^{re.escape(str(path))}:{line}: .*correct it") as caught:
            act(path)
        assert SECRET not in str(caught.value)
    assert path.read_text(encoding="utf-8") == text


def test_a_file_that_is_no_text_is_refused(path: Path) -> None:
    written(path, "")
    path.write_bytes(b"\xff\xfe\x00key")
    with pytest.raises(AccountError, match="not UTF-8"):
        load(path)


def test_a_folder_in_the_place_of_the_file_is_an_error_for_people(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(AccountError, match="cannot be read"):
        load(path)
    with pytest.raises(AccountError, match=re.escape(str(path))):
        update(path, adding(account("a")))


def test_a_byte_order_mark_is_accepted(path: Path) -> None:
    written(path, "\ufeff" + 'local_key = "k"\n')
    assert load(path).local_key == "k"


def test_accounts_are_found_by_name_and_provider() -> None:
    both = adding(account("a"), account("a", provider="groq"), account("b"))(Credentials())
    assert both.find("b") == account("b")
    assert both.find("a", "groq") == account("a", provider="groq")
    with pytest.raises(AccountError, match="gemini, groq"):
        both.find("a")
    with pytest.raises(AccountError, match="bm accounts"):
        both.find("c")
    assert both.remove(("groq", "a")).find("a") == account("a")
    with pytest.raises(AccountError, match="no account of groq"):
        both.remove(("groq", "b"))


def test_a_name_or_key_that_is_taken_is_refused_without_the_key() -> None:
    one = Credentials().add(account("a", SECRET))
    for second in (account("a"), account("b", SECRET)):
        with pytest.raises(AccountError, match="'a'") as caught:
            one.add(second)
        assert SECRET not in str(caught.value)
    assert len(one.add(account("b", SECRET, provider="groq")).accounts) == 2


def test_a_change_keeps_the_place_of_the_account() -> None:
    three = adding(account("a"), account("b"), account("c"))(Credentials())
    off = three.change(msgspec.structs.replace(account("b"), enabled=False))
    assert [(each.name, each.enabled) for each in off.accounts] == [("a", True), ("b", False), ("c", True)]
    with pytest.raises(AccountError, match="no account"):
        three.change(account("d"))


def test_no_text_form_of_the_content_shows_a_secret() -> None:
    content = Credentials(local_key=SECRET, accounts=(account("a", SECRET),))
    assert SECRET not in f"{content} {content!r} {[content]}"


WRITER = """
import sys
from pathlib import Path
from bm.accounts.account import Account
from bm.accounts.credentials import ensure_local_key, update
path, who, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
print(ensure_local_key(path))
for number in range(count):
    update(path, lambda it: it.add(Account(name=f"{who}{number}", key=f"{who}-key-{number}")))
"""


def test_two_processes_that_write_at_once_lose_nothing(path: Path) -> None:
    count = 15
    command = [sys.executable, "-c", WRITER, str(path)]
    writers = [
        subprocess.Popen(
            [*command, who, str(count)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=dict(os.environ)
        )
        for who in ("a", "b")
    ]
    for writer in writers:
        assert writer.stdout is not None and writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    said = [writer.communicate(timeout=60)[0] for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0]
    assert {text.strip() for text in said} == {load(path).local_key}
    assert {each.name for each in load(path).accounts} == {f"{who}{n}" for who in ("a", "b") for n in range(count)}
    assert [file.name for file in path.parent.iterdir() if file.suffix == ".tmp"] == []


SECRET = "planted-secret-value"


def keyed(name: str, key: str, provider: str = "gemini", *, enabled: bool = True) -> Account:
    return Account(name=name, key=key, provider=provider, enabled=enabled)


def listed(
    *accounts: Account, environ: dict[str, str] | None = None, **providers: ProviderConfig
) -> tuple[Credential, ...]:
    return all_accounts(Credentials(accounts=accounts), Config(providers=providers), environ or {})


def secrets_of(credentials: tuple[Credential, ...]) -> dict[tuple[str, str], str]:
    return {each.id: each.secret for each in credentials}


def test_stored_accounts_come_first_then_the_keys_of_the_configuration() -> None:
    merged = listed(
        keyed("a", "k1"),
        keyed("b", "env:B", "groq"),
        environ={"B": "k2", "G": "k3"},
        groq=ProviderConfig(enabled=True, api_key="env:G"),
        anthropic=ProviderConfig(enabled=True),
    )
    assert secrets_of(merged) == {("gemini", "a"): "k1", ("groq", "b"): "k2", ("groq", "config"): "k3"}
    assert not any(each.problem for each in merged)


def test_a_key_that_cannot_be_found_makes_an_account_with_a_problem(tmp_path: Path) -> None:
    merged = listed(
        keyed("a", "env:GONE"),
        keyed("b", f"file:{tmp_path / 'none'}"),
        groq=ProviderConfig(enabled=True, api_key="env:GONE_TOO"),
    )
    assert [(each.account.name, each.secret) for each in merged] == [("a", ""), ("b", ""), ("config", "")]
    assert "env:GONE: the environment variable is not set" in merged[0].problem
    assert "cannot be read" in merged[1].problem
    assert "GONE_TOO" in merged[2].problem


def test_the_configurations_key_that_is_stored_already_is_one_account() -> None:
    merged = listed(
        keyed("a", SECRET, "groq"), environ={"G": SECRET}, groq=ProviderConfig(enabled=True, api_key="env:G")
    )
    assert list(secrets_of(merged)) == [("groq", "a")]


def test_a_disabled_account_is_not_brought_back_by_the_configuration() -> None:
    groq = ProviderConfig(enabled=True, api_key="env:G")
    for key in ("env:G", SECRET):
        merged = listed(keyed("a", key, "groq", enabled=False), environ={"G": SECRET}, groq=groq)
        assert [(each.id, each.account.enabled) for each in merged] == [(("groq", "a"), False)]


def test_a_provider_without_keys_has_one_account_once_it_is_configured() -> None:
    assert listed() == ()
    (local,) = listed(ollama=ProviderConfig(enabled=True))
    assert (local.id, local.secret, local.problem, local.account.enabled) == (("ollama", "local"), "", "", True)
    (keyed,) = listed(ollama=ProviderConfig(enabled=True, api_key="k"))
    assert keyed.id == ("ollama", "config")


def test_the_second_account_with_a_key_says_so() -> None:
    first, second, other = listed(
        keyed("a", SECRET), keyed("b", "env:B"), keyed("c", SECRET, "groq"), environ={"B": SECRET}
    )
    assert (first.problem, other.problem) == ("", "")
    assert second.problem == "it has the same key as the account a"


def test_two_keys_that_cannot_be_found_are_not_the_same_key() -> None:
    merged = listed(keyed("a", "env:A"), keyed("b", "env:B"))
    assert all("not set" in each.problem for each in merged)


def test_the_reference_of_a_disabled_account_is_not_followed(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    (stored, configured) = listed(
        keyed("a", f"cmd:touch {trace}", enabled=False), groq=ProviderConfig(api_key=f"cmd:touch {trace}")
    )
    assert (stored.secret, stored.problem, configured.account.enabled) == ("", "", False)
    assert not trace.exists()


def test_no_text_form_and_no_problem_shows_a_secret() -> None:
    merged = listed(keyed("a", SECRET), keyed("b", "env:B"), environ={"B": f"{SECRET}\nx"})
    assert "control characters" in merged[1].problem
    assert SECRET not in f"{merged} {merged[0]} {merged[1].problem}"


def test_secrets_of_google_accounts_are_not_copied(tmp_path: Path) -> None:
    document = {"type": "service_account", "client_email": "robot@p", "private_key": "planted-private-key"}
    (tmp_path / "key.json").write_bytes(msgspec.json.encode(document))
    robot = Account(name="r", kind="service_account", key=f"file:{tmp_path / 'key.json'}", project="p")
    client = OAuthClient(id="client-id", secret="planted-client-secret")
    person = Account(name="p", kind="google_oauth", key="planted-refresh-token", client=client)
    here = Account(name="h", kind="adc")
    listed = all_accounts(Credentials(accounts=(robot, person, here)), Config(), {})
    assert [(each.problem, each.shown) for each in listed] == [("", "robot@p"), ("", "client-id"), ("", "")]
    assert "planted" not in repr(listed)
    (tmp_path / "key.json").unlink()
    gone = all_accounts(Credentials(accounts=(robot,)), Config(), {})[0]
    assert "key.json: cannot be read" in gone.problem


def test_one_credential_in_two_places_is_two_accounts() -> None:
    def at(location: str, name: str) -> Account:
        return Account(name=name, kind="adc", project="p", location=location)

    stored = Credentials(accounts=(at("us", "a"), at("eu", "b"), at("us", "c")))
    listed = all_accounts(stored, Config(), {})
    assert [bool(each.problem) for each in listed] == [False, False, True]


@pytest.mark.parametrize(
    "text", ["", " \n", "x = " + "9" * 5000, "x = " + "[" * 3000 + "]" * 3000, "a" + ".a" * 900 + " = 1"]
)
def test_an_empty_or_odd_file_is_never_replaced(tmp_path: Path, text: str) -> None:
    path = tmp_path / "accounts.toml"
    path.write_text(text)
    for read in (load, ensure_local_key):
        with pytest.raises(AccountError, match=r"accounts\.toml"):
            read(path)
    assert path.read_text() == text
