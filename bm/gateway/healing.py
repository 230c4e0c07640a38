"""Heals refusals of one exchange: chooses remedies, gives up those that did not help, and learns those that did."""

from __future__ import annotations

import time
from collections.abc import Callable

from bm.chat.capabilities import Capabilities
from bm.dispatch.target import Target
from bm.errors import Failure, RequestError
from bm.gateway.learned import LearnedRemedies, Subject
from bm.gateway.upstream_call import UpstreamCall
from bm.providers.provider import Provider
from bm.remedies.apply import REWRITE, SPEAK
from bm.remedies.find import remedies_for
from bm.remedies.remedy import Remedy, joined


class Healing:
    """The remedies of one exchange, for each model it is sent to."""

    def __init__(self, learned: LearnedRemedies) -> None:
        self._learned = learned
        self._current: dict[Subject, tuple[Remedy, ...]] = {}
        self._tried: dict[Subject, set[str]] = {}
        self._refused: set[int] = set()
        self._last: dict[Subject, tuple[str, tuple[Remedy, ...]]] = {}

    def of(self, target: Target) -> tuple[Remedy, ...]:
        """What requests to a target are changed by: what is learnt of its model, and what this exchange tries."""
        if not (self._current or self._learned):
            return ()
        subject = subject_of(target)
        current = self._current.get(subject)
        return self._learned.of(subject) if current is None else current

    def find(
        self,
        failure: Failure,
        upstream: UpstreamCall,
        target: Target,
        prepare: Callable[[], UpstreamCall],
        takes: Capabilities | None = None,
        *,
        own: bool = False,
    ) -> str:
        """Choose remedies for a refused request; returns them in words, or nothing where none changes the request.

        `prepare` makes the request anew; `takes` is what is known of the model; an `own` request is as the client wrote
        it for this model. What was tried for the same refusal before has not helped and is given up.
        """
        self._refused.add(_digest(upstream))
        subject, before = subject_of(upstream.target), self.of(upstream.target)
        message, added = self._last.get(subject, ("", ()))
        if message == failure.message:
            before = tuple(remedy for remedy in before if remedy not in added)
        tried = self._tried.setdefault(subject, set())
        for group in remedies_for(failure, upstream.request.body, upstream.target.protocol, takes):
            if own and any(remedy.operation == "weaken" and remedy.passing for remedy in group):
                # The client has written this schema for this service, and learns best what is wrong with it.
                continue
            words = "; ".join(map(str, group))
            if words in tried:
                continue
            tried.add(words)
            self._current[subject] = before
            for remedy in group:
                changed = subject_of(target) if remedy.operation == SPEAK else subject
                self._current[changed] = joined(self._current.get(changed, ()), remedy)
            if self._is_new(prepare):
                self._last[subject] = failure.message, group
                return words
        self._current[subject] = before
        return ""

    def _is_new(self, prepare: Callable[[], UpstreamCall]) -> bool:
        """Whether the request made anew is none that was refused before."""
        try:
            return _digest(prepare()) not in self._refused
        except RequestError:
            return False

    def learn(self, upstream: UpstreamCall, target: Target, provider: Provider) -> None:
        """The model has answered: what the request was changed by holds for later ones too."""
        effective = [(upstream.target, remedy) for remedy in upstream.remedies]
        for where in {target, upstream.target}:
            effective += [(where, remedy) for remedy in self.of(where) if remedy.operation in (SPEAK, REWRITE)]
        for where, remedy in effective:
            known = {each.change for each in self._learned.of(subject_of(where))}
            if not remedy.passing and remedy.change not in known:
                self._learned.learn(provider, where, remedy, wall=time.time())


def subject_of(target: Target) -> Subject:
    """What remedies hold for."""
    return target.provider, target.model, target.protocol


def _digest(upstream: UpstreamCall) -> int:
    return hash((upstream.request.url, upstream.request.body, tuple(upstream.request.headers)))
