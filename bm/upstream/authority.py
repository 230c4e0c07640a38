"""Sends the requests by which access tokens are had: to token endpoints, and to the metadata server of a cloud."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from bm.accounts.google import Fetch, Fetched, FetchRequest
from bm.config.schema import Config, UpstreamProxy
from bm.errors import ConfigError, Failure
from bm.upstream.client import UpstreamClient, UpstreamError, UpstreamRequest

MAX_BYTES = 256 * 1024
_PROVIDER = "gemini"

_METADATA = ("http://169.254.169.254", "http://metadata.google.internal")
"""Answers only from within its own machine, so no proxy can reach it."""


def fetcher(client: UpstreamClient, config: Callable[[], Config]) -> Fetch:
    """A `Fetch` that keeps to the proxy, the trust and the timeouts that `config` gives for Gemini at that moment."""

    async def fetch(request: FetchRequest) -> Fetched | Failure:
        now = config()
        proxy, timeouts = now.proxy_for(_PROVIDER), now.timeouts_for(_PROVIDER)
        if request.url.startswith(_METADATA):
            proxy = UpstreamProxy(url="direct")
            timeouts = msgspec.structs.replace(timeouts, connect=1.0)
        headers = [(name.lower(), value) for name, value in request.headers.items()]
        asked = UpstreamRequest("Google's sign-in", request.method, request.url, headers, request.body)
        try:
            response = await client.open(asked, timeouts, proxy)
            try:
                body = await response.read(MAX_BYTES)
            finally:
                response.close()
        except UpstreamError as error:
            return error.failure
        except ConfigError as error:
            return Failure(kind="connection", message=str(error))
        return Fetched(status=response.status, headers=dict(response.headers), body=body)

    return fetch
