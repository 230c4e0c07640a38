"""Known providers that are not set up, and whether they are ready."""

from __future__ import annotations

import socket

import msgspec
import pytest

from bm.accounts.available import answers, available, key_in
from bm.config.schema import Config
from bm.providers.provider import Provider, effective

PROVIDERS = {each.name: each for each in effective(Config())}


@pytest.mark.parametrize(
    ("environ", "state", "key"),
    [
        ({}, "needs key", "GROQ_API_KEY"),
        ({"GROQ_API_KEY": "gsk-one"}, "ready", "GROQ_API_KEY is set"),
        ({"GROQ_API_KEY": "bm-own"}, "needs key", "GROQ_API_KEY"),
    ],
)
def test_the_key_of_a_provider(environ: dict[str, str], state: str, key: str) -> None:
    (found,) = available([PROVIDERS["groq"]], environ)
    assert (found.state, found.key, found.link) == (state, key, "console.groq.com/keys")
    assert bool(key_in(environ, PROVIDERS["groq"])) is (state == "ready")


def test_those_that_are_ready_come_first() -> None:
    found = available([PROVIDERS["anthropic"], PROVIDERS["groq"]], {"GROQ_API_KEY": "gsk-one"})
    assert [each.name for each in found] == ["groq", "anthropic"]


@pytest.mark.parametrize("runs", [True, False])
def test_a_server_on_this_machine(runs: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        if not runs:
            listener.close()
        local: Provider = msgspec.structs.replace(PROVIDERS["ollama"], base_url=f"http://127.0.0.1:{port}/v1")
        assert answers(local) is runs
        assert available([local], {})[0].state == ("ready" if runs else "not running")
