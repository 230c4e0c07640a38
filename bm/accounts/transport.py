"""How this room reaches Google's token endpoints: through the daemon's own client, whose proxy and trust hold here too.

google-auth is synchronous and runs in a thread; its requests are handed to the event loop that owns the client.
"""

from __future__ import annotations

import asyncio
import email.utils
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import CancelledError, Future
from typing import Any

import msgspec

from bm.errors import Failure

REQUEST_LIMIT = 10.0
"""Seconds one request to a token endpoint may take."""

MARGIN = 5.0
"""Seconds more until a loop that does not come to it counts as stopped."""


class Fetched(msgspec.Struct, frozen=True, kw_only=True):
    """An answer. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class FetchRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request, whose body may hold secrets."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes = b""

    def __repr__(self) -> str:
        return f"FetchRequest(method={self.method!r}, url={self.url!r})"


Fetch = Callable[[FetchRequest], Awaitable[Fetched | Failure]]
"""Sends a request; what keeps it from being answered is a value."""


class Answer:
    """An answer as google-auth wants it (`google.auth.transport.Response`)."""

    def __init__(self, fetched: Fetched) -> None:
        self.status = fetched.status
        self.headers = fetched.headers
        self.data = fetched.body


class Transport:
    """Sends for google-auth (`google.auth.transport.Request`). To be called from a thread that is not the loop's.

    `failure` is why the last request had no answer, `status` what the last answer was. `skew` are the seconds by which
    the server's clock is ahead of this machine's, by its `Date` header; 0 when it does not say.
    """

    def __init__(self, fetch: Fetch, loop: asyncio.AbstractEventLoop, wall: Callable[[], float] = time.time) -> None:
        self._fetch, self._loop, self._wall = fetch, loop, wall
        self._pending: Future[Fetched | Failure] | None = None
        self._over = False
        self.failure: Failure | None = None
        self.status = 0
        self.skew = 0.0

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **_: Any,
    ) -> Answer:
        """Send a request and wait for its answer.

        Raises:
            google.auth.exceptions.TransportError: there was none.
        """
        data = body.encode() if isinstance(body, str) else body or b""
        found = self._wait(FetchRequest(method=method, url=url, headers=dict(headers or {}), body=data), timeout)
        if isinstance(found, Failure):
            from google.auth.exceptions import TransportError

            self.failure = found
            raise TransportError(found.message)  # type: ignore[no-untyped-call]
        self.failure, self.status = None, found.status
        self.skew = _ahead(found.headers.get("date", ""), self._wall())
        return Answer(found)

    def _wait(self, request: FetchRequest, timeout: float | None) -> Fetched | Failure:
        # A metadata server that is not there must not cost the whole limit: google-auth asks it with a short one.
        limit = min(timeout or REQUEST_LIMIT, REQUEST_LIMIT)
        work = _limited(self._fetch, request, limit)
        try:
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError:
            work.close()
            return _stopped()
        self._pending = future
        try:
            return _stopped() if self._over and future.cancel() else future.result(limit + MARGIN)
        except (CancelledError, TimeoutError):
            return _stopped()

    def stop(self) -> None:
        """Send no more, and wait for no answer any more."""
        self._over = True
        if self._pending is not None:
            self._pending.cancel()


async def _limited(fetch: Fetch, request: FetchRequest, limit: float) -> Fetched | Failure:
    try:
        async with asyncio.timeout(limit):
            return await fetch(request)
    except TimeoutError:
        return Failure(kind="timeout", message=f"no answer within {limit:g} s")


def _stopped() -> Failure:
    return Failure(kind="connection", message="bm is stopping")


def _ahead(date: str, wall: float) -> float:
    try:
        return email.utils.parsedate_to_datetime(date).timestamp() - wall
    except ValueError:
        return 0.0
