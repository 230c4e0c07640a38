"""Valid names and keys of accounts, and the remedy for a disabled one. Keys are never shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from bm.accounts.account import Access, Account, OAuthClient, check, name_error, remedy_for
from bm.accounts.credentials import Credential
from bm.errors import AccountError

SECRET = "planted-secret-value"


@pytest.mark.parametrize("name", ["a", "work", "work-2", "me@example.com", "Team A", "x.y_z+1", "0", "a" * 64])
def test_a_name_that_can_be_typed_and_sent_in_a_header_is_good(name: str) -> None:
    assert name_error(name) == ""


@pytest.mark.parametrize(
    ("name", "error"),
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
def test_another_name_is_refused_and_the_fault_named(name: str, error: str) -> None:
    assert error in name_error(name)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"name": "a:b"}, "'a:b' cannot be the name"),
        ({"provider": ""}, "provider is empty"),
        ({"key": ""}, "key is empty"),
        ({"key": f"{SECRET}\n"}, "line breaks"),
        ({"key": f" {SECRET}"}, "outer spaces"),
        ({"key": f"{SECRET}\x00"}, "control characters"),
    ],
)
def test_an_account_that_could_not_be_used_is_refused_without_its_key(changes: dict[str, str], error: str) -> None:
    account = msgspec.structs.replace(Account(name="work", key=SECRET), **changes)
    with pytest.raises(AccountError, match=error) as caught:
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
    ("account", "changes", "error"),
    [
        (PERSON, {"client": None}, "OAuth client is missing"),
        (PERSON, {"key": ""}, "key is empty"),
        (PERSON, {"provider": "groq"}, "an account of groq has a key"),
        (PERSON, {"location": "global", "project": ""}, "needs a project"),
        (ROBOT, {"location": "Europe/West"}, "not a location"),
        (ROBOT, {"location": "a.evil.example/"}, "not a location"),
        (ROBOT, {"project": "../other"}, "not the id of a Google Cloud project"),
        (ROBOT, {"kind": "api_key"}, "takes no key"),
    ],
)
def test_invalid_google_members_are_refused(account: Account, changes: dict[str, Any], error: str) -> None:
    with pytest.raises(AccountError, match=error) as caught:
        check(msgspec.structs.replace(account, **changes))
    assert SECRET not in str(caught.value)


def test_one_credential_may_serve_several_places_and_one_key_only_one_account() -> None:
    assert ROBOT.identity != msgspec.structs.replace(ROBOT, location="us").identity
    assert ROBOT.identity == msgspec.structs.replace(ROBOT, name="other").identity
    one, other = (Account(name=name, key="k", project=name) for name in "ab")
    assert one.identity == other.identity


def test_a_clients_secret_is_not_shown() -> None:
    assert SECRET not in f"{CLIENT} {PERSON!r} {[CLIENT]}"


@pytest.mark.parametrize(
    ("account", "remedy"),
    [
        (
            Account(name="a", key="k"),
            "bm accounts verify a; for another key: bm accounts key a",
        ),
        (
            Account(name="my own", key="k", provider="groq"),
            "bm accounts verify 'my own'; for another key: bm accounts key 'my own' --provider groq",
        ),
        (Account(name="main", key="k", provider="groq"), "bm providers key groq"),
        (Account(name="config", key="k", provider="groq"), "correct [providers.groq] api_key"),
        (Account(name="my own", kind="google_oauth"), "bm accounts login 'my own'"),
        (Account(name="r", kind="service_account"), "put it right, then: bm accounts verify r"),
        (Account(name="d", kind="adc"), "gcloud auth application-default login, then: bm accounts verify d"),
    ],
)
def test_each_kind_has_its_remedy(account: Account, remedy: str) -> None:
    assert remedy_for(account) == remedy


def test_a_reason_that_names_the_project_is_about_it() -> None:
    account = Account(name="me", kind="google_oauth", project="project-one")
    assert remedy_for(account, "no permission to use project project-one") == (
        "put the project right, then: bm accounts verify me; for another: bm accounts login me --project P"
    )
    assert remedy_for(account, "the sign-in is no longer valid") == "bm accounts login me"


def test_the_key_is_in_no_text_form() -> None:
    access = Access(key="planted-secret-value", bearer=True, project="p")
    assert "planted" not in f"{access} {access!r} {[access]}"
    assert "project='p'" in repr(access)
