"""One call's way: plan, attempts, answer."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable
from functools import partial
from typing import TypeVar

import msgspec

from bm.accounts.account import Access
from bm.accounts.google import TokenError
from bm.chat.estimate import countable, estimate
from bm.config.secrets import hint
from bm.dispatch.classify import classify
from bm.dispatch.failover import Attempt, attempts, still_cooling_down
from bm.dispatch.outcome import Outcome
from bm.dispatch.plan import Plan
from bm.dispatch.refusal import KEY_TROUBLE
from bm.dispatch.target import Target
from bm.errors import Failure, RequestError
from bm.gateway.books import Books
from bm.gateway.call import Call, Client, json_object
from bm.gateway.capture import Capture
from bm.gateway.lane import NO_COUNTER, Lane, Unable
from bm.gateway.lanes import Lanes
from bm.gateway.record import AttemptRecord, Record
from bm.gateway.relay import Relay
from bm.gateway.reply import Reply
from bm.gateway.rescue import Rescue
from bm.gateway.services import Services
from bm.protocols.passthrough import Watch
from bm.protocols.rate_limits import context_in_text, with_delay
from bm.upstream.client import UpstreamError, UpstreamResponse
from bm.upstream.fetch import fetch_media

MAX_ERROR_BYTES = 1024 * 1024
MAX_ANSWER_BYTES = 256 * 1024 * 1024
UNAUTHENTICATED = 401
Result = TypeVar("Result")

_log = logging.getLogger("bm.requests")


class Exchange:
    """Serves one generating call."""

    def __init__(self, services: Services, call: Call, client: Client) -> None:
        captured = services.recorder is not None and services.config.record.enabled
        self._capture = Capture(call, client) if captured else None
        self._services, self._call, self._client = services, call, self._capture or client
        self._settings = services.settings
        self._lanes = Lanes(
            services.responses.complete(call),
            services.signatures,
            services.settings.rules,
            services.models.max_output,
            services.refused_schemas,
        )
        self._rescue = Rescue(self._lanes, on=services.config.pool.rescue)
        self._refused_by: set[tuple[str, str]] = set()
        self._began = time.monotonic()
        self.record = Record(
            id=call.id,
            at=time.time(),
            protocol=call.protocol,
            operation=call.operation,
            model=call.model,
            stream=call.stream,
        )
        self._books = Books(services.pool, self.record, self._lanes.call.body)
        self._reply = Reply(call, self._client, self.record)

    async def run(self) -> None:
        """Answer the client, one way or the other."""
        self._services.calls.begin(self.record)
        try:
            failure = await self._through(self._plan())
            if failure is not None and failure.code == NO_COUNTER:
                await self._estimate()
            elif failure is not None:
                await self._tell(failure)
        except RequestError as error:
            await self._tell(error.failure)
        except asyncio.CancelledError:
            self.record.client_left = True
            raise
        finally:
            self.record.close(time.monotonic() - self._began, self._lanes.call.body)
            _log.info("%s", self.record.line())
            self._services.calls.end(self.record)
            if self._services.recorder is not None and self._capture is not None:
                self._services.recorder.keep(self._capture, self.record, self._settings)

    def _plan(self) -> Plan:
        self.record.plan = self._services.router.plan(self._settings, self._lanes.call, roll=random.random())
        return self.record.plan

    async def _through(self, chosen: Plan) -> Failure | None:
        """Try target after target. None means the client has its answer, or as much as there will ever be."""
        transcript: list[tuple[Attempt, Outcome]] = []
        steps = attempts(chosen, self._settings.limits)
        try:
            attempt = next(steps)
            while True:
                outcome = await self._attempt(attempt)
                transcript.append((attempt, outcome))
                if outcome.failure is not None:
                    self._books.suspect(transcript)
                self._learn_schemas(attempt, outcome)
                attempt = steps.send(outcome)
        except StopIteration as stop:
            self._books.roll_back(transcript)
            failure: Failure | None = stop.value
            return failure

    def _learn_schemas(self, attempt: Attempt, outcome: Outcome) -> None:
        """Remember what was refused once it has been answered with simplified schemas: they were the reason."""
        if outcome.request == "simplify":
            self._refused_by.add((attempt.target.provider, attempt.target.model))
        elif outcome.failure is None and attempt.simplify_schema:
            for model in self._refused_by:
                self._services.refused_schemas.learn(model, self._lanes.chat)

    async def _attempt(self, attempt: Attempt) -> Outcome:
        """One upstream call, booked for its account."""
        if attempt.wait:
            await self._keep_waiting(asyncio.sleep(attempt.wait))
        target, books = attempt.target, self._books
        if attempt.fresh and (seconds := books.cooldown_left(target)):
            return still_cooling_down(seconds, overloaded=books.overloaded(target))
        entry = AttemptRecord(target=target, reason=attempt.reason, wait=attempt.wait)
        self.record.attempts.append(entry)
        lease = books.begin(target)
        entry.at = lease.sent - self._began
        try:
            outcome = self._rescue.judged(await self._send(attempt, entry), target)
        finally:
            lease.end()
            entry.took = time.monotonic() - lease.sent
        return books.settle(entry, outcome, disturbed=self._services.disturbed)

    async def _keep_waiting(self, work: Awaitable[Result]) -> Result:
        return await self._rescue.keep_waiting(work, self._client, self._settings.config.limits.keep_alive)

    async def _send(self, attempt: Attempt, entry: AttemptRecord) -> Outcome:
        """One upstream call; a second one where an access token had ended before its time."""
        target = attempt.target
        try:
            access = await self._access(target)
            outcome = await self._send_as(access, attempt, entry)
            if entry.status == UNAUTHENTICATED and access.bearer:
                renewed = await self._access(target, refused=access.key)
                outcome = await self._send_as(renewed, attempt, entry)
        except TokenError as error:
            outcome = classify(error.failure)
            if error.failure.kind not in KEY_TROUBLE:
                # The account is not to blame when Google's sign-in cannot be reached.
                outcome = Outcome(failure=error.failure, request="next")
        return outcome

    async def _access(self, target: Target, *, refused: str = "") -> Access:
        """What the request carries for the target's account. `refused` is a token that the service did not take.

        Raises:
            TokenError: there is none.
        """
        credential = self._services.pool.credential(target.account_id)
        if credential is None:
            message = f"the account {target.account} of {target.provider} is gone"
            raise TokenError(Failure(kind="unavailable", message=message))
        return await self._services.tokens.access(credential, refused=refused)

    async def _send_as(self, access: Access, attempt: Attempt, entry: AttemptRecord) -> Outcome:
        target, settings = attempt.target, self._settings
        provider = settings.providers[target.provider]
        proxy = settings.config.proxy_for(target.provider)
        await self._lanes.inline_media(target, provider, partial(fetch_media, proxy=proxy), attempt.without)
        try:
            lane = self._rescue.prepare(attempt, provider, access)
        except Unable as unable:
            # Another target may be able to; if none is, the client reads this one's reason.
            return Outcome(failure=unable.failure, request="next")
        if way := self._rescue.way:
            entry.reason = f"{entry.reason}; {way}"
        if self._capture is not None:
            self._capture.requests.append(lane.request)
        timeouts = settings.patience(target.provider, stream=self._call.stream)
        try:
            response = await self._keep_waiting(self._services.client.open(lane.request, timeouts, proxy))
        except UpstreamError as error:
            return classify(error.failure)
        entry.status = response.status
        try:
            if response.status // 100 == 2:
                self._books.pace(response.headers)
                return await self._answered(lane, response)
            return await self._refused(lane, response, access)
        except UpstreamError as error:
            return classify(error.failure)
        finally:
            response.close()

    def _learn(self, target: Target, failure: Failure) -> None:
        """Remember how many tokens a model takes that no table knows."""
        provider = self._settings.providers[target.provider]
        most = context_in_text(failure.message) if failure.kind == "context_too_long" else None
        if most is not None and not self._lanes.capabilities(target, provider).context:
            self._services.context_limits.learn(provider, target.model, most, wall=time.time())

    async def _refused(self, lane: Lane, response: UpstreamResponse, access: Access) -> Outcome:
        body = _without(
            access.key,
            await response.read(MAX_ERROR_BYTES, self._settings.config.timeouts_for(lane.target.provider).idle),
        )
        headers = dict(response.headers)
        failure = lane.codec.decode_error(response.status, headers, body)
        if not lane.passes_through or not body.lstrip().startswith((b"{", b"[")):
            # Another protocol's body, or a web page, is of no use to the client; the words in `message` are.
            failure = msgspec.structs.replace(failure, upstream_body=b"")
        self._learn(lane.target, failure)
        failure = with_delay(failure, headers, time.time())
        self._books.refused(failure, headers, body)
        return classify(naming_project(failure, access), translated=lane.can_simplify)

    async def _answered(self, lane: Lane, response: UpstreamResponse) -> Outcome:
        if self._call.stream and (self._call.array or _is_stream(response)):
            return await self._streamed(lane, response)
        if self._rescue.cut is not None:
            message = f"{lane.target.provider} sent no stream, so it cannot go on with one"
            return Outcome(failure=Failure(kind="malformed", message=message), request="next")
        whole = self._lanes.whole(lane, await response.read(MAX_ANSWER_BYTES, self._silence(lane)))
        if whole.watch.failure is not None:
            return classify(whole.watch.failure, translated=lane.can_simplify)
        await self._reply.complete(
            response.status, self._reply.head(lane, response.headers, whole.content_type), whole.body
        )
        self._complete(lane, whole.watch)
        return classify(None)

    def _silence(self, lane: Lane) -> float:
        """Seconds of silence inside an answer that is no stream: some send their head before they have thought."""
        timeouts = self._settings.config.timeouts_for(lane.target.provider)
        return max(timeouts.idle, timeouts.whole) if timeouts.idle and timeouts.whole else 0.0

    async def _streamed(self, lane: Lane, response: UpstreamResponse) -> Outcome:
        rescue = self._rescue
        pipe = rescue.pipe(lane)
        headers = self._reply.head(lane, response.headers, "" if lane.passes_through else self._lanes.stream_type)
        headers.append(("cache-control", "no-cache"))
        config, going_on = self._settings.config, rescue.cut is not None
        timeouts = config.timeouts_for(lane.target.provider)
        on_content = self._answers
        relay = Relay(
            response, pipe, self._client, headers, config.limits, timeouts, on_content=on_content, committed=going_on
        )
        try:
            failure = await relay.run()
        finally:
            if pipe.watch.begun or (relay.committed and not going_on):
                self._complete(lane, pipe.watch)
        broken = relay.committed and pipe.resumable
        if going_on or (failure is not None and broken):
            self.record.shares.append((lane.target, rescue.share(pipe.watch)))
        if failure is None:
            rescue.done()
            self.record.seams = rescue.seams
            return Outcome()
        if broken:
            return rescue.broken(failure)
        outcome = classify(failure, streaming_started=relay.committed)
        # The client has been told in its stream; there is nothing left to try.
        return msgspec.structs.replace(outcome, request="done") if relay.committed else outcome

    def _answers(self) -> None:
        """The first content is here: the account works, however long the rest takes."""
        if self.record.first_content is None:
            self.record.first_content = time.monotonic() - self._began
        self._books.answered()

    def _complete(self, lane: Lane, watch: Watch) -> None:
        """Note what the client received."""
        record = self.record
        record.status = 200
        record.target = lane.target
        record.usage = watch.usage
        if watch.usage is not None:
            self._books.read(watch.usage.prompt)
        record.finish = watch.finish.reason if watch.finish else ""
        record.failure = watch.failure
        record.losses = lane.losses
        record.passed_through = lane.passes_through
        self._services.signatures.keep(watch.signatures, self._call.conversation.key)
        if self._call.protocol == "openai-responses" and (response := self._lanes.response) is not None:
            self._services.responses.keep(json_object(self._call.body), response)
        if watch.usage is not None and not lane.passes_through and lane.target.protocol == "openai-chat":
            # Its tokens are estimated where they are asked for: no service of this protocol counts them.
            model = lane.target.provider, lane.target.model
            self._services.calibration.learn(model, estimate(self._lanes.chat), watch.usage.prompt)
        self._services.router.served(self._settings, self._call, lane.target)

    async def _estimate(self) -> None:
        """The upstream of this model counts no tokens; a good guess is marked as one."""
        chat = self._lanes.chat
        if not countable(chat):
            message = "the request names uploaded files, whose tokens nobody counts for this model"
            await self._reply.fail(Failure(kind="not_found", message=message))
            return
        tokens = estimate(chat)
        if self.record.attempts:
            target = self.record.attempts[-1].target
            tokens = self._services.calibration.correct((target.provider, target.model), tokens)
        await self._reply.estimate(tokens)

    async def _tell(self, failure: Failure) -> None:
        """Tell the client why there is no answer, or no rest of the one that it has begun to read."""
        cut = self._rescue.cut
        if cut is None:
            await self._reply.fail(failure)
            return
        self.record.failure = cut
        await self._client.end(self._rescue.told(cut))


def naming_project(failure: Failure, access: Access) -> Failure:
    """A refused permission with the project it is about: that a wrong one is set is its commonest cause."""
    project = access.billed or (access.project if access.bearer else "")
    if failure.kind not in ("permission", "billing") or not project or project in failure.message:
        return failure
    return msgspec.structs.replace(failure, message=f"{failure.message} (project {project})")


def _is_stream(response: UpstreamResponse) -> bool:
    return response.header("content-type").partition(";")[0].strip().lower() == "text/event-stream"


def _without(secret: str, body: bytes) -> bytes:
    """The body without the account's key, which some upstreams quote."""
    return body.replace(secret.encode(), hint(secret).encode()) if secret else body
