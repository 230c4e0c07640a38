"""`bm keys`: with and without a daemon."""

from __future__ import annotations

import httpx
import pytest

from bm.cli import completion
from bm.config.paths import Paths
from bm.keys.file import load
from bm.simulator import Simulator
from tests.cli.conftest import Bm
from tests.simulator.streams import ask


def test_none_yet(bm: Bm) -> None:
    assert bm("keys").out == "no keys but bm's own (bm keys add NAME)\n"


def test_a_key_is_shown_once(bm: Bm, paths: Paths) -> None:
    ran = bm("keys", "add", "ci", "--models", "claude-haiku-*,fast", "--rpm", "20", "--budget", "5/day,50/month")
    key = ran.out.strip()
    assert (ran.code, key[:3], len(key)) == (0, "bm-", 46)
    assert "cannot show it again" in ran.err
    listed = bm("keys")
    row = listed.out.splitlines()[1]
    assert row.startswith(f"ci    {key[:4]}…{key[-4:]}")
    assert "claude-haiku-*, fast  all        20 requests/min, $0 of $5/day; $0 of $50/month  never" in row
    assert key not in listed.out + bm("keys", "list", "--json").out + paths.keys.read_text()


def test_options_may_be_repeated_and_taken_back(bm: Bm, paths: Paths) -> None:
    bm("keys", "add", "ci", "--providers", "groq", "--providers", "gemini", "--tpm", "5000", "--expires", "2030-01-31")
    key = load(paths.keys).find("ci")
    assert (key.providers, key.tpm) == (("groq", "gemini"), 5000)
    assert key.expires_at is not None and "expires" not in bm("keys").out.splitlines()[1]
    assert bm("keys", "change", "ci", "--providers", "", "--tpm", "0", "--expires", "").code == 0
    changed = load(paths.keys).find("ci")
    assert (changed.providers, changed.tpm, changed.expires_at) == ((), 0, None)
    assert changed.sha256 == key.sha256


def test_a_rotated_key_keeps_its_limits(bm: Bm, paths: Paths) -> None:
    first = bm("keys", "add", "ci", "--rpm", "7", "--json").json
    second = bm("keys", "rotate", "ci", "--json").json
    assert first["name"] == second["name"] == "ci" and first["key"] != second["key"]
    assert load(paths.keys).find("ci").rpm == 7


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("add", "main"), "bm's own key"),
        (("add", "a b"), "cannot be a name"),
        (("add", "x", "--providers", "grok"), 'did you mean "groq"'),
        (("add", "x", "--budget", "2M/day"), "say whether it is tokens"),
        (("add", "x", "--expires", "yesterday"), "write a date"),
        (("rotate", "x"), "no key is named"),
        (("change", "x", "--rpm", "1"), "no key is named"),
        (("revoke", "x", "--yes"), "no key is named"),
    ],
)
def test_wrong_usage(bm: Bm, paths: Paths, words: tuple[str, ...], message: str) -> None:
    ran = bm("keys", *words)
    assert ran.code == 2 and message in ran.err
    assert not paths.keys.exists()


def test_a_running_daemon_takes_changes_at_once(bm: Bm, simulator: Simulator, http: httpx.Client) -> None:
    key = bm("keys", "add", "ci").out.strip()
    http.headers["x-api-key"] = key
    assert ask(http, "anthropic").status_code == 200
    bm("keys", "change", "ci", "--models", "haiku")
    assert ask(http, "anthropic", "opus").status_code == 404
    bm("keys", "revoke", "ci", "--yes")
    assert ask(http, "anthropic").status_code == 401
    assert bm("undo", "--yes").code == 0
    assert ask(http, "anthropic", "haiku").status_code == 200


def test_names_are_completed(bm: Bm) -> None:
    bm("keys", "add", "laptop")
    assert completion.keys("l") == ["laptop"]
    assert completion.keys("x") == []


def test_a_damaged_file_is_named(bm: Bm, paths: Paths, simulator: Simulator) -> None:
    paths.keys.parent.mkdir(parents=True, exist_ok=True)
    paths.keys.write_text("[[keys]\n")
    ran = bm("keys")
    assert ran.code == 2 and str(paths.keys) in ran.err
