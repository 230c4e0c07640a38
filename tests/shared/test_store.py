"""The shared store over a real server: what is refused at the start, what a node does while it is away."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bm.config.schema import Shared
from bm.errors import ConfigError
from bm.shared import store as module
from bm.shared.store import FORMAT, Script, Store, StoreAway
from bm.tasks import failures, note
from tests.shared.conftest import opened
from tests.support.valkey import Valkey, free_port, valkey_server
from tests.support.waiting import until

ECHO = Script("return {KEYS[1], ARGV[1]}")


async def refusal(url: str, name: str = "bm") -> ConfigError:
    store = Store(Shared(url=url, name=name))
    with pytest.raises(ConfigError) as refused:
        await store.open()
    await store.close()
    assert refused.value.key == "shared.url"
    assert refused.value.hint
    return refused.value


@contextmanager
def cluster(folder: Path) -> Iterator[tuple[Valkey, str]]:
    """A cluster of one server, and its address."""
    # By default the nodes of a cluster talk on a port 10,000 higher, where a connection may be.
    with valkey_server(folder, "--cluster-enabled", "yes", "--cluster-port", str(free_port())) as server:
        server.command("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
        yield server, f"valkey+cluster://127.0.0.1:{server.port}"


@pytest.fixture(params=["single", "cluster", "sentinel"])
def form(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Valkey, str]]:
    """A server in each form, and its address."""
    if request.param == "single":
        server: Valkey = request.getfixturevalue("valkey")
        yield server, server.url
        return
    if request.param == "cluster":
        with cluster(tmp_path) as found:
            yield found
        return
    with valkey_server(tmp_path) as server:
        watch = f"sentinel monitor main 127.0.0.1 {server.port} 1\n"
        (tmp_path / "sentinel.conf").write_text(watch, encoding="utf-8")
        with valkey_server(tmp_path, "--sentinel", config=tmp_path / "sentinel.conf") as sentinel:
            yield server, f"valkey+sentinel://127.0.0.1:{sentinel.port}/main"


async def test_values_streams_and_scripts(form: tuple[Valkey, str]) -> None:
    valkey, url = form
    async with opened(url) as store:
        assert store.key("a", "b") == "bm:{bm}:a:b"
        assert await store.get(store.key("a")) is None
        await store.command("SET", store.key("a"), b"\x00value", "EX", 60)
        assert await store.get(store.key("a")) == b"\x00value"
        assert b"60" in valkey.command("TTL", store.key("a")) or b"59" in valkey.command("TTL", store.key("a"))
        first = await store.append(store.key("s"), b"one")
        second = await store.append(store.key("s"), b"two")
        assert await store.read(store.key("s")) == [(first, b"one"), (second, b"two")]
        assert await store.read(store.key("s"), after=first) == [(second, b"two")]
        assert await store.run(ECHO, [store.key("a")], ["x"]) == [b"bm:{bm}:a", b"x"]
        assert await store.follow(store.key("s"), first) == [(second, b"two")]
        sent = [("SET", store.key("b"), "2"), ("MGET", store.key("a"), store.key("b"))]
        assert (await store.batch(sent))[1] == [b"\x00value", b"2"]
        valkey.command("SCRIPT", "FLUSH")
        assert await store.run(ECHO, [store.key("a")], [b"y"]) == [b"bm:{bm}:a", b"y"]


async def test_a_wrong_command_is_no_reason_to_count_the_store_as_away(valkey: Valkey) -> None:
    async with opened(valkey.url) as store:
        await store.command("SET", "text", b"x", "EX", 60)
        with pytest.raises(Exception, match="WRONGTYPE"):
            await store.append("text", b"y")
        assert not store.is_away


async def test_a_wrong_password_is_refused_at_the_start(tmp_path: Path) -> None:
    with valkey_server(tmp_path, "--requirepass", "right") as server:
        for url in (server.url.replace("right", "wrong"), server.url.replace(":right@", "")):
            error = await refusal(url)
            assert "refuses the user or the password" in error.message
            assert not error.passes
        async with opened(server.url) as store:
            assert store.version.startswith(("Valkey", "Redis"))


@pytest.mark.parametrize("scheme", ["valkey", "valkeys", "valkey+cluster"])
async def test_an_address_where_nothing_answers_is_refused(
    scheme: str, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "START", 0.0)
    error = await refusal(f"{scheme}://127.0.0.1:{free_port}")
    assert "does not answer" in error.message
    assert error.passes
    assert str(free_port) in error.message


async def test_another_server_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    monkeypatch.setattr(module, "START", 0.0)
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    assert "no Valkey or Redis" in (await refusal(f"valkey://127.0.0.1:{port}")).message
    server.close()


async def test_an_old_server_is_refused(monkeypatch: pytest.MonkeyPatch, valkey: Valkey) -> None:
    monkeypatch.setattr(module, "OLDEST", (99, 0))
    assert "too old" in (await refusal(valkey.url)).message


async def test_a_newer_format_is_refused(valkey: Valkey) -> None:
    valkey.command("SET", "bm:{bm}:format", str(FORMAT + 1))
    assert "newer bm" in (await refusal(valkey.url)).message
    async with opened(valkey.url, name="other"):
        pass


async def test_a_full_server_is_refused(fresh: Valkey) -> None:
    fresh.command("CONFIG", "SET", "maxmemory", "1")
    assert "is full" in (await refusal(fresh.url)).message


async def test_a_file_for_tls_that_cannot_be_read_is_refused() -> None:
    assert "/nowhere/ca.pem cannot be read" in (await refusal("valkeys://127.0.0.1?ca=/nowhere/ca.pem")).message


async def test_a_server_that_drops_any_key_is_reported(fresh: Valkey) -> None:
    fresh.command("CONFIG", "SET", "maxmemory", "100mb")
    fresh.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    async with opened(fresh.url):
        assert any("not allkeys-lru" in each for each in failures())
    note("the policy of the shared store", "")


async def test_a_replica_is_refused(fresh: Valkey, free_port: int) -> None:
    fresh.command("REPLICAOF", "127.0.0.1", str(free_port))
    error = await refusal(fresh.url)
    assert "replica" in error.message


async def test_a_user_without_rights_is_refused(fresh: Valkey) -> None:
    fresh.command("ACL", "SETUSER", "weak", "on", ">pass", "~*", "+info")
    url = fresh.url.replace("valkey://", "valkey://weak:pass@")
    assert "forbids" in (await refusal(url)).message


async def test_a_store_that_goes_away_is_reported_and_found_again(fresh: Valkey) -> None:
    async with opened(fresh.url) as store:
        heard: list[bool] = []

        async def back() -> None:
            heard.append(store.is_away)
            await store.command("SET", store.key("again"), b"1", "EX", 60)

        store.back.append(back)
        fresh.stop()
        with pytest.raises(StoreAway, match="does not answer"):
            await store.get("a")
        assert store.is_away
        assert any("this node goes on alone" in each for each in failures())
        with pytest.raises(StoreAway):
            await store.get("a")
        fresh.start()
        await until(lambda: heard, 10)
        assert heard == [False]
        await until(lambda: not any("goes on alone" in each for each in failures()), 10)
        assert await store.get(store.key("again")) == b"1"


async def test_a_cluster_that_goes_away_is_found_again(tmp_path: Path) -> None:
    with cluster(tmp_path) as (server, url):
        async with opened(url, limit=0.2) as store:
            with server.silent():
                with pytest.raises(StoreAway, match="does not answer"):
                    await store.get(store.key("a"))
                # It is looked for meanwhile.
                await asyncio.sleep(1.0)
            await until(lambda: not store.is_away)
            assert await store.get(store.key("a")) is None


async def test_a_server_that_is_no_cluster_is_refused_as_one(valkey: Valkey) -> None:
    error = await refusal(valkey.url.replace("valkey:", "valkey+cluster:").removesuffix("/0"))
    assert "is no cluster" in error.message and not error.passes


async def test_a_silent_store_is_given_up_and_others_do_not_wait_for_it(fresh: Valkey) -> None:
    async with opened(fresh.url, limit=0.3) as store:
        await store.get("a")
        with fresh.silent():
            waiting = [asyncio.ensure_future(store.get(f"{number}")) for number in range(100)]
            results = await asyncio.gather(*waiting, return_exceptions=True)
            assert all(isinstance(each, StoreAway) for each in results)
            assert store.is_away
        await until(lambda: not store.is_away, 10)
        assert await store.get("a") is None


async def test_a_store_that_fills_up_is_away_until_there_is_room(fresh: Valkey) -> None:
    async with opened(fresh.url) as store:
        fresh.command("CONFIG", "SET", "maxmemory", "1")
        with pytest.raises(StoreAway, match="full"):
            await store.command("SET", "a", b"1", "EX", 60)
        fresh.command("CONFIG", "SET", "maxmemory", "0")
        await until(lambda: not store.is_away, 10)
        await store.command("SET", "a", b"1", "EX", 60)


async def test_a_name_that_is_not_known_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "START", 0.0)
    assert "does not answer" in (await refusal("valkey://nowhere.invalid")).message
