"""The server of the tests of shared state is a real one, empty for each test."""

from __future__ import annotations

from pathlib import Path

from tests.support.valkey import Valkey, valkey_server


def test_a_server_answers_and_forgets(valkey: Valkey) -> None:
    assert valkey.command("SET", "a", "1") == b"+OK\r\n"
    assert valkey.command("FLUSHALL") == b"+OK\r\n"
    assert valkey.command("GET", "a") == b"$-1\r\n"


def test_a_server_may_ask_for_a_password_and_start_again(tmp_path: Path) -> None:
    with valkey_server(tmp_path, "--requirepass", "secret") as server:
        assert server.command("SET", "a", "1") == b"+OK\r\n"
        server.restart()
        assert server.command("GET", "a") == b"$-1\r\n"
        assert server.url == f"valkey://:secret@127.0.0.1:{server.port}/0"
