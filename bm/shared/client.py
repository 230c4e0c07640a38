"""redis-py's client of a store: its connections, its time limits, and what its errors mean to a person."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any, Final

from redis.asyncio import Redis, RedisCluster, Sentinel
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import SentinelConnectionPool
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ClusterDownError,
    ConnectionError,
    InvalidResponse,
    MasterDownError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
    ResponseError,
    TimeoutError,
    TryAgainError,
)

from bm.config.shared import StoreAddress

Client = Redis | RedisCluster

Word = bytes | str | int | float
Command = tuple[Word, ...]

LIMIT: Final = 2.0
"""Seconds in which a connection is made and a command is answered; otherwise the store counts as away."""

FAILURES: Final = (RedisError, RedisClusterException, OSError)
"""What redis-py raises: its own errors, which have no common base, and those of sockets and certificates."""

_TEMPORARY: Final = (
    ConnectionError,
    TimeoutError,
    BusyLoadingError,
    ClusterDownError,
    MasterDownError,
    TryAgainError,
    RedisClusterException,
    OSError,
)
_NO_CLUSTER: Final = "Cluster mode is not enabled"
_UNUSABLE: Final = ("OOM", "MISCONF", "BUSY", "UNKILLABLE")
"""The first words of errors that redis-py has no class for."""


def connect(address: StoreAddress, *, limit: float = LIMIT) -> Client:
    """A client. It connects with its first command, and sends each command once: not all may be repeated. It waits for
    answers without a limit: whoever asks has one for all of them, as redis-py's is a task and a timer for each.

    Raises:
        OSError: a file for TLS cannot be read.
    """
    options: dict[str, Any] = {
        "username": address.user or None,
        "password": address.password or None,
        "socket_timeout": None,
        "socket_connect_timeout": min(limit, LIMIT),
        "protocol": 2,
        "client_name": "bm",
        "retry": Retry(NoBackoff(), 0),
    }
    if address.tls:
        options |= {"ssl": True, **dict(address.files)}
    if address.form == "cluster":
        return RedisCluster(startup_nodes=[ClusterNode(host, port) for host, port in address.hosts], **options)
    options["db"] = address.database
    if address.form == "sentinel":
        # Sentinels are reached in the same way; they have no databases, and a login of their own at most.
        way = {name: options[name] for name in options if name.startswith(("ssl", "socket", "protocol", "retry"))}
        sentinels = Sentinel(list(address.hosts), sentinel_kwargs=way, **options)  # type: ignore[no-untyped-call]
        primary: Redis = sentinels.master_for(address.service)
        return primary
    (host, port) = address.hosts[0]
    return Redis(host=host, port=port, **options)


async def close(client: Client) -> None:
    """Close its connections, those to sentinels too."""
    await client.aclose()
    pool = client.connection_pool if isinstance(client, Redis) else None
    if isinstance(pool, SentinelConnectionPool):
        for sentinel in pool.sentinel_manager.sentinels:
            await sentinel.aclose()


class Lines:
    """Connections of a client that are kept, on which commands go out together with less work than by redis-py's
    pipelines. Those of a cluster need them, as they follow keys to other servers."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._idle: list[AbstractConnection] = []

    async def exchange(self, commands: Sequence[Command]) -> list[Any]:
        """Send commands, and give their results in order. What one of them fails with is its result."""
        if isinstance(self._client, RedisCluster):
            pipeline = self._client.pipeline(transaction=False)
            for words in commands:
                pipeline.execute_command(*words)
            results: list[Any] = await pipeline.execute(raise_on_error=False)
            return results
        pool = self._client.connection_pool
        connection = self._idle.pop() if self._idle else await pool.get_connection()  # type: ignore[no-untyped-call]
        try:
            await pool.ensure_connection(connection)
            await connection.send_packed_command(connection.pack_commands(commands))
            return [await _result(connection) for _ in commands]
        finally:
            # One that has failed is closed, and connects again with its next commands.
            self._idle.append(connection)


async def _result(connection: AbstractConnection) -> Any:
    try:
        return await connection.read_response()
    except ResponseError as error:
        return error


def is_temporary(error: BaseException) -> bool:
    """Whether the store may answer soon, without a person."""
    error = _cause(error)
    lasts = isinstance(error, AuthenticationError | NoPermissionError) or _NO_CLUSTER in str(error)
    return isinstance(error, _TEMPORARY) and not lasts


def is_disturbance(error: BaseException) -> bool:
    """Whether the store cannot be used, rather than one command be wrong."""
    error = _cause(error)
    return isinstance(error, (*_TEMPORARY, NoPermissionError, OutOfMemoryError, ReadOnlyError, InvalidResponse)) or (
        str(error).startswith(_UNUSABLE)
    )


def explained(error: BaseException) -> tuple[str, str]:
    """What is wrong with the store, and the remedy."""
    error = _cause(error)
    words = " ".join(str(error).split())[:200]
    words = words or ("it took too long" if isinstance(error, builtins.TimeoutError) else type(error).__name__)
    match error:
        case AuthenticationError():
            return f"the store refuses the user or the password ({words})", "correct them in the URL"
        case NoPermissionError():
            return f"the store forbids bm a command ({words})", "give its user more rights (ACL SETUSER)"
        case OutOfMemoryError():
            return "the store is full", "raise its maxmemory, or remove what else it holds"
        case ReadOnlyError():
            return "the store is a replica, which takes no changes", "name the primary, or its sentinels"
        case BusyLoadingError():
            return "the store is still loading its data", "wait, then start bm again"
        case InvalidResponse():
            return "what answers there is no Valkey or Redis", "correct the address; with TLS it is valkeys://"
    if words.startswith("OOM"):
        return explained(OutOfMemoryError())
    if _NO_CLUSTER in words:
        return "the store is no cluster", "write valkey:// instead of valkey+cluster://"
    if "CERTIFICATE_VERIFY_FAILED" in words:
        return "the certificate of the store is not trusted", "name the file of its authority: ?ca=FILE"
    if isinstance(error, _TEMPORARY):
        remedy = "start it or correct the address; with TLS it is valkeys://"
        return f"the store does not answer ({words})", remedy
    return f"the store answers with an error ({words})", "see its log"


def _cause(error: BaseException) -> BaseException:
    """The error itself, or why the servers of a cluster could not be asked which others there are."""
    return error.__cause__ if isinstance(error, RedisClusterException) and error.__cause__ else error
