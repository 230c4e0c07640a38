"""One upstream call: its request is prepared and sent, its response judged and passed to the client."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial

import msgspec

from bm.accounts.account import Access
from bm.accounts.google import TokenError
from bm.chat.estimate import tokens_in
from bm.chat.events import Usage
from bm.config.schema import Timeouts
from bm.config.secrets import Mask
from bm.dispatch.classify import classify
from bm.dispatch.failover import Attempt
from bm.dispatch.outcome import AccountEffect, Outcome
from bm.dispatch.refusal import KEY_FAILURES
from bm.dispatch.target import Target
from bm.errors import Failure, RequestError
from bm.gateway.account_updates import AccountUpdates
from bm.gateway.adapter import NO_COUNTER, Adapter, Unable
from bm.gateway.allowance import prompt_tokens
from bm.gateway.capture import Capture
from bm.gateway.fault import own_fault
from bm.gateway.full_response import EVENT_STREAM
from bm.gateway.healing import Healing
from bm.gateway.race import Running
from bm.gateway.relay import ClientStalled, Relay
from bm.gateway.reply import Reply
from bm.gateway.required_call import RequiredCall
from bm.gateway.rescue import Rescue
from bm.gateway.services import Services
from bm.gateway.settings import Settings
from bm.gateway.upstream_call import UpstreamCall
from bm.names import ProtocolName
from bm.protocols import embeddings
from bm.protocols.errors import decode_error
from bm.protocols.limits import with_delay
from bm.protocols.passthrough import Watch
from bm.providers.resolve import replaces
from bm.sse import is_stream
from bm.upstream.client import UpstreamError, UpstreamResponse
from bm.upstream.fetch import fetch_media

MAX_ERROR_BYTES = 1024 * 1024
MAX_ANSWER_BYTES = 256 * 1024 * 1024
UNAUTHENTICATED = 401
_EMPTY_BY_MISTAKE: tuple[ProtocolName, ...] = ("gemini", "openai-chat")


class Attempts:
    """The upstream calls of one exchange. Several may be under way, so nothing here belongs to only one of them.

    With `rescue`, another target may continue a response that was cut. `remember` stores for other nodes what a
    complete response shows, before its client has its end. `delivered` are the calls of whose responses the client has
    received something, each with its target in the plan and what its response says.
    """

    def __init__(
        self,
        services: Services,
        settings: Settings,
        adapter: Adapter,
        updates: AccountUpdates,
        reply: Reply,
        rescue: Rescue | None,
        capture: Capture | None,
        healing: Healing,
        remember: Callable[[UpstreamCall, Watch], Awaitable[None]],
    ) -> None:
        self._remember = remember
        self._services, self._settings, self._adapter = services, settings, adapter
        self._healing = healing
        self._updates, self._reply, self._rescue, self._capture = updates, reply, rescue, capture
        self._source = rescue or adapter
        self._required = RequiredCall(adapter, settings.limits.max_attempts)
        self._began = time.monotonic()
        self._repeated = False
        self.delivered: list[tuple[Target, UpstreamCall, Watch]] = []

    async def run(self, running: Running) -> Outcome:
        """Make an attempt. What the upstream says in its failure holds no secret.

        A fault of bm's own is a failed attempt like any other, unless the client already reads this response.
        """
        try:
            outcome = await self._authorized(running)
        except (RequestError, ClientStalled):
            raise
        except Exception as error:
            if self._reply.client.started and not (self._reply.client.opened or self._continues):
                raise
            outcome = Outcome(failure=own_fault(error), request="next")
        if outcome.failure is None:
            return outcome
        return msgspec.structs.replace(outcome, failure=masked(outcome.failure, self._services.mask))

    async def _authorized(self, running: Running) -> Outcome:
        """Make an attempt; twice where the access token has expired before its time."""
        target = running.attempt.target
        try:
            access = await self._access(target)
            outcome = await self._send(running, access)
            if running.entry.status == UNAUTHENTICATED and access.bearer:
                renewed = await self._access(target, refused=access.key)
                outcome = await self._send(running, renewed)
        except TokenError as error:
            if error.failure.kind in KEY_FAILURES:
                return classify(error.failure)
            # The account is not at fault when Google's sign-in cannot be reached.
            return Outcome(failure=error.failure, request="next")
        return outcome

    async def _access(self, target: Target, *, refused: str = "") -> Access:
        """What authenticates the request. `refused` is a token that the service has not accepted.

        Raises:
            TokenError: there is none.
        """
        credential = self._services.pool.credential(target.account_id)
        if credential is None:
            message = f"the account {target.account} of {target.provider} is gone"
            # It was removed since the plan was made: the same request will not meet it again.
            raise TokenError(Failure(kind="unavailable", message=message, status=503, should_retry=True))
        return await self._services.tokens.access(credential, refused=refused)

    async def _send(self, running: Running, access: Access) -> Outcome:
        attempt, entry, settings = running.attempt, running.entry, self._settings
        target, streams = attempt.target, self._adapter.call.stream
        provider, proxy = settings.providers[target.provider], settings.config.proxy_for(target.provider)
        await self._adapter.fetch_missing(attempt, provider, partial(fetch_media, proxy=proxy))
        asks = attempt.retry_hint and self._required.answer is not None
        prepare = partial(self._required.ask if asks else self._source.prepare, attempt, provider, access)
        try:
            upstream = prepare()
        except Unable as unable:
            # Another target may serve it. If none does, the client receives this reason.
            return Outcome(failure=unable.failure, request="next")
        if self._rescue is not None and (way := self._rescue.asked(target, upstream)):
            entry.reason = f"{entry.reason}; {way}"
        if upstream.remedies:
            entry.reason = f"{entry.reason}; changed: {'; '.join(map(str, upstream.remedies))}"
        if self._capture is not None:
            self._capture.requests.append(upstream.request)
        timeouts = settings.timeouts_for(target.provider, stream=streams, alone=self._continues)
        running.send()
        try:
            response = await self._services.client.open(upstream.request, timeouts, proxy)
        except UpstreamError as error:
            return classify(error.failure)
        entry.status = response.status
        if streams:
            running.hear()
        try:
            if response.status // 100 != 2:
                outcome = await self._refused(running, upstream, response, access)
            else:
                self._updates.limits_reported(running.lease, response.headers)
                outcome = await self._answered(running, upstream, response, timeouts)
            return self._healed(outcome, upstream, attempt, prepare)
        except UpstreamError as error:
            return classify(error.failure)
        finally:
            response.close()

    def _healed(
        self, outcome: Outcome, upstream: UpstreamCall, attempt: Attempt, prepare: Callable[[], UpstreamCall]
    ) -> Outcome:
        """The outcome of an attempt of which the client knows nothing: a refusal may have a remedy."""
        failure = outcome.failure
        if failure is None or outcome.request in ("done", "resume", "ask", "again") or upstream.embedding is not None:
            return outcome
        known = self._adapter.known(upstream.target, self._settings.providers[upstream.target.provider])
        model = self._adapter.call.model
        own = upstream.passes_through and not replaces(model, upstream.target.provider, upstream.target.model)
        remedy = self._healing.find(failure, upstream, attempt.target, prepare, known, own=own)
        return Outcome(failure=failure, request="heal", remedy=remedy) if remedy else outcome

    @property
    def _continues(self) -> bool:
        """Whether the client waits for the rest of a response that was cut."""
        return self._rescue is not None and self._rescue.cut is not None

    async def _refused(
        self, running: Running, upstream: UpstreamCall, response: UpstreamResponse, access: Access
    ) -> Outcome:
        idle = self._settings.config.timeouts_for(upstream.target.provider).idle
        body = await response.read(MAX_ERROR_BYTES, idle, whole=idle)
        self._services.mask.learn([access.key])
        body = self._services.mask.masked_bytes(body)
        headers = dict(response.headers)
        failure = decode_error(response.status, headers, body)
        if not upstream.passes_through:
            # The client cannot read another protocol's body; it can read `message`.
            failure = msgspec.structs.replace(failure, upstream_body=b"")
        failure = with_delay(failure, headers, time.time())
        if self._adapter.call.operation == "count_tokens" and _is_no_page(failure, upstream.target.model):
            failure = msgspec.structs.replace(failure, code=NO_COUNTER)
        self._updates.refused(running.lease, failure, headers, body)
        return classify(naming_project(failure, access))

    async def _answered(
        self, running: Running, upstream: UpstreamCall, response: UpstreamResponse, timeouts: Timeouts
    ) -> Outcome:
        call = self._adapter.call
        if call.stream and (call.array or await _is_stream(response, timeouts.first_byte)):
            return await self._relay(running, upstream, response, timeouts)
        return await self._complete(running, upstream, response)

    async def _complete(
        self, running: Running, upstream: UpstreamCall, response: UpstreamResponse, begun: bytes = b""
    ) -> Outcome:
        """Send the client a response that is not a stream. `begun` has been read of it."""
        if self._continues:
            message = f"{upstream.target.provider} sent no stream, so it cannot continue one"
            return Outcome(failure=Failure(kind="malformed", message=message), request="next")
        whole = self._settings.config.timeouts_for(upstream.target.provider).whole
        body = begun + await response.read(MAX_ANSWER_BYTES, whole=whole, since=running.began)
        full = self._adapter.read(upstream, await self._with_further(upstream, body) if upstream.further else body)
        if full.watch.failure is not None:
            self._note_failed(running, full.watch, full.watch.failure)
            return classify(full.watch.failure)
        if full.watch.uncalled and self._required.awaited(upstream, running.attempt):
            return self._missed(running, full.watch)
        full.watch.may_repeat = self._may_repeat(upstream, running.attempt)
        if full.watch.empty:
            return self._empty(running, full.watch)
        running.claim()
        headers = self._reply.head(upstream, response.headers, full.content_type)
        await self._reply.complete(response.status, headers, full.body)
        self._note_delivered(running, upstream, full.watch)
        return classify(None)

    async def _with_further(self, upstream: UpstreamCall, first: bytes) -> bytes:
        """The answers to all requests of the call, joined.

        Raises:
            UpstreamError: one of them failed.
        """
        provider, client, answers = upstream.target.provider, self._services.client, [first]
        timeouts = self._settings.timeouts_for(provider, stream=False)
        proxy = self._settings.config.proxy_for(provider)
        for request in upstream.further:
            found = await client.fetch(request, timeouts, proxy, limit=MAX_ANSWER_BYTES)
            if found.status // 100 != 2:
                raise UpstreamError(decode_error(found.status, found.headers, found.body))
            answers.append(found.body)
        return embeddings.joined(answers)

    async def _relay(
        self, running: Running, upstream: UpstreamCall, response: UpstreamResponse, timeouts: Timeouts
    ) -> Outcome:
        rescue, record, continued = self._rescue, self._reply.record, self._continues
        pipe = self._source.pipe(upstream)
        running.watch = pipe.watch
        pipe.watch.said = [] if self._required.awaited(upstream, running.attempt) else None
        pipe.watch.may_repeat = not continued and self._may_repeat(upstream, running.attempt)
        if continued:
            running.claim()
        relay = Relay(
            response,
            pipe,
            self._reply.client,
            lambda: self._reply.stream_head(upstream, response.headers, self._adapter.stream_type),
            self._settings.config.limits,
            timeouts,
            running=running,
            on_content=self._note_content,
            mask=self._services.mask,
            before_end=partial(self._remember, upstream, pipe.watch) if self._services.elsewhere is not None else None,
            committed=continued,
            cuts=self._reply.cuts,
        )
        try:
            failure = await relay.run()
        except (asyncio.CancelledError, ClientStalled):
            # The client is gone. What it has received shows that the account works.
            if relay.committed and pipe.watch.begun and pipe.watch.failure is None:
                self._updates.answered(running.lease)
            raise
        finally:
            if relay.committed and (pipe.watch.begun or not continued):
                self._note_delivered(running, upstream, pipe.watch)
        if relay.document:
            return await self._complete(running, upstream, response, relay.document)
        if failure is None and pipe.watch.uncalled:
            return self._missed(running, pipe.watch)
        if failure is None and not relay.committed and pipe.watch.empty:
            return self._empty(running, pipe.watch)
        if rescue is not None and (outcome := rescue.ended(upstream.target, pipe, failure, relay.committed, record)):
            return outcome
        outcome = classify(failure, streaming_started=relay.committed)
        if failure is None:
            return outcome
        if not relay.committed:
            self._note_failed(running, pipe.watch, failure)
        # The client has received the error in its stream, so no other target is tried.
        return msgspec.structs.replace(outcome, request="done") if relay.committed else outcome

    def _usage(self, watch: Watch) -> Usage | None:
        """The tokens of a response: as reported at its end, else an estimate of what came.

        Some services report none, and what they charge is not nothing.
        """
        usage = watch.usage or Usage()
        if not watch.begun or (watch.complete and (usage.prompt or usage.output)):
            return watch.usage
        if not usage.prompt:
            usage = msgspec.structs.replace(usage, input=prompt_tokens(self._adapter))
        return msgspec.structs.replace(usage, output=max(usage.output, tokens_in(watch.size)))

    def _missed(self, running: Running, watch: Watch) -> Outcome:
        """The outcome of an answer without the tool call that the client requires. It costs what any other does."""
        self._note_unsent(running, watch)
        return self._required.missed(watch)

    def _may_repeat(self, upstream: UpstreamCall, attempt: Attempt) -> bool:
        """Whether a model that answers with nothing is asked again, once.

        Gemini at times finishes with `STOP` and without a part, and answers the same request when it is repeated
        (https://github.com/livekit/agents/issues/4066, https://github.com/google-gemini/gemini-cli/issues/28784, read
        2026-11-30), and so do services with Chat Completions. Claude means it: after a tool result it may have nothing
        to add, and repeats the empty answer (https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons).
        """
        generates = self._adapter.call.operation == "generate" and upstream.target.protocol in _EMPTY_BY_MISTAKE
        return generates and not self._repeated and attempt.number < self._settings.limits.max_attempts

    def _empty(self, running: Running, watch: Watch) -> Outcome:
        """The outcome of an answer with nothing in it, of which the client has received nothing."""
        self._repeated = True
        self._note_unsent(running, watch)
        failure = Failure(kind="malformed", message="the model has answered with nothing")
        return Outcome(failure=failure, account=AccountEffect("answered"), request="again")

    def _note_unsent(self, running: Running, watch: Watch) -> None:
        """Record what an answer has cost that the client does not receive."""
        running.entry.usage = watch.usage
        if watch.usage is not None:
            self._updates.count_tokens(running.lease, watch.usage.prompt)

    def _note_failed(self, running: Running, watch: Watch, failure: Failure) -> None:
        """Record what has been used where the model has answered, though of no use, or where the service charges it.

        Whether a service bills an answer that it breaks off before the first content, none says.
        """
        if watch.usage is not None and (failure.kind == "malformed" or watch.usage.charged):
            self._note_unsent(running, watch)

    def _note_content(self) -> None:
        """The first content has arrived. It does not show that the account works: overload is also reported later."""
        if self._reply.record.first_content is None:
            self._reply.record.first_content = time.monotonic() - self._began

    def _note_delivered(self, running: Running, upstream: UpstreamCall, watch: Watch) -> None:
        """Record what the client has received."""
        record = self._reply.record
        record.status = 200
        record.target = upstream.target
        record.usage = self._usage(watch)
        record.finish = watch.finish.reason if watch.finish else ""
        record.failure = None if watch.failure is None else masked(watch.failure, self._services.mask)
        record.losses = upstream.losses
        record.passed_through = upstream.passes_through
        if watch.usage is not None:
            self._updates.count_tokens(running.lease, watch.usage.prompt)
        self.delivered.append((running.attempt.target, upstream, watch))


def _is_no_page(failure: Failure, model: str) -> bool:
    """Whether the service has nothing under the URL, rather than no such model."""
    return failure.upstream_status in (404, 405, 501) and "model" not in failure.code and model not in failure.message


def masked(failure: Failure, mask: Mask) -> Failure:
    """The failure without secrets: some upstreams quote a key or a header of bm's."""
    return msgspec.structs.replace(
        failure,
        message=mask(failure.message),
        code=mask(failure.code),
        param=mask(failure.param),
        upstream_body=mask.masked_bytes(failure.upstream_body) if failure.upstream_body else b"",
    )


def naming_project(failure: Failure, access: Access) -> Failure:
    """Name the project in a refused permission: most often the wrong one is set."""
    project = access.billed or (access.project if access.bearer else "")
    if failure.kind not in ("permission", "billing") or not project or project in failure.message:
        return failure
    return msgspec.structs.replace(failure, message=f"{failure.message} (project {project})")


async def _is_stream(response: UpstreamResponse, idle: float) -> bool:
    """Whether a response is a stream, by its content type or its first bytes."""
    named = response.header("content-type").partition(";")[0].strip().lower() == EVENT_STREAM
    return named or is_stream(await response.peek(idle))
