"""What the errors of a store mean to a person, and which of them pass."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis, RedisCluster
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ClusterDownError,
    ConnectionError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
    ResponseError,
    TimeoutError,
)

from bm.config.shared import read_store
from bm.shared.client import Client, close, connect, explained, is_disturbance, is_temporary


def of_cluster(cause: Exception) -> RedisClusterException:
    """What a client of a cluster raises when no server tells it of the others."""
    error = RedisClusterException(f"Redis Cluster cannot be connected. Please provide at least one node: {cause}")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "words", "temporary", "disturbance"),
    [
        (ConnectionError("Connection refused"), "does not answer (Connection refused)", True, True),
        (TimeoutError("Timeout reading"), "does not answer", True, True),
        (OSError("no such file"), "does not answer (no such file)", True, True),
        (BusyLoadingError("LOADING"), "still loading", True, True),
        (AuthenticationError("WRONGPASS"), "refuses the user or the password", False, True),
        (NoPermissionError("NOPERM"), "forbids bm a command", False, True),
        (OutOfMemoryError("command not allowed"), "is full", False, True),
        (ResponseError("OOM command not allowed when used memory > 'maxmemory'."), "is full", False, True),
        (ReadOnlyError("You can't write against a read only replica."), "is a replica", False, True),
        (ClusterDownError("The cluster is down"), "does not answer (The cluster is down)", True, True),
        (RedisClusterException("All slots are not covered"), "does not answer (All slots", True, True),
        (of_cluster(ConnectionError("Connection refused")), "does not answer (Connection refused)", True, True),
        (of_cluster(AuthenticationError("WRONGPASS")), "refuses the user or the password", False, True),
        (of_cluster(RedisClusterException("Cluster mode is not enabled on this node")), "is no cluster", False, True),
        (ConnectionError("[SSL: CERTIFICATE_VERIFY_FAILED]"), "certificate of the store is not trusted", True, True),
        (ResponseError("MISCONF Redis is configured to save"), "answers with an error", False, True),
        (ResponseError("WRONGTYPE Operation against a key"), "answers with an error", False, False),
        (RedisError(""), "RedisError", False, False),
    ],
)
def test_an_error_is_explained(error: Exception, words: str, temporary: bool, disturbance: bool) -> None:
    reason, remedy = explained(error)
    assert words in reason
    assert remedy
    assert (is_temporary(error), is_disturbance(error)) == (temporary, disturbance)


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("valkey://me:secret@127.0.0.1:1/2", Redis),
        ("valkeys://127.0.0.1:1?ca=/etc/ca.pem", Redis),
        ("valkey+cluster://127.0.0.1:1", RedisCluster),
        ("valkey+sentinel://127.0.0.1:1,127.0.0.1:2/main/1", Redis),
    ],
)
async def test_each_form_of_an_address_makes_a_client_without_connecting(url: str, kind: type[Client]) -> None:
    client = connect(read_store(url))
    assert type(client) is kind
    await close(client)
