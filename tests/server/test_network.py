"""Sleep and a change of network: cooldowns go on, dead connections are closed, no account is blamed."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from bm.accounts.pool import Pool
from bm.config.paths import Paths
from bm.config.schema import Config, UpstreamProxy
from bm.dispatch.outcome import AccountEffect
from bm.dispatch.target import Target
from bm.gateway.services import Services
from bm.gateway.settings import Settings
from bm.server.network import Moment, Network, now
from bm.simulator import Rule, Simulator
from bm.upstream.client import UpstreamClient, UpstreamError, UpstreamRequest
from bm.vault.vault import FileVault
from tests.accounts.build import credential

WIFI = frozenset({"192.0.2.7", "fe80::7%wlan0"})
TARGET = Target("gemini", "a", "m", "gemini")


@pytest.mark.parametrize(
    ("monotonic", "boot", "wall", "slept"),
    [
        (2, 2, 2, 0),
        (2, 3602, 3602, 3600),
        (2, 32, 2, 30),
        (2, 2, 32, 0),
        (2, 2, -3600, 0),
        (2, 2, 3602, 3600),
        (300, 300, 300, 0),
    ],
    ids=["awake", "asleep", "asleep, clock set back", "clock corrected", "clock set back", "paused VM", "busy machine"],
)
def test_sleep_is_distinguished_from_a_step_of_the_wall_clock(
    monotonic: float, boot: float, wall: float, slept: float
) -> None:
    assert Moment(monotonic, boot, wall).slept_since(Moment(0, 0, 0)) == slept


def test_the_boot_clock_runs_on_beside_the_monotonic_one() -> None:
    before, after = now(), now()
    assert after.slept_since(before) == 0
    assert after.boot >= before.boot and after.boot >= after.monotonic - 1


def test_only_an_address_that_is_gone_is_a_change() -> None:
    before, after = Moment(0, 0, 0, WIFI), Moment(2, 2, 2, frozenset({"192.0.2.7", "198.51.100.1"}))
    assert after.gone_since(before) == {"fe80::7%wlan0"}
    assert Moment(2, 2, 2, WIFI | {"198.51.100.1"}).gone_since(before) == frozenset()


def test_the_addresses_of_this_machine_are_those_of_others_to_reach() -> None:
    assert not any(address.startswith("127.") for address in now().addresses)


def services() -> Services:
    return Services(Settings(Config(), {}, (credential("a"),), "key", FileVault(Paths.under(Path()))))


def rest(pool: Pool, seconds: float) -> None:
    moment = time.monotonic()
    pool.lease(TARGET, sent=moment).apply(AccountEffect("cooldown", seconds), now=moment, wall=time.time())


def cooldown(pool: Pool) -> float:
    return pool.states(time.monotonic())["gemini"][0].state("m").cooldown


def test_cooldowns_go_on_while_the_machine_sleeps() -> None:
    made = services()
    rest(made.pool, 600)
    network, start = Network(made), now()
    network.look(start)
    network.look(Moment(start.monotonic + 2, start.boot + 302, start.wall + 302, start.addresses))
    assert 290 < cooldown(made.pool) <= 300
    network.look(Moment(start.monotonic + 4, start.boot + 604, start.wall + 604, start.addresses))
    assert cooldown(made.pool) == 0
    assert made.disturbed > 0


def test_nothing_happens_while_nothing_happens() -> None:
    made = services()
    network, start = Network(made), now()
    network.look(start)
    network.look(Moment(start.monotonic + 2, start.boot + 2, start.wall + 2, start.addresses))
    assert made.disturbed == float("-inf")


async def opened(client: UpstreamClient, sim: Simulator) -> asyncio.Task[bytes]:
    """A request whose answer has begun and then stalls."""
    sim.script(Rule(stall_after=2))
    body = b'{"model": "m", "stream": true, "messages": [{"role": "user", "content": "hi"}]}'
    request = UpstreamRequest("x", "POST", f"{sim.url}/v1/chat/completions", [("authorization", "Bearer k")], body)
    response = await client.open(request, Config().timeouts, UpstreamProxy(url="direct"))

    async def read() -> bytes:
        try:
            return await response.read(10_000)
        finally:
            response.close()

    return asyncio.ensure_future(read())


@pytest.mark.parametrize("addresses", [None, frozenset({"127.0.0.1"})])
async def test_a_dead_connection_ends_its_request_at_once(addresses: frozenset[str] | None) -> None:
    client = UpstreamClient()
    with Simulator() as sim:
        reading = await opened(client, sim)
        await asyncio.sleep(0.05)
        assert client.drop_connections(addresses) == 1
        with pytest.raises(UpstreamError) as error:
            await asyncio.wait_for(reading, 10)
    await client.close()
    assert error.value.failure.kind in ("connection", "truncated")


async def test_connections_from_addresses_that_are_still_there_stay() -> None:
    client = UpstreamClient()
    with Simulator() as sim:
        reading = await opened(client, sim)
        await asyncio.sleep(0.05)
        assert client.drop_connections(WIFI) == 0
        assert not reading.done()
        reading.cancel()
        await asyncio.wait([reading])
    await client.close()
