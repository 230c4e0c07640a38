"""`bm test --deep`: asks models what they take, and keeps the answers as learned facts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterator

import msgspec

from bm.accounts.account import Access
from bm.accounts.credentials import Credential
from bm.accounts.google import TokenError
from bm.chat.events import Usage
from bm.config.secrets import Mask
from bm.dispatch.target import Target
from bm.errors import Failure
from bm.gateway.attempt import MAX_ERROR_BYTES
from bm.gateway.learned import TAKES
from bm.gateway.probe import is_chosen
from bm.gateway.services import Services
from bm.ledger.prices import cost_of
from bm.protocols.errors import decode_error, in_band
from bm.protocols.reading import json_of, object_of
from bm.providers.provider import Provider
from bm.remedies.apply import treated
from bm.remedies.find import remedies_for
from bm.remedies.questions import ANSWER, Question, facts, plain, questions
from bm.remedies.remedy import Remedy
from bm.upstream.client import UpstreamError, UpstreamRequest
from bm.upstream.endpoint import own_headers, url

MAX_MODELS = 3
"""Models of a provider that are asked: those that bm maps families to."""
MAX_REMEDIES = 3
PROMPT = 80
"""Tokens of a question, about."""
REASON = "asked by bm test --deep"


class DeepPlan(msgspec.Struct, frozen=True):
    """What asking a model takes; `cost` is in US dollars, None while no price is known."""

    provider: str
    account: str
    model: str
    requests: int
    cost: float | None


class DeepAnswer(msgspec.Struct, frozen=True):
    """The answer to one question: `yes`, `no` or `unknown`, with the service's words where it refused."""

    provider: str
    model: str
    question: str
    answer: str
    words: str = ""


def plans(services: Services, names: Collection[str]) -> list[DeepPlan]:
    """What would be asked, and at which cost. Sends nothing; computes prices: not for the event loop."""
    found = []
    for credential, provider, model in _chosen(services, names):
        number = len(questions(provider.protocol, model)) + 1
        usage = Usage(input=PROMPT * number, output=ANSWER * number)
        account = credential.account
        found.append(DeepPlan(provider.name, account.name, model, number, cost_of(provider.name, model, usage)))
    return found


def _chosen(services: Services, names: Collection[str]) -> Iterator[tuple[Credential, Provider, str]]:
    """The first usable account of each provider that is chosen, with each of the models to ask."""
    seen: set[str] = set()
    for credential in services.settings.credentials:
        account = credential.account
        if account.provider in seen or credential.problem or not is_chosen(credential, services.settings, names):
            continue
        seen.add(account.provider)
        provider = services.settings.providers[account.provider]
        mapped = dict.fromkeys(filter(None, (provider.models | provider.words).values()))
        for model in list(mapped)[:MAX_MODELS]:
            yield credential, provider, model


async def ask_deeply(services: Services, names: Collection[str]) -> list[DeepAnswer]:
    """Ask all questions, models of different providers at once."""
    asked = [_Asker(services, *each).run() for each in _chosen(services, names)]
    return [answer for answers in await asyncio.gather(*asked) for answer in answers]


class _Asker:
    """Asks one model. `_needed` are the remedies without which it refuses any request."""

    def __init__(self, services: Services, credential: Credential, provider: Provider, model: str) -> None:
        self._services, self._credential, self._provider = services, credential, provider
        self._target = Target(provider.name, credential.account.name, model, provider.protocol)
        self._access = Access()
        self._needed: tuple[Remedy, ...] = ()

    async def run(self) -> list[DeepAnswer]:
        protocol, model = self._provider.protocol, self._target.model
        try:
            self._access = await self._services.tokens.access(self._credential)
        except TokenError as error:
            return [self._answer(Question("access", {}), error.failure)]
        first = Question("a plain request", plain(protocol, model))
        if (failure := await self._ask_plain(first)) is not None:
            return [self._answer(first, failure)]
        answers: dict[tuple[str, str], bool] = {}
        rows = [self._answer(first, None)]
        for question in questions(protocol, model):
            failure = await self._ask(question)
            rows.append(self._answer(question, failure))
            if failure is None or failure.kind == "bad_request":
                answers[question.name, question.value] = failure is None
            worthwhile = question.name == "limit" or (
                question.name == "schema keywords" and answers.get(("schema", ""))
            )
            if failure is not None and worthwhile:
                await self._try_remedies(question, failure)
        self._learn_facts(answers)
        return rows

    def _learn_facts(self, answers: dict[tuple[str, str], bool]) -> None:
        """Keep the levels, and of the rest what the tables believe and the model refuses.

        That a plain request may do something does not mean that any may.
        """
        protocol, model = self._provider.protocol, self._target.model
        known = self._services.models.facts(self._provider.name).get(model, {})
        believed = self._provider.capabilities(protocol, model, known)
        for member, values in facts(answers).items():
            belief = getattr(believed, member)
            if member == "levels":
                news = belief != values and believed.thinking not in ("none", "budget")
            else:
                news = belief != values[0] and values[0] in (False, "never", "json", "none") and belief != "none"
            if news:
                self._learn(Remedy(TAKES, member, values, reason=REASON))

    async def _ask_plain(self, question: Question) -> Failure | None:
        """Ask for nothing special, with the remedies that this takes."""
        failure = await self._ask(question)
        for _ in range(MAX_REMEDIES):
            if failure is None or failure.kind != "bad_request":
                break
            failure = await self._try_remedies(question, failure, keep=True)
        return failure

    async def _try_remedies(self, question: Question, failure: Failure, *, keep: bool = False) -> Failure | None:
        """Ask once more with the first remedy that changes the request, and learn it if it is answered."""
        body = msgspec.json.encode(question.body)
        for group in remedies_for(failure, body, self._target.protocol):
            if any(remedy.passing for remedy in group):
                continue
            if not treated(body, (*self._needed, *group), self._target.protocol)[1][len(self._needed) :]:
                continue
            again = await self._ask(question, group)
            if again is None:
                for remedy in group:
                    self._learn(remedy)
                self._needed = (*self._needed, *group) if keep else self._needed
            return again
        return failure

    def _learn(self, remedy: Remedy) -> None:
        self._services.remedies.learn(self._provider, self._target, remedy, wall=time.time())

    async def _ask(self, question: Question, remedies: tuple[Remedy, ...] = ()) -> Failure | None:
        """Why the model refuses the request; None where it answers."""
        settings, name, protocol = self._services.settings, self._provider.name, self._target.protocol
        body, _ = treated(msgspec.json.encode(question.body), (*self._needed, *remedies), protocol)
        address = url(self._provider, self._target, "generate", self._access, stream=False)
        request = UpstreamRequest(name, "POST", address, own_headers(self._provider, self._access), body)
        try:
            timeouts, proxy = settings.timeouts_for(name, stream=False), settings.config.proxy_for(name)
            found = await self._services.client.fetch(request, timeouts, proxy, limit=MAX_ERROR_BYTES)
        except UpstreamError as error:
            return error.failure
        if found.status // 100 != 2:
            return decode_error(found.status, found.headers, found.body)
        document = object_of(json_of(found.body))
        return in_band(document) if document.get("error") else None

    def _answer(self, question: Question, failure: Failure | None) -> DeepAnswer:
        kind = "yes" if failure is None else "no" if failure.kind == "bad_request" else "unknown"
        words = Mask((self._credential.secret, self._access.key))(failure.message) if failure is not None else ""
        name = f"{question.name} {question.value}".strip()
        return DeepAnswer(self._provider.name, self._target.model, name, kind, words)
