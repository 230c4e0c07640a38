"""Settings from the configuration and the accounts."""

from __future__ import annotations

from pathlib import Path

import pytest

from bm.accounts.account import Account
from bm.accounts.credentials import update
from bm.config.paths import Paths, make_folders
from bm.errors import AccountError, ConfigError
from bm.gateway.settings import Settings, read_settings


@pytest.fixture
def paths(bm_home: Path) -> Paths:
    paths = Paths.under(bm_home)
    make_folders(paths)
    return paths


def settings(paths: Paths, text: str, **environ: str) -> Settings:
    paths.config.write_text(text)
    return read_settings(paths, environ)


def test_without_files_there_are_defaults_and_a_new_key(paths: Paths) -> None:
    found = read_settings(paths, {})
    assert found.local_key.startswith("bm-") and found.credentials == ()
    assert found.providers["gemini"].pool and not found.providers["anthropic"].configured
    assert read_settings(paths, {}).local_key == found.local_key


def test_accounts_of_both_files(paths: Paths) -> None:
    update(paths.accounts, lambda stored: stored.add(Account(name="mine", key="a-key-of-some-length")))
    found = settings(paths, '[providers.groq]\nenabled = true\napi_key = "env:GROQ"\n', GROQ="another-key")
    assert [(each.account.provider, each.account.name) for each in found.credentials] == [
        ("gemini", "mine"),
        ("groq", "config"),
    ]


def test_bms_own_key_is_never_sent_to_a_provider(paths: Paths) -> None:
    local = read_settings(paths, {}).local_key
    found = settings(
        paths, '[providers.openai]\nenabled = true\napi_key = "env:OPENAI_API_KEY"\n', OPENAI_API_KEY=local
    )
    (credential,) = found.credentials
    assert credential.secret == "" and "not one of this provider" in credential.problem


@pytest.mark.parametrize(
    ("text", "has_text_models"),
    [
        ("", False),
        ('[providers.groq]\nenabled = true\nmode = "fallback"\n', True),
        ('[providers.groq]\nenabled = true\nmode = "off"\n', False),
        ('[providers.groq]\nenabled = false\nmode = "fallback"\n', False),
        ('[providers.anthropic]\nenabled = true\nmode = "fallback"\n', False),
    ],
)
def test_requirements_matter_where_models_take_text_alone(paths: Paths, text: str, has_text_models: bool) -> None:
    assert settings(paths, text).has_text_models is has_text_models


@pytest.mark.parametrize(
    ("text", "stream", "seconds"),
    [
        ("[timeouts]\nfirst_byte = 5\nwhole = 60\n", True, 5),
        ("[timeouts]\nfirst_byte = 5\nwhole = 60\n", False, 60),
        ("[timeouts]\nfirst_byte = 90\nwhole = 60\n", False, 60),
        ("[timeouts]\nfirst_byte = 5\nwhole = 0\n", False, 0),
        ("[timeouts]\nwhole = 60\n[gemini.timeouts]\nfirst_byte = 7\nwhole = 6\n", False, 6),
    ],
)
def test_the_head_of_a_full_response_is_due_with_its_end(paths: Paths, text: str, stream: bool, seconds: float) -> None:
    assert settings(paths, text).timeouts_for("gemini", stream=stream).first_byte == seconds


@pytest.mark.parametrize(
    ("text", "seconds"), [("", 150), ("[timeouts]\nwhole = 60\n", 15), ("[timeouts]\nhedge = 0\n", 0)]
)
def test_a_full_response_is_hedged_after_a_quarter_of_its_time(paths: Paths, text: str, seconds: float) -> None:
    assert settings(paths, text).hedge_for("gemini", stream=False) == seconds


def test_limits_and_rules_come_from_the_configuration(paths: Paths) -> None:
    text = '[pool]\nmax_wait = 3\nmax_attempts = 4\nstrict = true\n[server]\necho_model = "asked"\n'
    found = settings(paths, text)
    assert (found.limits.max_wait, found.limits.max_attempts) == (3, 4)
    assert found.rules.strict and found.rules.echo_asked


def test_unusable_files_are_an_error(paths: Paths) -> None:
    with pytest.raises(ConfigError):
        settings(paths, "[server]\nport = 'x'\n")
    paths.config.unlink()
    paths.accounts.write_text("[")
    with pytest.raises(AccountError):
        read_settings(paths, {})
