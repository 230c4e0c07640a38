"""What an account may be called, what its key may be, and that the key is never shown."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from bm.accounts.account import Account, check, name_fault
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
