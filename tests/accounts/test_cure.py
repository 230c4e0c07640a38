"""What to type about an account that is out of use."""

from __future__ import annotations

import pytest

from bm.accounts.account import Account
from bm.accounts.cure import cure_of


@pytest.mark.parametrize(
    ("account", "cure"),
    [
        (
            Account(name="a", key="k"),
            "bm accounts verify a; for another key: bm accounts remove a, then bm accounts add a",
        ),
        (
            Account(name="my own", key="k", provider="groq"),
            "bm accounts verify 'my own'; for another key: bm accounts remove 'my own' --provider groq, "
            "then bm accounts add 'my own' --provider groq",
        ),
        (Account(name="main", key="k", provider="groq"), "bm providers key groq"),
        (Account(name="config", key="k", provider="groq"), "correct [providers.groq] api_key"),
        (Account(name="my own", kind="google_oauth"), "bm accounts login 'my own'"),
        (Account(name="r", kind="service_account"), "put it right, then: bm accounts verify r"),
        (Account(name="d", kind="adc"), "gcloud auth application-default login, then: bm accounts verify d"),
    ],
)
def test_each_kind_has_its_cure(account: Account, cure: str) -> None:
    assert cure_of(account) == cure


def test_a_reason_that_names_the_project_is_about_it() -> None:
    account = Account(name="me", kind="google_oauth", project="project-one")
    assert cure_of(account, "no permission to use project project-one") == (
        "put the project right, then: bm accounts verify me; for another: bm accounts login me --project P"
    )
    assert cure_of(account, "the sign-in is no longer valid") == "bm accounts login me"
