"""Codes and sessions of the dashboard."""

from __future__ import annotations

import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bm.config.paths import Paths
from bm.errors import RequestError
from bm.server.sessions import CODE_LASTS, LASTS, MOST, Session, Sessions, sessions_path


class Clock:
    """A time of the test's own."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make(tmp_path: Path, clock: Clock) -> Callable[..., Sessions]:
    """The sessions of one run of a daemon with that key."""
    return lambda key="local-key": Sessions(tmp_path / "sessions.json", lambda: key, clock)


Make = Callable[..., Sessions]


def test_a_code_opens_a_session_that_lasts(make: Make, clock: Clock) -> None:
    sessions = make()
    session = sessions.redeem(sessions.new_code())
    assert sessions.admits(session)
    clock.now += LASTS - 1
    assert sessions.admits(session)
    clock.now += 1
    assert not sessions.admits(session)


def test_both_halves_are_needed(make: Make) -> None:
    sessions = make()
    one, other = sessions.open(), sessions.open()
    assert one.browser != one.page
    for wrong in (
        Session(one.browser, ""),
        Session("", one.page),
        Session("", ""),
        Session(one.page, one.browser),
        Session(one.browser, other.page),
        Session(f"{one.browser} {one.page}", ""),
    ):
        assert not sessions.admits(wrong)


def test_a_code_ends(make: Make, clock: Clock) -> None:
    sessions = make()
    code = sessions.new_code()
    clock.now += CODE_LASTS
    with pytest.raises(RequestError, match="too old"):
        sessions.redeem(code)


def test_a_code_that_comes_twice_ends_the_session_it_opened(make: Make) -> None:
    sessions = make()
    code = sessions.new_code()
    first, untouched = sessions.redeem(code), sessions.open()
    with pytest.raises(RequestError, match="used before"):
        sessions.redeem(code)
    assert not sessions.admits(first)
    assert sessions.admits(untouched)


@pytest.mark.parametrize("code", ["", "made-up", "ü\udcff"[:1]])
def test_a_made_up_code_opens_nothing(make: Make, code: str) -> None:
    sessions = make()
    sessions.new_code()
    with pytest.raises(RequestError):
        sessions.redeem(code)


def test_an_ended_session_counts_no_more(make: Make) -> None:
    sessions = make()
    session = sessions.open()
    sessions.end(session)
    sessions.end(Session("never", "was"))
    assert not sessions.admits(session)


def test_the_next_run_knows_the_sessions_but_its_file_does_not(make: Make, tmp_path: Path) -> None:
    sessions = make()
    session, code = sessions.open(), sessions.new_code()
    sessions.write()
    file = tmp_path / "sessions.json"
    written = file.read_text()
    assert not any(secret in written for secret in (*session, code, "local-key"))
    if sys.platform != "win32":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert make().admits(session)
    with pytest.raises(RequestError):
        make().redeem(code)


def test_a_new_key_ends_all(make: Make) -> None:
    sessions = make()
    session = sessions.open()
    sessions.write()
    assert not make("another-key").admits(session)


@pytest.mark.parametrize("content", [b"", b"[]", b'{"a": "b"}', b"\xff"])
def test_a_damaged_file_is_as_none(make: Make, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "sessions.json").write_bytes(content)
    sessions = make()
    assert sessions.admits(sessions.open())


def test_the_oldest_go_first(make: Make) -> None:
    sessions = make()
    opened = [sessions.open() for _ in range(MOST + 1)]
    assert [sessions.admits(each) for each in opened] == [False, *[True] * MOST]
    codes = [sessions.new_code() for _ in range(MOST + 1)]
    with pytest.raises(RequestError):
        sessions.redeem(codes[0])
    assert sessions.admits(sessions.redeem(codes[1]))


def test_the_file_is_beside_the_ledger(tmp_path: Path) -> None:
    assert sessions_path(Paths.under(tmp_path)) == tmp_path / "sessions.json"
