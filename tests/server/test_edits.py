"""Changes of the files by the daemon: references are refused, and what it does not accept is reported."""

from __future__ import annotations

import pytest

from bm.errors import RequestError
from bm.server.edits import refuse_reference
from tests.gateway.world import World


@pytest.mark.parametrize("key", ["cmd:ls", "file:~/key", "env:KEY", "keyring:me"])
def test_a_browser_gives_no_references(key: str) -> None:
    with pytest.raises(RequestError, match="terminal"):
        refuse_reference(key)
    refuse_reference("sk-plain:with-colon")


def test_accounts_that_the_daemon_cannot_use_are_saved_and_reported(world: World) -> None:
    world.daemon.paths.config.write_text("[pool]\nnonsense = 1\n")
    new = {"name": "gus", "key": "key-of-the-account-gus001", "verify": False}
    answer = world.http.post("/admin/accounts", json=new)
    assert answer.status_code == 409 and "saved, but the daemon keeps its old settings" in answer.json()["error"]
    world.configure({})
    assert world.account("gus")["state"] == "usable"
