"""What an account may be called, what its key may be, and that the key is never shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from bm.accounts.account import Account, OAuthClient, check, name_fault
from bm.accounts.credential import Credential
from bm.errors import AccountError

SECRET = "planted-secret-value"


@pytest.mark.parametrize("name", ["a", "work", "work-2", "me@example.com", "Team A", "x.y_z+1", "0", "a" * 64])
def test_a_name_that_can_be_typed_and_sent_in_a_header_is_good(name: str) -> None:
    assert name_fault(name) == ""


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("", "empty"),
        ("a" * 65, "longer than 64"),
        ("config", "config.toml"),
        ("a:b", "use letters"),
        ("a/b", "use letters"),
        (" a", "use letters"),
        ("a ", "use letters"),
        ("a\nb", "use letters"),
        ("-a", "use letters"),
        ("été", "use letters"),
        ("a\x1b[31m", "use letters"),
    ],
)
def test_another_name_is_refused_and_the_fault_named(name: str, fault: str) -> None:
    assert fault in name_fault(name)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"name": "a:b"}, "'a:b' cannot be the name"),
        ({"provider": ""}, "provider is empty"),
        ({"key": ""}, "key is empty"),
        ({"key": f"{SECRET}\n"}, "line breaks"),
        ({"key": f" {SECRET}"}, "outer spaces"),
        ({"key": f"{SECRET}\x00"}, "control characters"),
    ],
)
def test_an_account_that_could_not_be_used_is_refused_without_its_key(changes: dict[str, str], fault: str) -> None:
    account = msgspec.structs.replace(Account(name="work", key=SECRET), **changes)
    with pytest.raises(AccountError, match=fault) as caught:
        check(account)
    assert SECRET not in str(caught.value)


def test_a_usable_account_passes() -> None:
    check(Account(name="work", key="env:GEMINI_KEY"))


@pytest.mark.parametrize("form", [repr, str, "{}".format, "{!r}".format])
def test_no_text_form_shows_a_secret(form: Callable[[object], str]) -> None:
    account = Account(name="work", key=SECRET)
    credential = Credential(account=account, secret=SECRET)
    for value in (account, credential, [account], {"a": credential}):
        assert SECRET not in form(value)
        assert "work" in form(value)


CLIENT = OAuthClient(id="client", secret=SECRET)
PERSON = Account(name="me", kind="google_oauth", key=SECRET, client=CLIENT, project="project-one")
ROBOT = Account(name="robot", kind="service_account", key="file:key.json", project="project-one", location="global")


@pytest.mark.parametrize(
    "account",
    [
        PERSON,
        ROBOT,
        msgspec.structs.replace(PERSON, project=""),
        msgspec.structs.replace(PERSON, project="example.com:old-project"),
        msgspec.structs.replace(ROBOT, location="europe-west4"),
        Account(name="here", kind="adc"),
        Account(name="here", kind="adc", location="us"),
    ],
    ids=lambda account: f"{account.kind}-{account.project}-{account.location}",
)
def test_accounts_of_google_pass(account: Account) -> None:
    check(account)


@pytest.mark.parametrize(
    ("account", "changes", "fault"),
    [
        (PERSON, {"client": None}, "OAuth client is missing"),
        (PERSON, {"key": ""}, "key is empty"),
        (PERSON, {"provider": "groq"}, "an account of groq has a key"),
        (PERSON, {"location": "global", "project": ""}, "needs a project"),
        (ROBOT, {"location": "Europe/West"}, "no location"),
        (ROBOT, {"location": "a.evil.example/"}, "no location"),
        (ROBOT, {"project": "../other"}, "no id of a Google Cloud project"),
        (ROBOT, {"kind": "api_key"}, "takes no key"),
    ],
)
def test_what_cannot_be_a_place_of_google_is_refused(account: Account, changes: dict[str, Any], fault: str) -> None:
    with pytest.raises(AccountError, match=fault) as caught:
        check(msgspec.structs.replace(account, **changes))
    assert SECRET not in str(caught.value)


def test_one_credential_may_serve_several_places_and_one_key_only_one_account() -> None:
    assert ROBOT.identity != msgspec.structs.replace(ROBOT, location="us").identity
    assert ROBOT.identity == msgspec.structs.replace(ROBOT, name="other").identity
    one, other = (Account(name=name, key="k", project=name) for name in "ab")
    assert one.identity == other.identity


def test_a_clients_secret_is_not_shown() -> None:
    assert SECRET not in f"{CLIENT} {PERSON!r} {[CLIENT]}"
