"""What the head of an error says."""

from __future__ import annotations

import pytest

from bm.errors import Failure
from bm.gateway.error_headers import error_headers


@pytest.mark.parametrize(
    ("failure", "headers"),
    [
        (Failure(kind="server", message=""), {}),
        (Failure(kind="rate_limited", message="", retry_after=20.0), {"retry-after": "20"}),
        (Failure(kind="rate_limited", message="", retry_after=20.1), {"retry-after": "21"}),
        (Failure(kind="rate_limited", message="", retry_after=0.0), {"retry-after": "1"}),
        (Failure(kind="server", message="", should_retry=True), {"x-should-retry": "true"}),
        (Failure(kind="server", message="", should_retry=False), {"x-should-retry": "false"}),
        (Failure(kind="method", message="", code="POST"), {"allow": "POST"}),
    ],
)
def test_headers_by_which_sdks_decide(failure: Failure, headers: dict[str, str]) -> None:
    assert dict(error_headers(failure)) == headers
