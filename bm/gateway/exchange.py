"""Serves one call: plans it, makes attempts, sends the response, and learns from what happened."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise

import msgspec

from bm.chat.estimate import countable, estimate
from bm.chat.events import Usage
from bm.dispatch.classify import lacks_media
from bm.dispatch.failover import Attempt, Course, still_cooling_down
from bm.dispatch.outcome import Outcome
from bm.dispatch.plan import Plan
from bm.errors import Failure, RequestError
from bm.gateway.account_updates import AccountUpdates
from bm.gateway.adapter import NO_COUNTER, Adapter
from bm.gateway.allowance import Allowance, prompt_tokens
from bm.gateway.attempt import Attempts, masked
from bm.gateway.call import Call, Client, tool_of
from bm.gateway.capture import Capture
from bm.gateway.fault import own_fault
from bm.gateway.healing import Healing
from bm.gateway.learned import LACKS
from bm.gateway.race import SILENT_BEFORE, Race, Running
from bm.gateway.record import Record
from bm.gateway.relay import ClientStalled
from bm.gateway.reply import KeepAlive, Reply
from bm.gateway.rescue import Rescue
from bm.gateway.services import Services
from bm.gateway.stores import STORING, is_stored
from bm.gateway.upstream_call import UpstreamCall
from bm.names import EMBEDDINGS
from bm.protocols.context_length import context_in_text
from bm.protocols.passthrough import Watch
from bm.remedies.remedy import Remedy

_log = logging.getLogger("bm.requests")


async def serve(services: Services, call: Call, client: Client) -> None:
    """Serve a call, with what other nodes know of the conversation that it goes on with."""
    if services.elsewhere is not None:
        await services.responses.recalled(call)
    await Exchange(services, call, client).run()


class Exchange:
    """Serves one call."""

    def __init__(self, services: Services, call: Call, client: Client) -> None:
        settings = services.settings
        record_enabled = services.recorder is not None and settings.config.record.enabled
        self._capture = Capture(call, client) if record_enabled else None
        self._services, self._settings, self._call = services, settings, call
        self._began = time.monotonic()
        self.record = Record(
            id=call.id,
            at=time.time(),
            protocol=call.protocol,
            operation=call.operation,
            model=call.model,
            stream=call.stream,
            key=call.key,
            tool=tool_of(call.headers),
            traceparent=next((value for name, value in call.headers if name == "traceparent"), ""),
        )
        self._healing = Healing(services.remedies)
        self._adapter = Adapter(
            services.responses.complete(call),
            services.signatures,
            settings.rules,
            services.models.facts,
            self._healing.of,
        )
        self._allowance = Allowance(services, settings, self._adapter, self.record)
        self._updates = AccountUpdates(services.pool, self.record, self._adapter.call.body)
        self._reply = Reply(call, self._capture or client, self.record)
        limits, waits = settings.config.limits, call.stream and not call.array and call.operation == "generate"
        every = limits.keep_alive if waits else 0.0
        self._keep_alive = KeepAlive(self._reply.client, first=limits.hold_time, every=every)
        rescued = settings.config.pool.rescue and call.stream and call.operation == "generate"
        self._rescue = Rescue(self._adapter) if rescued else None
        self._attempts = Attempts(
            services,
            settings,
            self._adapter,
            self._updates,
            self._reply,
            self._rescue,
            self._capture,
            self._healing,
            self._remember,
        )
        self._kept: list[UpstreamCall] = []
        self._transcript: list[tuple[Attempt, Outcome]] = []
        self._completed: Callable[[Plan], Plan] | None = None

    async def run(self) -> None:
        """Answer the client, with an answer or an error."""
        self._services.calls.begin(self.record)
        try:
            self._allowance.check()
            failure = await self._try_targets()
            if failure is not None and failure.code == NO_COUNTER:
                await self._estimate()
            elif failure is not None:
                await self._fail(failure)
            if self._services.elsewhere is not None:
                for _, upstream, watch in self._attempts.delivered:
                    await self._remember(upstream, watch)
            await self._reply.client.close()
        except RequestError as error:
            await self._fail(error.failure)
            await self._reply.client.close()
        except asyncio.CancelledError:
            self.record.client_left = True
            raise
        except ClientStalled:
            self.record.client_left = True
            await self._reply.client.cut()
        except Exception as error:  # noqa: BLE001 - whatever went wrong, the client gets an answer
            await self._give_up(own_fault(error))
        finally:
            for step in (self._allowance.settle, self._learn):
                try:
                    step()
                except Exception as error:  # noqa: BLE001 - the client has its response
                    own_fault(error)
            self.record.close(time.monotonic() - self._began, self._adapter.call.body)
            _log.info("%s", self.record)
            self._services.calls.end(self.record)
            if self._services.recorder is not None and self._capture is not None:
                self._services.recorder.keep(self._capture, self.record, self._settings)
            # They refer back: without this, the body would wait for the garbage collector.
            del self._attempts

    async def _try_targets(self) -> Failure | None:
        """Try one target after another. None means that the client has received all of a response that it will get."""
        router, settings, call = self._services.router, self._settings, self._adapter.call
        hooked, random_number = await router.hooked_for(settings, call), random.random()

        def plan(model: str, barred: Mapping[str, str]) -> Plan:
            other = call if model == call.model else msgspec.structs.replace(call, model=model)
            name = hooked if other is call else ""
            self._completed = partial(router.complete, settings, other, barred=barred)
            return router.plan(settings, other, random_number=random_number, barred=barred, hooked=name)

        planned = self.record.plan = await self._allowance.planned(plan)
        course = Course(planned, self._settings.limits)
        while attempt := course.next():
            await self._race(course, attempt)
        self._updates.roll_back(self._transcript)
        return course.result

    async def _race(self, course: Course, attempt: Attempt) -> None:
        """Make an attempt, and others beside it while it is silent, until all have ended."""
        async with Race(self._attempt, self._keep_alive, self._keep_waiting) as race:
            race.begin(self._running(attempt))
            while race.under_way:
                ended = await race.next()
                if ended is not None:
                    self._note(course, *ended)
                    continue
                self._complete(course)
                if beside := course.beside(time.monotonic() - self._began):
                    race.begin(self._running(beside))
                else:
                    race.closed = True

    def _running(self, attempt: Attempt) -> Running:
        continues = self._rescue is not None and self._rescue.cut is not None
        hedge = self._settings.hedge_for(attempt.target.provider, stream=self._call.stream)
        hedge *= SILENT_BEFORE if self._updates.was_silent(attempt.target) else 1.0
        return Running(attempt, 0.0 if continues else hedge)

    def _note(self, course: Course, running: Running, outcome: Outcome | None) -> None:
        """Tell dispatch how an attempt has ended: None if it was cancelled."""
        if outcome is None:
            course.cancelled(running.attempt)
            self._note_cancelled(running)
            return
        self._transcript.append((running.attempt, outcome))
        if outcome.failure is not None:
            self._complete(course)
        course.record(running.attempt, outcome)
        if outcome.failure is not None:
            self._updates.suspect(self._transcript)

    def _complete(self, course: Course) -> None:
        """Plan the other choices, now that the first one may not be enough."""
        if not (course.partial and self.record.plan and self._completed):
            return
        planned = self.record.plan = self._completed(self.record.plan)
        course.complete(planned, time.monotonic() - self._began)

    def _note_cancelled(self, running: Running) -> None:
        """Record what an attempt has used that is of no use: its service bills it all the same."""
        entry = running.entry
        entry.outcome, entry.message = "cancelled", "another target had an answer first"
        if not running.sent:
            return
        if self._call.stream and running.is_silent:
            self._updates.note_silence(running.lease)
        entry.usage = self._usage_of_cancelled(running)
        entry.message += f"; its service may bill the prompt of about {entry.usage.prompt} tokens"
        self._updates.count_tokens(running.lease, entry.usage.prompt)

    def _usage_of_cancelled(self, running: Running) -> Usage:
        """What an attempt has used that was cancelled before its client had anything of it."""
        reported = running.watch.usage if running.watch is not None else None
        return reported or Usage(input=prompt_tokens(self._adapter))

    async def _attempt(self, running: Running) -> Outcome:
        """Make an attempt and apply its outcome to its account."""
        attempt, entry, updates = running.attempt, running.entry, self._updates
        if attempt.wait:
            await asyncio.sleep(attempt.wait)
        target = attempt.target
        if not attempt.repeat and updates.cooldown_left(target) and (left := await updates.cooldown_once_known(target)):
            return still_cooling_down(left, overloaded=updates.overloaded(target))
        await self._allowance.reserve(attempt.target)
        self.record.attempts.append(entry)
        lease = running.lease = updates.begin(attempt.target)
        entry.at = lease.sent - self._began
        try:
            outcome = await self._attempts.run(running)
        except asyncio.CancelledError:
            if running.sent and self.record.target is None:
                entry.usage = self._usage_of_cancelled(running)
            raise
        except RequestError as error:
            if not attempt.beside:
                raise
            # What this target cannot take is no reason to give up the one that is being waited for.
            outcome = Outcome(failure=error.failure, request="next")
        finally:
            lease.end()
            entry.took = time.monotonic() - lease.sent
        if self._rescue is not None:
            outcome = self._rescue.judged(outcome, attempt.target)
        return updates.settle(lease, entry, outcome, disturbed=self._services.disturbed)

    async def _keep_waiting(self) -> None:
        """Send a keep-alive to the client of a stream that has not begun, or was cut."""
        if self._rescue is not None and self._rescue.cut is not None:
            await self._reply.client.send(self._rescue.keepalive())
        else:
            await self._reply.keep_waiting()

    async def _estimate(self) -> None:
        """Send an estimate where no service counts the model's tokens.

        Raises:
            RequestError: the body is not a request of its protocol.
        """
        chat = self._adapter.chat
        if not countable(chat):
            message = "the request names uploaded files, and no service counts their tokens for this model"
            await self._reply.fail(Failure(kind="not_found", message=message))
            return
        tokens = estimate(chat)
        if (target := self.record.last_target) is not None:
            tokens = self._services.calibration.correct((target.provider, target.model), tokens)
        await self._reply.estimate(tokens)

    async def _fail(self, failure: Failure) -> None:
        """Send the client why there is no answer, or in its stream why the one it has begun to read stops."""
        rescue = self._rescue
        if rescue is None or rescue.cut is None:
            await self._reply.fail(failure)
            return
        self.record.failure = masked(rescue.cut, self._services.mask)
        await self._reply.break_off(rescue.error(self.record.failure))

    async def _give_up(self, failure: Failure) -> None:
        """Answer the client after a fault of bm's own outside of any attempt, or in writing an error."""
        self.record.failure = failure
        if self._reply.client.started:
            await self._reply.client.cut()
            return
        await self._reply.fail(failure)
        await self._reply.client.close()

    def _learn(self) -> None:
        """Store what the exchange shows about conversations and models."""
        for target, upstream, watch in self._attempts.delivered:
            self._learn_from(upstream, watch)
            self._healing.learn(upstream, target, self._settings.providers[target.provider])
        self._learn_media()
        for attempt, outcome in self._transcript:
            failure, target = outcome.failure, attempt.target
            if failure is not None and failure.kind == "context_too_long":
                provider, tokens = self._settings.providers[target.provider], context_in_text(failure.message)
                if tokens is not None and not self._adapter.capabilities(target, provider).context:
                    self._services.context_limits.learn(provider, target.model, tokens, wall=time.time())

    def _learn_media(self) -> None:
        """A model that refused media, and answered with notes in their place, would refuse them again."""
        for (_, refused), (attempt, answered) in pairwise(self._transcript):
            if refused.failure is None or not lacks_media(refused.failure) or answered.failure is not None:
                continue
            if attempt.repeat and attempt.without:
                provider = self._settings.providers[attempt.target.provider]
                values, reason = tuple(sorted(attempt.without)), " ".join(refused.failure.message.split())[:200]
                remedy = Remedy(LACKS, values=values, reason=reason)
                self._services.remedies.learn(provider, attempt.target, remedy, wall=time.time())

    async def _remember(self, upstream: UpstreamCall, watch: Watch) -> None:
        """Store what later turns need, and wait a moment for it to be where other nodes find it."""
        try:
            self._keep(upstream, watch)
        except Exception as error:  # noqa: BLE001 - the client gets its response all the same
            own_fault(error)
        if self._services.elsewhere is not None:
            self._services.signatures.note_unsigned(watch.unsigned, self._call.conversation.key)
            await self._services.elsewhere.settled()

    def _keep(self, upstream: UpstreamCall, watch: Watch) -> None:
        """Store what later turns of the conversation need, once for each response."""
        if any(each is upstream for each in self._kept):
            return
        self._kept.append(upstream)
        services = self._services
        services.router.served(self._settings, self._call, upstream.target)
        services.signatures.keep(watch.signatures, self._call.conversation.key)
        if (self._call.protocol, self._call.operation) == ("openai-responses", "generate"):
            self._store(upstream)

    def _learn_from(self, upstream: UpstreamCall, watch: Watch) -> None:
        services, target = self._services, upstream.target
        self._keep(upstream, watch)
        translated = not upstream.passes_through and self._call.operation not in EMBEDDINGS
        if watch.usage is not None and translated and target.protocol == "openai-chat":
            # No service of this protocol counts tokens, so they are estimated.
            estimated = estimate(self._adapter.chat)
            services.calibration.learn((target.provider, target.model), estimated, watch.usage.prompt)

    def _store(self, upstream: UpstreamCall) -> None:
        """Store a response for calls that follow on it, unless the client wants it not to be."""
        if response := self._adapter.response(upstream):
            dialect = self._settings.providers[upstream.target.provider].dialect.name
            native = upstream.passes_through and dialect in STORING
            # Only a remedy changes the client's `store`.
            native = native and (not upstream.remedies or is_stored(upstream.request.body))
            account = upstream.target.account_id if native else None
            self._services.responses.keep(self._call.body, response, account)
