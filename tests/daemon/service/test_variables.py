"""The variables that a service would miss."""

from __future__ import annotations

import pytest

from bm.accounts.account import Account, OAuthClient
from bm.accounts.store import ensure_local_key, update
from bm.config.paths import Paths, make_folders
from bm.daemon.service.variables import needed
from bm.errors import ConfigError


def keep(paths: Paths, account: Account) -> None:
    update(paths.accounts, lambda stored: stored.add(account))


def test_settings_and_keys_that_are_in_variables(paths: Paths) -> None:
    paths.config.write_text('[providers.groq]\nenabled = true\nmode = "pooled"\napi_key = "env:MY_GROQ"\n')
    keep(paths, Account(name="one", key="env:MY_GEMINI"))
    keep(paths, Account(name="two", key="a-key-of-some-kind"))
    environ = {"BM_POOL_MAX_WAIT": "3", "GEMINI_ENABLED": "true", "OTHER": "1"}
    assert needed(paths, environ) == ["BM_POOL_MAX_WAIT", "GEMINI_ENABLED", "MY_GEMINI", "MY_GROQ"]


def test_keys_that_nobody_uses_are_not_needed(paths: Paths) -> None:
    paths.config.write_text('[providers.groq]\napi_key = "env:MY_GROQ"\n')
    keep(paths, Account(name="one", key="env:MY_GEMINI", enabled=False))
    assert needed(paths, {"TOGETHER_API_KEY": "planted-key"}) == []


def test_a_key_in_a_classic_variable_is_needed_once_its_provider_is_used(paths: Paths) -> None:
    make_folders(paths)
    assert needed(paths, {"GROQ_API_KEY": "planted-key"}) == []
    paths.config.write_text('[providers.groq]\nenabled = true\nmode = "pooled"\n')
    assert needed(paths, {"GROQ_API_KEY": "planted-key"}) == ["GROQ_API_KEY"]


def test_bms_own_key_is_for_tools(paths: Paths) -> None:
    paths.config.write_text('[providers.groq]\nenabled = true\nmode = "pooled"\n')
    assert needed(paths, {"GROQ_API_KEY": ensure_local_key(paths.accounts)}) == []


def test_the_way_to_the_network(paths: Paths) -> None:
    environ = {"HTTPS_PROXY": "http://proxy", "no_proxy": "example.com", "FTP_PROXY": "http://other"}
    assert needed(paths, environ) == ["HTTPS_PROXY", "no_proxy"]
    assert needed(paths, {"no_proxy": "example.com"}) == []


def test_googles_own_credentials_and_the_secret_of_a_client(paths: Paths) -> None:
    environ = {"GOOGLE_APPLICATION_CREDENTIALS": "/a/file"}
    assert needed(paths, environ) == []
    keep(paths, Account(name="here", kind="adc", project="mine", location="global"))
    client = OAuthClient(id="mine", secret="env:MY_CLIENT")
    keep(paths, Account(name="me", kind="google_oauth", key="refresh-token", client=client))
    assert needed(paths, environ) == ["GOOGLE_APPLICATION_CREDENTIALS", "MY_CLIENT"]


def test_settings_that_cannot_be_used(paths: Paths) -> None:
    paths.config.write_text("[[[")
    with pytest.raises(ConfigError):
        needed(paths, {})
