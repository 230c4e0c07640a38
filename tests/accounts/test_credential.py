"""All accounts: the stored ones, those of the configuration, and what is wrong with each."""

from __future__ import annotations

from pathlib import Path

import msgspec

from bm.accounts.account import Account, OAuthClient
from bm.accounts.credential import Credential, all_accounts
from bm.accounts.store import Credentials
from bm.config.schema import Config, ProviderConfig

SECRET = "planted-secret-value"


def account(name: str, key: str, provider: str = "gemini", *, enabled: bool = True) -> Account:
    return Account(name=name, key=key, provider=provider, enabled=enabled)


def found(
    *accounts: Account, environ: dict[str, str] | None = None, **providers: ProviderConfig
) -> tuple[Credential, ...]:
    return all_accounts(Credentials(accounts=accounts), Config(providers=providers), environ or {})


def secrets(credentials: tuple[Credential, ...]) -> dict[tuple[str, str], str]:
    return {each.id: each.secret for each in credentials}


def test_stored_accounts_come_first_then_the_keys_of_the_configuration() -> None:
    merged = found(
        account("a", "k1"),
        account("b", "env:B", "groq"),
        environ={"B": "k2", "G": "k3"},
        groq=ProviderConfig(enabled=True, api_key="env:G"),
        anthropic=ProviderConfig(enabled=True),
    )
    assert secrets(merged) == {("gemini", "a"): "k1", ("groq", "b"): "k2", ("groq", "config"): "k3"}
    assert not any(each.problem for each in merged)


def test_a_key_that_cannot_be_found_makes_an_account_with_a_problem(tmp_path: Path) -> None:
    merged = found(
        account("a", "env:GONE"),
        account("b", f"file:{tmp_path / 'none'}"),
        groq=ProviderConfig(enabled=True, api_key="env:GONE_TOO"),
    )
    assert [(each.account.name, each.secret) for each in merged] == [("a", ""), ("b", ""), ("config", "")]
    assert "env:GONE: the environment variable is not set" in merged[0].problem
    assert "cannot be read" in merged[1].problem
    assert "GONE_TOO" in merged[2].problem


def test_the_configurations_key_that_is_stored_already_is_one_account() -> None:
    merged = found(
        account("a", SECRET, "groq"), environ={"G": SECRET}, groq=ProviderConfig(enabled=True, api_key="env:G")
    )
    assert list(secrets(merged)) == [("groq", "a")]


def test_a_disabled_account_is_not_brought_back_by_the_configuration() -> None:
    groq = ProviderConfig(enabled=True, api_key="env:G")
    for key in ("env:G", SECRET):
        merged = found(account("a", key, "groq", enabled=False), environ={"G": SECRET}, groq=groq)
        assert [(each.id, each.account.enabled) for each in merged] == [(("groq", "a"), False)]


def test_a_provider_without_keys_has_one_account_once_it_is_configured() -> None:
    assert found() == ()
    (local,) = found(ollama=ProviderConfig(enabled=True))
    assert (local.id, local.secret, local.problem, local.account.enabled) == (("ollama", "local"), "", "", True)
    (keyed,) = found(ollama=ProviderConfig(enabled=True, api_key="k"))
    assert keyed.id == ("ollama", "config")


def test_the_second_account_with_a_key_says_so() -> None:
    first, second, other = found(
        account("a", SECRET), account("b", "env:B"), account("c", SECRET, "groq"), environ={"B": SECRET}
    )
    assert (first.problem, other.problem) == ("", "")
    assert second.problem == "it has the same key as the account a"


def test_two_keys_that_cannot_be_found_are_not_the_same_key() -> None:
    merged = found(account("a", "env:A"), account("b", "env:B"))
    assert all("not set" in each.problem for each in merged)


def test_the_reference_of_a_disabled_account_is_not_followed(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    (stored, configured) = found(
        account("a", f"cmd:touch {trace}", enabled=False), groq=ProviderConfig(api_key=f"cmd:touch {trace}")
    )
    assert (stored.secret, stored.problem, configured.account.enabled) == ("", "", False)
    assert not trace.exists()


def test_no_text_form_and_no_problem_shows_a_secret() -> None:
    merged = found(account("a", SECRET), account("b", "env:B"), environ={"B": f"{SECRET}\nx"})
    assert "control characters" in merged[1].problem
    assert SECRET not in f"{merged} {merged[0]} {merged[1].problem}"


def test_accounts_of_google_keep_their_secrets_where_they_are(tmp_path: Path) -> None:
    document = {"type": "service_account", "client_email": "robot@p", "private_key": "planted-private-key"}
    (tmp_path / "key.json").write_bytes(msgspec.json.encode(document))
    robot = Account(name="r", kind="service_account", key=f"file:{tmp_path / 'key.json'}", project="p")
    client = OAuthClient(id="client-id", secret="planted-client-secret")
    person = Account(name="p", kind="google_oauth", key="planted-refresh-token", client=client)
    here = Account(name="h", kind="adc")
    found = all_accounts(Credentials(accounts=(robot, person, here)), Config(), {})
    assert [(each.problem, each.shown) for each in found] == [("", "robot@p"), ("", "client-id"), ("", "")]
    assert "planted" not in repr(found)
    (tmp_path / "key.json").unlink()
    gone = all_accounts(Credentials(accounts=(robot,)), Config(), {})[0]
    assert "key.json: cannot be read" in gone.problem


def test_one_credential_in_two_places_is_two_accounts() -> None:
    def at(location: str, name: str) -> Account:
        return Account(name=name, kind="adc", project="p", location=location)

    stored = Credentials(accounts=(at("us", "a"), at("eu", "b"), at("us", "c")))
    found = all_accounts(stored, Config(), {})
    assert [bool(each.problem) for each in found] == [False, False, True]
