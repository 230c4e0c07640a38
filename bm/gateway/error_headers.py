"""What the head of an error says beside its status."""

from __future__ import annotations

from bm.errors import Failure
from bm.upstream.headers import Headers


def error_headers(failure: Failure) -> Headers:
    """The headers by which the official SDKs decide whether and when to try again."""
    headers: Headers = []
    if failure.retry_after is not None:
        headers.append(("retry-after", str(max(1, -int(-failure.retry_after // 1)))))
    if failure.should_retry is not None:
        headers.append(("x-should-retry", "true" if failure.should_retry else "false"))
    if failure.kind == "method":
        headers.append(("allow", failure.code))
    return headers
