"""Finish a text response that was cut, with another target and in the stream that the client is reading.

Only with `[pool] rescue`, because two models then write one response. Where bytes pass through, the events are replayed
through an encoder at the moment of the cut; elsewhere bm's encoder has written the stream from the start.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from bm.accounts.account import Access
from bm.chat.estimate import estimate
from bm.chat.events import Event, Failed, Usage, UsageUpdate
from bm.chat.parts import Text
from bm.chat.request import ChatRequest, Reasoning, Turn
from bm.dispatch.classify import classify
from bm.dispatch.failover import Attempt
from bm.dispatch.outcome import AccountEffect, Outcome
from bm.dispatch.target import Target
from bm.errors import Failure
from bm.gateway.adapter import Adapter
from bm.gateway.continuation import Delivered, Splice
from bm.gateway.record import Record
from bm.gateway.resume import ResumablePassThrough
from bm.gateway.upstream_call import UpstreamCall
from bm.protocols.codec import StreamEncoder
from bm.protocols.passthrough import ResponsePipe, Watch
from bm.protocols.translate import EventFilter
from bm.providers.provider import Provider

DIVERGED = "diverged"
"""The code of the failure when a response is no continuation of what the client has."""


class TrackingFilter(EventFilter):
    """Tracks what was delivered to the client; with a `splice`, the response continues one that was cut."""

    def __init__(self, events: EventFilter, delivered: Delivered, splice: Splice | None = None) -> None:
        super().__init__({})
        self._inner, self._delivered, self._splice = events, delivered, splice
        self.watch = events.watch

    @property
    def resumable(self) -> bool:
        return self._delivered.resumable

    def through(self, events: Iterable[Event]) -> list[Event]:
        kept: list[Event] = []
        for event in self._inner.through(events):
            for spliced in self._splice.through(event) if self._splice else (event,):
                if isinstance(spliced, Failed) and self._delivered.resumable:
                    continue
                if isinstance(spliced, UsageUpdate):
                    self.watch.usage = spliced.usage
                kept += self._delivered.through(spliced)
        if self._splice and self._splice.diverged and self.watch.failure is None:
            message = "the new response differs from what the client has received"
            self.watch.failure = Failure(kind="truncated", message=message, code=DIVERGED)
        return kept


class Rescue:
    """The stream of one call over all its targets.

    `cut` is why the client is waiting for the rest of its response, None while it is not. `continuations` counts them.
    """

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter
        self._delivered = Delivered()
        self._encoder: StreamEncoder | None = None
        self._passing: ResumablePassThrough | None = None
        self._begun: dict[ResponsePipe, tuple[Delivered, StreamEncoder | None, ResumablePassThrough | None]] = {}
        self._prefill: str | None = None
        self._spent = 0
        self._refusing: set[str] = set()
        self.cut: Failure | None = None
        self.continuations = 0

    def prepare(self, attempt: Attempt, provider: Provider, access: Access) -> UpstreamCall:
        """The request for an attempt, or for the rest of a response that was cut.

        Raises:
            Unable: the target cannot serve it.
            RequestError: the body is not a request of its protocol, or `strict` refuses what would be lost.
        """
        self._prefill = None
        if self.cut is None:
            return self._adapter.prepare(attempt, provider, access)
        self._prefill = self._beginning(attempt.target, provider)
        if self._prefill is None:
            return self._adapter.prepare(msgspec.structs.replace(attempt, retry_hint=False), provider, access)
        chat = begun(self._adapter.chat, self._prefill, self._delivered.tokens, attempt.target)
        return self._adapter.translate(chat, attempt, provider, access)

    def _beginning(self, target: Target, provider: Provider) -> str | None:
        """The text that the target is given to continue; None if it gets the request as it was.

        No model takes white space at its end.
        """
        capabilities = self._adapter.capabilities(target, provider)
        able = capabilities.prefill or "prefix" in capabilities.dialect.takes
        if not able or target.model in self._refusing or self._adapter.chat.turns[-1].role == "assistant":
            return None
        return self._delivered.text.rstrip() or None

    @property
    def way(self) -> str:
        """How the request that was prepared last continues the response, for the record; empty when it does not."""
        if self.cut is None:
            return ""
        if not self._delivered.text:
            return "starts over, because the client has received nothing of the response"
        return "continues the cut response" if self._prefill else "starts over, to continue where the response was cut"

    def pipe(self, upstream: UpstreamCall) -> ResponsePipe:
        """The pipe for a streamed response. Several may be open until one has content."""
        adapter = self._adapter
        self._spent = self._delivered.tokens if self._prefill is not None else 0
        if self.cut is not None and self._encoder is not None:
            splice = Splice(self._delivered, prefill=self._prefill)
            events = TrackingFilter(adapter.event_filter(upstream), self._delivered, splice)
            return adapter.translation(upstream, self._encoder, events)
        if not adapter.readable:
            return adapter.pipe(upstream)
        delivered = Delivered()
        events = TrackingFilter(adapter.event_filter(upstream), delivered)
        if upstream.passes_through and not adapter.call.array:
            passing = adapter.resumable(upstream, events)
            self._begun[passing] = delivered, None, passing
            return passing
        encoder = adapter.encoder(upstream)
        pipe = adapter.translation(upstream, encoder, events)
        self._begun[pipe] = delivered, encoder, None
        return pipe

    def ended(
        self, target: Target, pipe: ResponsePipe, failure: Failure | None, committed: bool, record: Record
    ) -> Outcome | None:
        """The outcome of a relayed stream; None where it failed like any other."""
        if committed:
            self.choose(pipe)
        broken = failure is not None and committed and pipe.resumable
        if self.cut is not None or broken:
            record.shares.append((target, self.share(pipe.watch)))
        if failure is None:
            self.done()
            record.continuations = self.continuations
            return classify(None)
        return self.broken(failure) if broken else None

    def choose(self, pipe: ResponsePipe) -> None:
        """Of the pipes that were open, this is the one whose response the client receives."""
        if pipe in self._begun:
            self._delivered, self._encoder, self._passing = self._begun.pop(pipe)

    def share(self, watch: Watch) -> Usage:
        """The tokens of one of several targets for its part of the response: as reported, else an estimate."""
        usage = watch.usage or Usage(input=estimate(self._adapter.chat))
        return msgspec.structs.replace(usage, output=max(0, max(usage.output, self._delivered.tokens) - self._spent))

    def broken(self, failure: Failure) -> Outcome:
        """The response was cut, the client was not informed, and another target may continue."""
        self._delivered.reopen()
        if self._passing is not None:
            self._encoder, self._passing = self._passing.continuing_encoder(), None
        self.cut = self.cut or failure
        if failure.code == DIVERGED:
            return Outcome(failure=failure, request="next")
        return msgspec.structs.replace(classify(failure), request="resume")

    def judged(self, outcome: Outcome, target: Target) -> Outcome:
        """The outcome of an attempt at the rest. The request is bm's own, so its refusal is not the client's."""
        if self.cut is None or outcome.failure is None:
            return outcome
        if outcome.failure.kind == "bad_request" and self._prefill is not None:
            # Some models take no prefill; they get the request as it was.
            self._refusing.add(target.model)
            return msgspec.structs.replace(outcome, account=AccountEffect(), request="retry")
        return msgspec.structs.replace(outcome, request="next") if outcome.request == "return" else outcome

    def done(self) -> None:
        """The response is complete."""
        self.continuations += self.cut is not None
        self.cut = None

    def error(self, failure: Failure) -> bytes:
        """The client's in-stream error, when no target can continue."""
        return self._encoder.feed(Failed(failure)) if self._encoder is not None else b""

    def keepalive(self) -> bytes:
        """What a client with half a response is sent while it waits for the rest."""
        return self._encoder.keepalive() if self._encoder is not None else b""


def begun(request: ChatRequest, text: str, tokens: int, target: Target) -> ChatRequest:
    """The request with the beginning of its response, which has taken `tokens` of those allowed.

    Anthropic's models do not continue a response while they think.
    """
    turns = (*request.turns, Turn("assistant", (Text(text),)))
    left = None if request.max_tokens is None else max(1, request.max_tokens - tokens)
    reasoning = Reasoning(level="off") if target.protocol == "anthropic" else request.reasoning
    return msgspec.structs.replace(request, turns=turns, max_tokens=left, reasoning=reasoning)
