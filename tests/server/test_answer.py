"""Answers of the daemon's own paths."""

from __future__ import annotations

import pytest

from tests.gateway.world import World


@pytest.mark.parametrize("path", ["/healthz", "/admin/status", "/admin/nothing", "/admin/requests?limit=0"])
def test_no_cache_keeps_an_answer_and_no_browser_guesses_what_it_is(world: World, path: str) -> None:
    headers = world.http.get(path).headers
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-type"] == "application/json"
    assert "access-control-allow-origin" not in headers
