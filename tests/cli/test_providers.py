"""`bm providers`."""

from __future__ import annotations

import pytest

from bm.accounts.credentials import load
from bm.config.paths import Paths
from bm.simulator import Simulator
from tests.cli.conftest import PLANTED, Bm

GROQ_KEY = "note: groq has no key: bm providers key groq (get one: https://console.groq.com/keys)\n"


def test_the_list_shows_all_providers_by_their_state(bm: Bm, monkeypatch: pytest.MonkeyPatch) -> None:
    bm("providers", "mode", "groq", "fallback")
    bm("providers", "key", "xai", "--no-verify", stdin=PLANTED)
    bm("start")
    monkeypatch.setenv("OPENAI_API_KEY", PLANTED)
    monkeypatch.setenv("MISTRAL_API_KEY", "bm-own-key")
    ran = bm("providers")
    assert ran == bm("providers", "list")
    assert ran.out.startswith(
        "PROVIDER  STATE      MODE      KEY                    HEALTH\n"
        "gemini    needs key  pooled    no key                 unknown\n"
        "groq      needs key  fallback  no key                 unknown\n"
        "xai       ready      off       1 account              unknown\n"
        "openai    ready      -         OPENAI_API_KEY is set  -\n"
        "\nTo use another one: bm providers use NAME\n"
        "PROVIDER       TAKES ITS KEY FROM     GET ONE AT\n"
        "anthropic      ANTHROPIC_API_KEY      platform.claude.com/settings/keys\n"
    )
    assert "\nmistral        MISTRAL_API_KEY " in ran.out
    assert PLANTED not in ran.out


def test_the_list_for_programs(bm: Bm) -> None:
    answer = bm("providers", "--json").json
    (row,) = answer["providers"]
    assert set(row) == {
        *("name", "state", "enabled", "mode", "protocol", "base_url", "protocols", "accounts", "key_present", "health"),
        *("last_error", "models"),
    }
    assert {"name": "groq", "state": "needs key", "key": "GROQ_API_KEY", "link": "console.groq.com/keys"} in answer[
        "available"
    ]
    assert bm("providers", "list", "--json").json == answer


def test_a_mode_is_written_and_gaps_are_reported(bm: Bm, paths: Paths) -> None:
    paths.config.write_text("# mine\n[providers.groq]\n")
    ran = bm("providers", "mode", "groq", "fallback")
    assert (ran.code, ran.out, ran.err) == (0, "groq: mode fallback, enabled\n", GROQ_KEY)
    assert paths.config.read_text() == '# mine\n[providers.groq]\nmode = "fallback"\nenabled = true\n'


def test_switching_off_reports_no_gaps(bm: Bm) -> None:
    assert bm("providers", "mode", "groq", "off") == (0, "groq: mode off\n", "")


def test_enable_and_disable(bm: Bm) -> None:
    ran = bm("providers", "enable", "groq")
    assert ran.out == "groq: enabled\n"
    assert ran.err == "note: its mode is off: bm providers mode groq pooled (or exclusive, fallback)\n" + GROQ_KEY
    assert bm("providers", "disable", "groq") == (0, "groq: disabled\n", "")
    assert bm("providers", "disable", "gemini") == (0, "gemini: disabled\n", "")
    assert bm("providers", "--json").json["providers"][0]["enabled"] is False


def test_a_provider_with_a_key_is_listed_and_shown_with_it_before_it_has_a_mode(bm: Bm) -> None:
    bm("providers", "key", "groq", "--no-verify", stdin=PLANTED)
    (_, row) = bm("providers", "--json").json["providers"]
    assert row.items() <= bm("providers", "show", "groq", "--json").json.items()
    assert (row["name"], row["mode"], row["accounts"], row["key_present"]) == ("groq", "off", 1, True)
    assert "groq" not in bm("providers").out.partition("To use another one")[2]


def test_an_unknown_name_is_corrected(bm: Bm) -> None:
    ran = bm("providers", "mode", "grok", "pooled")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "error: no provider is named 'grok' (did you mean \"groq\"?)\n"


def test_the_pool_has_no_mode_and_no_single_key(bm: Bm) -> None:
    assert bm("providers", "mode", "gemini", "pooled").code == 2
    assert "bm accounts add" in bm("providers", "key", "gemini", stdin=PLANTED).err
    assert bm("providers", "remove", "gemini").code == 2


def test_a_key_is_tested_saved_and_never_shown(bm: Bm, paths: Paths, simulator: Simulator) -> None:
    ran = bm("providers", "key", "anthropic", stdin=PLANTED)
    assert (ran.code, ran.out) == (0, "anthropic: key saved\n")
    assert "accepted" in ran.err
    assert PLANTED not in ran.err
    assert {record.account for record in simulator.log()} == {PLANTED[-6:]}
    (account,) = load(paths.accounts).accounts
    assert (account.provider, account.name, account.key) == ("anthropic", "main", PLANTED)
    assert PLANTED not in paths.config.read_text()


def test_a_second_key_replaces_the_first(bm: Bm, paths: Paths) -> None:
    for key in ("first-key", "second-key"):
        assert bm("providers", "key", "groq", "--no-verify", stdin=key).code == 0
    assert [account.key for account in load(paths.accounts).accounts] == ["second-key"]


def test_a_refused_key_is_not_saved(bm: Bm, paths: Paths, simulator: Simulator) -> None:
    simulator.script(keys=("another-key",))
    ran = bm("providers", "key", "anthropic", stdin=PLANTED)
    assert (ran.code, ran.out) == (2, "")
    assert "not saved; --no-verify saves it anyway" in ran.err
    assert load(paths.accounts).accounts == ()


def test_a_provider_is_added_and_removed(bm: Bm, paths: Paths) -> None:
    ran = bm("providers", "add", "acme", "--protocol", "openai-chat", "--base-url", "https://llm.example/v1")
    assert (ran.code, ran.out) == (0, "acme: added\n")
    shown = bm("providers", "show", "acme", "--json").json
    assert (shown["base_url"], shown["protocol"], shown["mode"]) == ("https://llm.example/v1", "openai-chat", "off")
    again = bm("providers", "add", "acme", "--protocol", "openai-chat", "--base-url", "https://llm.example/v1")
    assert (again.code, again.err) == (2, "error: provider acme exists already (bm providers show acme)\n")
    bm("providers", "key", "acme", "--no-verify", stdin=PLANTED)
    assert bm("providers", "remove", "acme", "--yes") == (0, "acme: removed\n", "")
    assert paths.config.read_text() == ""
    assert load(paths.accounts).accounts == ()


@pytest.mark.parametrize("url", ["ftp://llm.example", "llm.example"])
def test_a_provider_without_a_usable_address_is_refused(bm: Bm, paths: Paths, url: str) -> None:
    ran = bm("providers", "add", "acme", "--protocol", "openai-chat", "--base-url", url)
    assert (ran.code, ran.err) == (2, "error: providers.acme.base_url: is not an http or https URL\n")
    assert not paths.config.exists()


def test_show_works_for_unconfigured_providers(bm: Bm) -> None:
    ran = bm("providers", "show", "together")
    assert ran.code == 0
    assert ran.out.startswith(
        "provider   together\nstate      needs key\nenabled    no\nmode       off\nprotocol   openai-chat\n"
    )
    assert (
        bm("providers", "show", "together", "--json").json.keys()
        == bm("providers", "show", "gemini", "--json").json.keys()
    )
