"""Every failure has a status for the client, and every error's text says where and what to do."""

from __future__ import annotations

from typing import get_args

import pytest

from bm.errors import STATUS, BmError, ConfigError, DecodeError, Failure, FailureKind, RequestError


@pytest.mark.parametrize("kind", get_args(FailureKind))
def test_every_kind_of_failure_is_an_error_status(kind: FailureKind) -> None:
    assert 400 <= Failure(kind=kind, message="").http_status <= 599


def test_the_table_of_statuses_names_every_kind_and_no_other() -> None:
    assert set(STATUS) == set(get_args(FailureKind))


def test_a_failure_may_carry_its_own_status() -> None:
    assert Failure(kind="bad_request", message="", status=422).http_status == 422


@pytest.mark.parametrize("kind", ["upstream_auth", "billing", "permission"])
def test_a_client_never_takes_a_fault_of_bms_own_key_for_one_of_its_key(kind: FailureKind) -> None:
    assert Failure(kind=kind, message="").http_status == 400


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ConfigError("unknown key"), "unknown key"),
        (ConfigError("unknown key", key="server.prt"), "server.prt: unknown key"),
        (ConfigError("unknown key", path="c.toml", key="server.prt"), "c.toml: server.prt: unknown key"),
        (
            ConfigError("unknown key", path="c.toml", line=3, key="server.prt", hint="did you mean port?"),
            "c.toml:3: server.prt: unknown key (did you mean port?)",
        ),
        (DecodeError("not a list"), "not a list"),
        (DecodeError("not a list", path="messages[3].content"), "messages[3].content: not a list"),
        (RequestError(Failure(kind="not_found", message="no model x")), "no model x"),
    ],
)
def test_the_text_of_an_error_names_the_place_and_the_remedy(error: BmError, text: str) -> None:
    assert str(error) == text


def test_the_facts_of_a_configuration_error_can_be_read() -> None:
    error = ConfigError("unknown key", path="c.toml", line=3, key="server.prt", hint="did you mean port?")
    assert (error.path, error.line, error.key) == ("c.toml", 3, "server.prt")
    assert (error.message, error.hint) == ("unknown key", "did you mean port?")


def test_an_error_of_the_configuration_is_the_same_in_a_file() -> None:
    error = ConfigError("is away", key="shared.url", hint="start it")
    error.passes = True
    placed = error.placed("config.toml")
    assert str(placed) == "config.toml: shared.url: is away (start it)"
    assert placed.passes
