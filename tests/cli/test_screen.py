"""What `bm top` shows, and how it fits."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bm.cli.screen import Listing, accounts, drawn, figures, notices, providers, requests
from bm.cli.top import Watch
from bm.config.paths import Paths
from bm.daemon.runtime import Daemon

AT = 1_700_000_000.0


def account(name: str = "main", **fields: Any) -> dict[str, Any]:
    row = {"name": name, "provider": "gemini", "state": "usable", "reason": "", "cooldowns": [], "quotas": []}
    return row | {"requests_today": 3, "failures_today": 1, "last_used": AT - 5, "last_error": ""} | fields


def request(number: int = 1, **fields: Any) -> dict[str, Any]:
    row = {"id": f"req_{number}", "at": AT + number, "protocol": "anthropic", "operation": "generate", "model": "opus"}
    row |= {"provider": "gemini", "account": "main", "upstream_model": "gemini-3.1-pro", "status": 200, "attempts": 1}
    row |= {"finish": "stop", "failure": "", "first_content": 0.5, "took": 2.0, "cost": 0.25}
    return row | {"input": 900, "cache_read": 100, "cache_write": 0, "output": 50} | fields


def live(**fields: Any) -> dict[str, Any]:
    status = {
        "version": "1.2.3",
        "uptime": 70.0,
        "accounts": {"usable": 1, "cooling down": 0, "disabled": 0, "off": 0},
        "requests": {"active": 2, "total": 9, "failed": 1},
        "config": {"error": None, "warnings": []},
    }
    recent = {"seconds": 60.0, "requests": 6, "failures": 1, "input": 6000, "output": 600}
    told = {"at": AT, "status": status, "not_ready": None, "accounts": [account()], "providers": [], "under_way": []}
    return told | {"traffic": {"recent": recent}, "today": {"cost": 1.5, "requests": 9}} | fields


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    """A daemon that was looked at once."""
    here = Daemon(pid=1, created=0, host="127.0.0.1", port=8094, version="1.2.3", token="", started_at=0)
    watch = Watch(Paths.under(tmp_path), here)
    watch.live = live()
    return watch


def shown(watch: Watch, width: int, height: int) -> list[str]:
    """The lines of a screen of that size."""
    console = Console(file=io.StringIO(), width=width, height=height, highlight=False, force_terminal=False)
    with console.capture() as capture:
        console.print(drawn(watch, console))
    return capture.get().splitlines()


@pytest.mark.parametrize("size", [(200, 60), (120, 30), (80, 24), (40, 10), (20, 6)])
@pytest.mark.parametrize("many", [0, 1, 50])
def test_it_fits_into_every_size(watch: Watch, size: tuple[int, int], many: int) -> None:
    watch.live = live(accounts=[account(f"account-{number}") for number in range(many)])
    watch.ended = {f"req_{number}": request(number) for number in range(many)}
    lines = shown(watch, *size)
    assert max(map(len, lines)) <= size[0]
    assert many == 0 or size[1] < 10 or len(lines) <= size[1]
    assert lines[0].startswith(" bm at http") and lines[0].rstrip().endswith("q quits")


def test_accounts_in_trouble_come_first_where_there_is_no_room_for_all(watch: Watch) -> None:
    rows = [account(f"well-{number}") for number in range(30)]
    rows.append(
        account("tired", state="cooling down", cooldowns=[{"model": "", "seconds": 95.0, "reason": "slow down"}])
    )
    rows.append(account("lost", state="disabled", reason="the key is not valid"))
    watch.live = live(accounts=rows)
    text = "\n".join(shown(watch, 150, 24))
    assert text.index("lost") < text.index("tired") < text.index("well-0")
    assert "cooling down 1:35" in text and "the key is not valid" in text and " more" in text


def test_the_newest_requests_are_on_top(watch: Watch) -> None:
    watch.ended = {f"req_{number}": request(number, model=f"model-{number}") for number in range(5)}
    watch.live = live(under_way=[request(9, model="model-9", status=0, finish="", first_content=None)])
    text = "\n".join(shown(watch, 150, 40))
    places = [text.index(f"model-{number}") for number in (9, 4, 3, 2, 1, 0)]
    assert places == sorted(places)
    assert "waits" in text


def test_a_silent_daemon_is_told_of(watch: Watch) -> None:
    watch.problem = "bm does not answer any more (bm start)"
    assert watch.problem in "\n".join(shown(watch, 100, 30))


def test_what_an_upstream_says_moves_no_cursor(watch: Watch) -> None:
    watch.live = live(accounts=[account(last_error="\x1b[2Jgone\x07")])
    assert not {"\x1b", "\x07"} & set("".join(shown(watch, 150, 30)))


def test_figures() -> None:
    words = "2 under way  6 a minute  1 failed  10 tokens/s  $1.50 today  1/1 accounts usable"
    assert figures(live()) == words
    assert "today" not in figures(live(today=None))
    assert "$0.00 today" in figures(live(today={"cost": None, "requests": 0}))


def test_notices(watch: Watch) -> None:
    assert notices(watch) == []
    watch.live = live(not_ready="no account is usable: bm accounts add NAME")
    watch.live["status"]["config"]["error"] = "line 3"
    assert [each.rpartition(": ")[2] for each in notices(watch)] == ["line 3", "bm accounts add NAME"]


def test_an_account_shows_the_limit_that_is_nearest_to_its_end() -> None:
    quota = {"model": "flash", "unit": "requests", "resets": None}
    quotas = [
        quota | {"window": "minute", "used": 3, "limit": 15},
        quota | {"window": "day", "used": 200, "limit": 250},
        quota | {"window": "day", "used": 999, "limit": None},
    ]
    (row,) = accounts(live(accounts=[account(quotas=quotas)])).rows
    assert row == ("main", "gemini", "usable", "200/250 a day flash", "3", "1", "5 s ago", "")
    (row,) = accounts(live(accounts=[account(last_used=None, last_error="no")])).rows
    assert row[3:] == ("", "3", "1", "never", "no")


def test_providers() -> None:
    row = {"name": "groq", "enabled": True, "mode": "pooled", "health": "ok", "accounts": 1}
    told = providers(live(providers=[row | {"name": "gemini"}, row, row | {"enabled": False}]))
    assert [each[1] for each in told.rows] == ["first", "pooled", "disabled"]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "stop"),
        ({"finish": ""}, "complete"),
        ({"attempts": 3}, "stop, 3 tries"),
        ({"under_way": True}, "answers"),
        ({"under_way": True, "first_content": None, "attempts": 2}, "waits, 2 tries"),
        ({"finish": "client_left"}, "client left"),
        ({"status": 429, "failure": "rate_limited", "attempts": 2}, "429 rate_limited, 2 tries"),
    ],
)
def test_the_end_of_a_request(fields: dict[str, Any], words: str) -> None:
    assert requests([request(**fields)]).rows[0][-1] == words


def test_what_a_request_used() -> None:
    def told(**fields: Any) -> tuple[str, ...]:
        return requests([request(**fields)]).rows[0][3:8]

    assert told() == ("gemini/main gemini-3.1-pro", "0.50 s", "2.00 s", "1,000 > 50", "$0.25")
    assert told(cost=None)[-1] == "-"
    nothing = dict.fromkeys(("input", "cache_read", "output"), 0)
    assert told(provider="", first_content=None, **nothing) == ("-", "", "2.00 s", "", "")


def test_nothing_yet() -> None:
    assert isinstance(requests([]), Listing) and "bm env" in requests([]).empty
    assert "bm accounts add" in accounts(live(accounts=[])).empty
