"""`bm record` turns recording on and off while the daemon runs, and looks after what was kept."""

from __future__ import annotations

import time

import httpx

from bm.config.paths import Paths
from bm.ledger.recordings import folder_of, listed
from bm.simulator import Simulator
from tests.cli.conftest import Bm
from tests.simulator.streams import ask


def kept(paths: Paths, count: int) -> list[str]:
    """The ids of the recordings, the newest first, once there are so many."""
    limit = time.monotonic() + 20
    while len(found := listed(folder_of(paths))) < count:
        assert time.monotonic() < limit, "it was not recorded"
        time.sleep(0.01)
    return [each.id for each in found]


def test_it_is_off_until_it_is_turned_on_and_again_after(
    bm: Bm, paths: Paths, simulator: Simulator, http: httpx.Client
) -> None:
    ask(http, "anthropic")
    assert bm("record", "on").code == 0
    assert "recording" in bm("status").out
    wanted = ask(http, "openai-chat").headers["x-bm-request-id"]
    assert kept(paths, 1) == [wanted]
    assert bm("record", "off").code == 0
    ask(http, "anthropic")
    assert bm("stop").code == 0
    assert [each["id"] for each in bm("record", "list", "--json").json["recordings"]] == [wanted]
    assert wanted in bm("record", "list").out
    shown = bm("record", "show", wanted)
    assert shown.code == 0 and "POST /v1/chat/completions" in shown.out and "[DONE]" in shown.out
    assert "[secret]" in shown.out and http.headers["x-api-key"] not in shown.out
    assert bm("record", "show", "--json").json["id"] == wanted
    assert bm("record", "delete", wanted).code == 0
    assert bm("record", "list").out == "nothing was recorded (bm record on)\n"


def test_all_can_be_removed(bm: Bm, paths: Paths, simulator: Simulator, http: httpx.Client) -> None:
    bm("record", "on")
    for _ in range(3):
        ask(http, "gemini")
    kept(paths, 3)
    assert bm("record", "delete", "--all") == (0, "3 removed\n", "")


def test_what_is_not_there(bm: Bm) -> None:
    assert bm("record", "list").code == 0
    assert bm("record", "show").code == 1
    assert bm("record", "show", "../accounts").code == 1
    assert bm("record", "delete", "req_unknown").code == 1
    assert bm("record", "delete").code == bm("record", "delete", "req_1", "--all").code == 2
