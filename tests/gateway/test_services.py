"""What a daemon holds, and what new settings change of it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bm.gateway.services import Services
from tests.gateway.build import settings


@pytest.fixture
async def services(bm_home: Path) -> AsyncIterator[Services]:
    services = Services(settings(bm_home))
    yield services
    await services.close()


async def test_new_settings_are_used_from_the_next_plan_on(services: Services, bm_home: Path) -> None:
    before = services.router.snapshot(services.settings)
    services.apply(settings(bm_home, '[aliases]\nfast = "groq:x"\n[pool]\nmax_wait = 7\n'))
    after = services.router.snapshot(services.settings)
    assert (dict(before.aliases), dict(after.aliases)) == ({}, {"fast": "groq:x"})
    assert after.limits.max_wait == 7 and services.config.pool.max_wait == 7


async def test_a_smaller_affinity_table_drops_the_oldest_conversations(services: Services, bm_home: Path) -> None:
    for name in ("first", "second"):
        services.affinities.set(name, ("gemini", "one"), time.monotonic())
    services.apply(settings(bm_home, "[pool]\naffinity_size = 1\n"))
    assert [services.affinities.get(name, time.monotonic()) for name in ("first", "second")] == [
        None,
        ("gemini", "one"),
    ]


async def test_a_new_secret_is_masked(services: Services, bm_home: Path) -> None:
    services.apply(settings(bm_home, '[gemini.headers]\nx-team = "a-secret-of-the-team"\n'))
    assert services.mask("it is a-secret-of-the-team") == "it is [secret]"
