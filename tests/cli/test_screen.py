"""The screen of `bm top`, at any size."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, Literal

import pytest
from rich.console import Console

from bm.cli.browse import Browse
from bm.cli.screen import View, figures, notices, rendered
from tests.cli.live import account, live, node, request


def view(live_: dict[str, Any], requests: Sequence[dict[str, Any]] = (), problem: str = "") -> View:
    return View("http://127.0.0.1:8094", live_, requests, problem)


def shown(view: View, width: int, height: int) -> list[str]:
    """The lines of a screen of that size."""
    console = Console(file=io.StringIO(), width=width, height=height, highlight=False, force_terminal=False)
    with console.capture() as capture:
        console.print(rendered(view, console))
    return capture.get().splitlines()


@pytest.mark.parametrize("size", [(200, 60), (120, 30), (80, 24), (40, 10), (20, 6)])
@pytest.mark.parametrize("many", [0, 1, 50])
def test_it_fits_every_size(size: tuple[int, int], many: int) -> None:
    accounts = [account(f"account-{number}") for number in range(many)]
    lines = shown(view(live(accounts=accounts), [request(number) for number in range(many)]), *size)
    assert max(map(len, lines)) <= size[0]
    assert many == 0 or size[1] < 10 or len(lines) <= size[1]
    assert lines[0].startswith(" bm at http") and lines[0].rstrip().endswith("q quits")


def test_accounts_that_need_attention_come_first_when_space_is_short() -> None:
    rows = [account(f"well-{number}") for number in range(30)]
    rows.append(
        account("tired", state="cooling down", cooldowns=[{"model": "", "seconds": 95.0, "reason": "slow down"}])
    )
    rows.append(account("lost", state="disabled", reason="the key is not valid"))
    text = "\n".join(shown(view(live(accounts=rows)), 150, 24))
    assert text.index("lost") < text.index("tired") < text.index("well-0")
    assert "cooling down 1:35" in text and "the key is not valid" in text and " more" in text


def test_an_unresponsive_daemon_is_reported() -> None:
    problem = "bm has stopped responding (bm start)"
    assert problem in "\n".join(shown(view(live(), problem=problem), 100, 30))


def test_upstream_messages_cannot_move_the_cursor() -> None:
    hostile = live(accounts=[account(last_error="\x1b[2Jgone\x07")])
    assert not {"\x1b", "\x07"} & set("".join(shown(view(hostile), 150, 30)))


def test_figures() -> None:
    words = "2 running  6 a minute  1 failed  10 tokens/s  $1.50 today  1/1 accounts usable"
    assert figures(live()) == words
    assert "today" not in figures(live(today=None))
    assert "$0.00 today" in figures(live(today={"cost": None, "requests": 0}))


def test_the_other_nodes_of_a_team_are_on_a_line() -> None:
    team = live()
    team["status"]["shared"] = {"nodes": [node("a"), node("b", here=False, seen=14.2)]}
    assert " nodes  a 2 running   b gone 14 s" in [line.rstrip() for line in shown(view(team), 100, 30)]
    team["status"]["shared"] = {"nodes": [node("a")]}
    assert not [line for line in shown(view(team), 100, 30) if "nodes" in line]


def test_notices() -> None:
    assert notices(view(live())) == []
    trouble = live(not_ready="no account is usable: bm accounts add NAME")
    trouble["status"]["config"]["error"] = "line 3"
    assert [each.rpartition(": ")[2] for each in notices(view(trouble))] == ["line 3", "bm accounts add NAME"]


@pytest.mark.parametrize("size", [(200, 60), (80, 24), (40, 10)])
@pytest.mark.parametrize("panel", ["requests", "why", "modes"])
def test_every_panel_fits(size: tuple[int, int], panel: Literal["requests", "why", "modes"]) -> None:
    browse = Browse()
    browse.explain([f"line {number} of a text that is longer than a narrow screen" for number in range(50)])
    browse.panel, browse.request = panel, "req_30"
    providers = [
        {"name": f"p{number}", "mode": "off", "state": "ready", "health": "ok", "accounts": 1} for number in range(40)
    ]
    seen = view(live(providers=providers), [request(number) for number in range(50)])._replace(browse=browse)
    lines = shown(seen, *size)
    assert max(map(len, lines)) <= size[0]
    assert len(lines) <= size[1]
    if panel == "requests" and size[1] > 20:
        assert "q: quit" in lines[-1] or "enter: why" in lines[-1]


def test_the_chosen_request_is_on_the_screen_wherever_it_is_in_the_list() -> None:
    browse = Browse()
    rows = [request(number, model=f"model-{number}") for number in range(50)]
    for number in (0, 25, 49):
        browse.request = f"req_{number}"
        assert f"model-{number} " in "\n".join(shown(view(live(), rows)._replace(browse=browse), 120, 24))
