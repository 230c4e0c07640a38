"""Finish a text response that was cut, with another target and in the stream that the client is reading.

Where bytes pass through, the events are replayed through an encoder at the moment of the cut; elsewhere bm's encoder
has written the stream from the start.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from bm.accounts.account import Access
from bm.chat.estimate import estimate
from bm.chat.events import Event, Failed, PartDelta, Usage, UsageUpdate
from bm.chat.parts import Text
from bm.chat.request import ChatRequest, Reasoning, Turn
from bm.dispatch.classify import classify
from bm.dispatch.failover import Attempt
from bm.dispatch.outcome import AccountEffect, Outcome
from bm.dispatch.target import Target
from bm.errors import Failure
from bm.gateway.adapter import Adapter
from bm.gateway.continuation import Delivered, Splice, Way, last_words, tokens_of
from bm.gateway.record import Record
from bm.gateway.resume import ResumablePassThrough
from bm.gateway.upstream_call import UpstreamCall
from bm.protocols.codec import StreamEncoder
from bm.protocols.passthrough import ResponsePipe
from bm.protocols.translate import EventFilter
from bm.providers.provider import Provider

DIVERGED = "diverged"
"""The code of the failure when a response is no continuation of what the client has."""

GO_ON: Final = (
    "Your answer above was cut off by a broken connection. Go on with it from where it stops. Begin with its last"
    " {count} words again, exactly as they stand below, even if the last one is incomplete, and continue right behind"
    " them as if nothing had happened: no introduction, no remark, no quotation marks. Its last {count} words are:"
    "\n\n{words}"
)
"""What a model is asked that takes no beginning of its own answer."""


class TrackingFilter(EventFilter):
    """Tracks what was delivered to the client; with a `splice`, the response continues one that was cut."""

    def __init__(self, events: EventFilter, delivered: Delivered, splice: Splice | None = None) -> None:
        super().__init__({})
        self._inner, self._delivered, self._splice = events, delivered, splice
        self.watch = events.watch
        if splice is None:
            self.watch.sink = delivered.sink

    @property
    def resumable(self) -> bool:
        return self._delivered.resumable

    def through(self, events: Iterable[Event]) -> list[Event]:
        marks = self.watch.marks
        kept = self._inner.through(events)
        if self._splice is not None:
            return self._spliced(kept, self._splice)
        if self.watch.marks == marks:
            # Pieces of parts that have begun: the watch has added them.
            return kept
        delivered, out = self._delivered, list[Event]()
        for event in kept:
            out += (event,) if type(event) is PartDelta else delivered.through(event)
        return self._without_failure(out)

    def _spliced(self, kept: list[Event], splice: Splice) -> list[Event]:
        out: list[Event] = []
        for event in kept:
            for spliced in splice.through(event):
                if isinstance(spliced, UsageUpdate):
                    self.watch.usage = spliced.usage
                out += self._delivered.through(spliced)
        if splice.diverged and self.watch.failure is None:
            message = "the new response differs from what the client has received"
            self.watch.failure = Failure(kind="truncated", message=message, code=DIVERGED)
        return self._without_failure(out)

    def _without_failure(self, events: list[Event]) -> list[Event]:
        """The events without a failure of which the client is not informed."""
        if self.watch.failure is None or not self.resumable:
            return events
        return [event for event in events if not isinstance(event, Failed)]


class _Stream:
    """The response of one target: what the client has of it, and what writes it."""

    def __init__(self, delivered: Delivered, spent: int = 0) -> None:
        self.delivered, self.spent = delivered, spent
        self.encoder: StreamEncoder | None = None
        self.passing: ResumablePassThrough | None = None


class Rescue:
    """The stream of one call over all its targets.

    `cut` is why the client is waiting for the rest of its response, None while it is not. `continuations` counts them.
    """

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter
        self._streams: dict[ResponsePipe, _Stream] = {}
        self._delivered = Delivered()
        self._encoder: StreamEncoder | None = None
        self._asked: dict[Target, Way] = {}
        self._refused: set[tuple[str, Way]] = set()
        self.cut: Failure | None = None
        self.continuations = 0

    def prepare(self, attempt: Attempt, provider: Provider, access: Access) -> UpstreamCall:
        """The request for an attempt, or for the rest of a response that was cut.

        Raises:
            Unable: the target cannot serve it.
            RequestError: the body is not a request of its protocol, or `strict` refuses what would be lost.
        """
        if self.cut is None:
            return self._adapter.prepare(attempt, provider, access)
        upstream = self._continuing(self._way(attempt.target, provider), attempt, provider, access)
        if upstream.continues == "prefill" and any(remedy.operation == "go_on" for remedy in upstream.remedies):
            self._refused.add((attempt.target.model, "prefill"))
            upstream = self._continuing(self._way(attempt.target, provider), attempt, provider, access)
        return upstream

    def _way(self, target: Target, provider: Provider) -> Way:
        """The first way in which a target can be asked to continue and has not refused it.

        A beginning is given only to models of which the vendor says that they go on with it: others take it and begin
        anew, which is not noticed. Where the client has begun the response itself, its request is repeated.
        """
        capabilities, text = self._adapter.capabilities(target, provider), self._delivered.text
        if not text.strip() or self._adapter.chat.turns[-1].role == "assistant":
            return "restart"
        at_home = capabilities.prefill and capabilities.family in ("claude", "gemini")
        if (at_home or "prefix" in capabilities.dialect.takes) and (target.model, "prefill") not in self._refused:
            return "prefill"
        return "ask" if last_words(text) and (target.model, "ask") not in self._refused else "restart"

    def _continuing(self, way: Way, attempt: Attempt, provider: Provider, access: Access) -> UpstreamCall:
        """The request that asks for the rest in one of the ways."""
        adapter, text, tokens = self._adapter, self._delivered.text.rstrip(), self._delivered.tokens
        match way:
            case "prefill":
                chat = begun(adapter.chat, text, tokens, attempt.target)
                upstream = adapter.translate(chat, attempt, provider, access)
            case "ask":
                upstream = adapter.translate(asked_on(adapter.chat, text, tokens), attempt, provider, access)
            case _:
                upstream = adapter.prepare(msgspec.structs.replace(attempt, retry_hint=False), provider, access)
        return msgspec.structs.replace(upstream, continues=way)

    def asked(self, target: Target, upstream: UpstreamCall) -> str:
        """Note how a target is asked to continue the response that was cut. Returns it in words, if it is."""
        if self.cut is None:
            return ""
        self._asked[target] = upstream.continues
        if not self._delivered.text:
            return "starts over, because the client has received nothing of the response"
        return {
            "prefill": "continues the cut response",
            "ask": "continues the cut response after its last words",
            "restart": "starts over, to continue where the response was cut",
        }[upstream.continues]

    def pipe(self, upstream: UpstreamCall) -> ResponsePipe:
        """The pipe for a streamed response. Several may be open until one has content."""
        adapter, encoder = self._adapter, self._encoder
        if self.cut is not None and encoder is not None:
            splice = Splice(self._delivered, upstream.continues)
            stream = _Stream(self._delivered, splice.spent)
            events = TrackingFilter(adapter.event_filter(upstream), self._delivered, splice)
            pipe = adapter.translation(upstream, encoder, events)
        elif upstream.passes_through:
            stream = _Stream(Delivered(adapter.is_continuable))
            pipe = adapter.pipe(upstream, stream.delivered)
            stream.passing = pipe if isinstance(pipe, ResumablePassThrough) else None
        else:
            stream = _Stream(Delivered(adapter.is_continuable))
            encoder = stream.encoder = adapter.encoder(upstream)
            events = TrackingFilter(adapter.event_filter(upstream), stream.delivered)
            pipe = adapter.translation(upstream, encoder, events)
        self._streams[pipe] = stream
        return pipe

    def ended(
        self, target: Target, pipe: ResponsePipe, failure: Failure | None, committed: bool, record: Record
    ) -> Outcome | None:
        """The outcome of a relayed stream; None where it failed like any other."""
        broken = failure is not None and committed and pipe.resumable
        if self.cut is not None or broken:
            record.shares.append((target, self.share(pipe)))
        if failure is None:
            self.done()
            record.continuations = self.continuations
            return classify(None)
        return self.broken(failure, pipe) if broken else None

    def share(self, pipe: ResponsePipe) -> Usage:
        """The tokens of one of several targets for its part of the response: as reported, else an estimate."""
        stream, usage = self._streams[pipe], pipe.watch.usage or Usage(input=estimate(self._adapter.chat))
        output = max(usage.output, stream.delivered.tokens) - stream.spent
        return msgspec.structs.replace(usage, output=max(0, output))

    def broken(self, failure: Failure, pipe: ResponsePipe) -> Outcome:
        """The response was cut, the client was not informed, and another target may continue."""
        stream = self._streams[pipe]
        stream.delivered.reopen()
        self._delivered = stream.delivered
        if stream.passing is not None:
            self._encoder = stream.passing.continuing_encoder()
        elif stream.encoder is not None:
            self._encoder = stream.encoder
        self.cut = self.cut or failure
        if failure.code == DIVERGED:
            return Outcome(failure=failure, request="next")
        return msgspec.structs.replace(classify(failure), request="resume")

    def judged(self, outcome: Outcome, target: Target) -> Outcome:
        """The outcome of an attempt at the rest. The request is bm's own, so its refusal is not the client's."""
        if self.cut is None or outcome.failure is None:
            return outcome
        way = self._asked.get(target, "restart")
        if outcome.failure.kind == "bad_request" and way != "restart":
            # Some models take no prefill, some services no turn after the answer: they are asked in the next way.
            self._refused.add((target.model, way))
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
    reasoning = Reasoning(level="off") if target.protocol == "anthropic" else request.reasoning
    return msgspec.structs.replace(request, turns=turns, max_tokens=_left(request, tokens), reasoning=reasoning)


def asked_on(request: ChatRequest, text: str, tokens: int) -> ChatRequest:
    """The request with the beginning of its response as a turn, and one that asks for its last words and the rest."""
    words = last_words(text)
    said = GO_ON.format(count=len(words.split()), words=words)
    turns = (*request.turns, Turn("assistant", (Text(text),)), Turn("user", (Text(said),)))
    return msgspec.structs.replace(request, turns=turns, max_tokens=_left(request, tokens - tokens_of(words)))


def _left(request: ChatRequest, tokens: int) -> int | None:
    """The tokens that are left of those allowed after some have been written."""
    return None if request.max_tokens is None else max(1, request.max_tokens - tokens)
