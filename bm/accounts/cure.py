"""What a person can do about an account that is out of use: the command to type."""

from __future__ import annotations

import shlex

from bm.accounts.account import CONFIG_NAME, MAIN_NAME, Account
from bm.providers.catalog import GEMINI


def cure_of(account: Account, reason: str = "") -> str:
    """The command, or what to do first; for a key that its provider refuses as for a credential that cannot be had.

    A `reason` that names the account's project is about that: it is the wrong one, or something is missing there.
    """
    name = shlex.quote(account.name)
    again = f"bm accounts verify {name}"
    match account.kind:
        case "google_oauth" if account.project and account.project in reason:
            return f"put the project right, then: {again}; for another: bm accounts login {name} --project P"
        case "google_oauth":
            return f"bm accounts login {name}"
        case "service_account":
            return f"put it right, then: {again}"
        case "adc":
            return f"gcloud auth application-default login, then: {again}"
        case _ if account.name == CONFIG_NAME:
            return f"correct [providers.{account.provider}] api_key"
        case _ if account.name == MAIN_NAME and account.provider != GEMINI.name:
            return f"bm providers key {account.provider}"
        case _:
            whose = "" if account.provider == GEMINI.name else f" --provider {account.provider}"
            return f"{again}; for another key: bm accounts remove {name}{whose}, then bm accounts add {name}{whose}"
