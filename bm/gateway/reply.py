"""What a client is told beside the answer itself: its head, and why there is none."""

from __future__ import annotations

import msgspec

from bm.errors import Failure
from bm.gateway.call import Call, Client
from bm.gateway.counting import answer as count_answer
from bm.gateway.error_headers import error_headers
from bm.gateway.lane import JSON_TYPE, Lane
from bm.gateway.record import Record
from bm.protocols.registry import CODECS
from bm.upstream.headers import Headers, to_client

_LONGEST_HEADER = 1024


class Reply:
    """The reply to one call. What is told goes into its `record` as well."""

    def __init__(self, call: Call, client: Client, record: Record) -> None:
        self._call, self._client, self._record = call, client, record

    def head(self, lane: Lane, upstream: Headers, content_type: str) -> Headers:
        """The head of an answer: the upstream's ids and limits where they are the client's own, and bm's facts."""
        passed = to_client(upstream) if lane.passes_through else [("content-type", content_type)]
        if self._call.protocol == "anthropic" and not any(name == "request-id" for name, _ in passed):
            passed.append(("request-id", self._call.id))
        target = lane.target
        passed += [
            ("x-bm-request-id", self._call.id),
            ("x-bm-provider", target.provider),
            ("x-bm-account", target.account),
            ("x-bm-model", target.model),
            ("x-bm-attempts", str(len(self._record.attempts))),
        ]
        if lane.losses:
            dropped = ", ".join(loss.field for loss in lane.losses)
            passed.append(("x-bm-dropped", dropped[:_LONGEST_HEADER]))
        return passed

    async def whole(self, status: int, headers: Headers, body: bytes) -> None:
        """Send an answer that is no stream."""
        await self._client.start(status, [*headers, ("content-length", str(len(body)))])
        await self._client.end(body)

    async def estimated(self, tokens: int) -> None:
        """Tell a count of tokens that nobody has counted, marked as the guess it is."""
        self._record.status, self._record.finish = 200, "estimated"
        headers = [("content-type", JSON_TYPE), ("x-bm-request-id", self._call.id), ("x-bm-estimate", "true")]
        await self.whole(200, headers, count_answer(self._call.protocol, tokens))

    async def failed(self, failure: Failure) -> None:
        """Tell why there is no answer: in the upstream's own bytes where it spoke the client's protocol."""
        record = self._record
        record.failure = failure
        headers: Headers = [("content-type", JSON_TYPE), ("x-bm-request-id", self._call.id)]
        headers.append(("x-bm-attempts", str(len(record.attempts))))
        if record.attempts:
            last = record.attempts[-1].target
            headers += [("x-bm-provider", last.provider), ("x-bm-account", last.account), ("x-bm-model", last.model)]
        if self._call.protocol == "anthropic":
            headers.append(("request-id", self._call.id))
        headers += error_headers(failure)
        if failure.upstream_body and failure.status in (0, failure.upstream_status):
            status, body = failure.upstream_status, failure.upstream_body
        else:
            status, document = CODECS[self._call.protocol].encode_error(failure, self._call.id)
            body = msgspec.json.encode(document)
        record.status = status
        await self.whole(status, headers, body)
