"""Answers a request, or sends the fault that was asked for."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import msgspec

from bm.simulator import anthropic, faults, gemini, models, oauth, openai_chat, openai_responses, rules
from bm.simulator.answer import Answer, Caches, Prompt, calls_of, compose, count
from bm.simulator.connection import Exchange
from bm.simulator.faults import Refused, Trouble
from bm.simulator.oauth import Authority
from bm.simulator.player import JSON, Player
from bm.simulator.request import (
    Api,
    Json,
    Record,
    Request,
    Target,
    api_of,
    credential,
    masked,
    parse_query,
    tail,
    target,
)
from bm.simulator.rules import Quota, Rule, RuleBook, Script
from bm.simulator.wire import Wire

WIRES: dict[Api, Wire] = {
    "anthropic": anthropic,
    "openai-chat": openai_chat,
    "openai-responses": openai_responses,
    "gemini": gemini,
}
_MOST_PENDING = 1000
_DAY = 86_400.0


class App:
    """The state of the simulator, and its handler. `clock` gives seconds for quotas and the log."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.rulebook = RuleBook()
        self.records: list[Record] = []
        self._clock = clock
        self._started = clock()
        self._number = 0
        self._open: dict[Exchange, Record] = {}
        self.reset()

    def reset(self) -> None:
        """Remove rules, quotas, keys, caches and the log. Answers that are being sent are not affected."""
        self.rulebook.clear()
        self.records.clear()
        self.quotas: dict[str, Quota] = {}
        self.keys: tuple[str, ...] | None = None
        self._windows: dict[str, tuple[float, int, int]] = {}
        self._pending: dict[str, tuple[Rule, int]] = {}
        self._caches = Caches()
        self.authority = Authority()

    def apply(self, script: Script) -> None:
        """Apply a script."""
        if script.replace:
            self.rulebook.clear()
        self.rulebook.add(script.rules)
        if script.quotas is not None:
            self.quotas |= script.quotas
        if script.keys is not None:
            self.keys = script.keys
        if script.oauth is not None:
            self.authority.apply(script.oauth)

    def gone(self, exchange: Exchange) -> None:
        """Record that the client disconnected before the answer to `exchange` was complete."""
        if record := self._open.pop(exchange, None):
            record.aborted = True
            record.duration = self._now() - record.t

    def _now(self) -> float:
        return self._clock() - self._started

    async def __call__(self, exchange: Exchange) -> None:
        """Answer one request."""
        path = unquote(exchange.path)
        if path.startswith("/__sim/"):
            await self._control(exchange, path.removeprefix("/__sim/"))
        elif exchange.method == "HEAD":
            await exchange.respond(200, {"content-type": JSON}, b"")
        else:
            record = self._record(exchange, path)
            self._open[exchange] = record
            if path.endswith((oauth.CONSENT, oauth.TOKEN)):
                await self._sign_in(exchange, record)
            else:
                await self._answer(exchange, record)
            self._open.pop(exchange, None)
            record.duration = self._now() - record.t

    async def _control(self, exchange: Exchange, verb: str) -> None:
        status, body = 200, b'{"ok":true}'
        match exchange.method, verb:
            case "POST", "script":
                try:
                    self.apply(rules.decode(exchange.body))
                except ValueError as error:
                    status, body = 400, msgspec.json.encode({"error": str(error)})
            case "GET", "log":
                body = msgspec.json.encode(self.records)
            case "GET", "open":
                body = msgspec.json.encode(len(self._open))
            case "POST", "reset":
                self.reset()
            case _:
                known = "there are POST /__sim/script, GET /__sim/log, GET /__sim/open and POST /__sim/reset"
                status, body = 404, msgspec.json.encode({"error": known})
        await exchange.respond(status, {"content-type": JSON}, body)

    async def _sign_in(self, exchange: Exchange, record: Record) -> None:
        """Play Google's sign-in. Only the grant type is recorded."""
        authority = self.authority
        record.operation, headers = "sign-in", authority.headers()
        if record.path.endswith(oauth.CONSENT):
            record.status, place = authority.consent(parse_query(exchange.query))
            await exchange.respond(record.status, headers | {"location": place}, place.encode())
            return
        form = parse_query(exchange.body.decode("utf-8", "replace"))
        record.body = {"grant_type": form.get("grant_type")}
        await asyncio.sleep(authority.settings.delay)
        if authority.settings.fault == "down":
            await exchange.reset()
            return
        record.status, answer = authority.token(form, f"http://{exchange.headers.get('host')}{record.path}")
        record.refusal = str(answer.get("error") or "")
        await exchange.respond(record.status, headers, msgspec.json.encode(answer))

    def _record(self, exchange: Exchange, path: str) -> Record:
        self._number += 1
        query = parse_query(exchange.query)
        record = Record(
            number=self._number,
            t=self._now(),
            method=exchange.method,
            path=path,
            query={name: "***" if name == "key" else value for name, value in query.items()},
            headers=masked(exchange.headers),
            account=tail(credential(exchange.headers, query)),
            body=_decoded(exchange.body),
        )
        self.records.append(record)
        return record

    async def _answer(self, exchange: Exchange, record: Record) -> None:
        wanted = target(exchange.method, record.path, exchange.headers)
        nowhere = Target(api_of("v1beta" if "v1beta" in record.path else "v1", exchange.headers), "models", "")
        request = _request(exchange, record, wanted or nowhere)
        wire = WIRES[request.api]
        record.api, record.operation = request.api, request.operation
        record.model, record.stream = request.model, request.stream
        try:
            if wanted is None:
                raise Refused(Trouble(kind="not_found", message=f"no {exchange.method} {record.path} here"))
            self._admit(request)
            if request.operation != "models":
                _check_json(record.body)
                wire.check(request)
            body = self._plain(request, wire) if request.operation != "generate" else None
            if body is None:
                self.spend(request)
        except Refused as refused:
            record.refusal = str(refused)
            await asyncio.sleep(refused.delay)
            await Player(exchange, record, request, wire, Rule()).fail(refused.trouble)
            return
        if body is None:
            rule, answer = self._generated(request, wire.prompt(request), wire)
            await Player(exchange, record, request, wire, rule).generate(answer)
        else:
            rule = self.rulebook.take(request, 0) or faults.of_model(request.model) or Rule()
            await Player(exchange, record, request, wire, rule).plain(body)

    def _admit(self, request: Request) -> None:
        """Refuse a request without a valid key."""
        if not request.key and request.api == "gemini":
            raise Refused(
                Trouble(
                    kind="permission",
                    message="Method doesn't allow unregistered callers (callers without established identity). Please"
                    " use API Key or other form of API consumer identity to call this API.",
                )
            )
        if not request.key:
            missing = "x-api-key header is required" if request.api == "anthropic" else "You didn't provide an API key."
            raise Refused(Trouble(kind="invalid_key", message=missing))
        if request.key.startswith(oauth.ACCESS_PREFIX):
            self._admit_token(request)
        elif request.vertex and "authorization" not in request.headers:
            raise Refused(Trouble(kind="invalid_key", status=401))
        elif self.keys is not None and request.key not in self.keys:
            raise Refused(Trouble(kind="invalid_key"))

    def _admit_token(self, request: Request) -> None:
        """Refuse an access token that is not valid, or not for the project."""
        if not self.authority.admits(request.key):
            raise Refused(Trouble(kind="invalid_key", status=401))
        if not self.authority.allows(request.project):
            message = f"Caller does not have required permission to use project {request.project}."
            raise Refused(Trouble(kind="permission", message=message))

    def _plain(self, request: Request, wire: Wire) -> Json:
        """The response to an operation other than generation."""
        if request.operation == "models":
            return models.listed(request)
        if request.operation == "embed":
            return models.embed(request)
        return wire.counted(request, wire.prompt(request))

    def spend(self, request: Request) -> None:
        """Count a request against the quota of its account, if it has one, and refuse it if that is exceeded."""
        name = next((name for name in self.quotas if request.key.endswith(name)), None)
        if name is None:
            return
        quota, now = self.quotas[name], self._clock()
        begun, used, read = self._windows.get(name, (now, 0, 0))
        if now - begun >= quota.window:
            begun, used, read = now, 0, 0
        tokens = 0 if quota.tokens is None else sum(map(count, WIRES[request.api].prompt(request).segments))
        too_much = quota.tokens is not None and read + tokens > quota.tokens
        if used < quota.requests and not too_much:
            self._windows[name] = (begun, used + 1, read + tokens)
            return
        left = begun + quota.window - now
        raise Refused(_exceeded(request.api, quota, left, too_much=too_much and used < quota.requests), quota.delay)

    def _choose(self, request: Request, prompt: Prompt) -> tuple[Rule | None, int]:
        """The rule for a request, and the index of its next round of calls."""
        waiting = (self._pending.get(f"{request.api} {name}") for name in prompt.results)
        pending = next((entry for entry in waiting if entry is not None), None)
        queued = self.rulebook.peek(request, prompt.step)
        if pending is not None and (queued is None or not (queued.disturbs or queued.step is not None)):
            return pending
        first_tool = prompt.tools[0].name if prompt.tools else ""
        return self.rulebook.take(request, prompt.step) or faults.of_model(request.model, first_tool), 0

    def _generated(self, request: Request, prompt: Prompt, wire: Wire) -> tuple[Rule, Answer]:
        rule, round_ = self._choose(request, prompt)
        calls = [(wire.call_id(request, place), call) for place, call in enumerate(calls_of(prompt, rule, round_))]
        if rule is not None and rule.steps:
            for identifier, call in calls:
                for name in (identifier, call.name):
                    self._pending[f"{request.api} {name}"] = (rule, round_ + 1)
            while len(self._pending) > _MOST_PENDING:
                del self._pending[next(iter(self._pending))]
        return rule or Rule(), compose(request, prompt, rule, calls, self._caches)


def _exceeded(api: Api, quota: Quota, left: float, *, too_much: bool) -> Trouble:
    """The error of an exceeded quota, of tokens or of requests, which resets in `left` seconds."""
    per = "Day" if quota.window >= _DAY else "Minute"
    unit = f"GenerateContentInputTokensPerModelPer{per}" if too_much else f"GenerateRequestsPer{per}PerProjectPerModel"
    return Trouble(
        kind="rate_limit",
        retry_info=f"{left:.6f}s",
        quota_ids=(f"{unit}-FreeTier",) if api == "gemini" else (),
        limit=quota.tokens if too_much else quota.requests,
        headers={} if api == "gemini" else {"retry-after": str(math.ceil(left))},
    )


def _decoded(raw: bytes) -> Any:
    try:
        return msgspec.json.decode(raw) if raw else None
    except msgspec.DecodeError:
        return raw.decode("utf-8", "replace")


def _check_json(body: Any) -> None:
    if not isinstance(body, dict):
        raise faults.bad_request("The request body is not valid JSON: expected an object.")


def _request(exchange: Exchange, record: Record, wanted: Target) -> Request:
    query = parse_query(exchange.query)
    body = record.body if isinstance(record.body, dict) else {}
    return Request(
        number=record.number,
        method=exchange.method,
        path=record.path,
        query=query,
        headers=exchange.headers,
        body=body,
        api=wanted.api,
        operation=wanted.operation,
        prefix=wanted.prefix,
        model=wanted.model or str(body.get("model") or ""),
        verb=wanted.verb,
        key=credential(exchange.headers, query),
        stream=wanted.verb == "streamGenerateContent" or (wanted.api != "gemini" and body.get("stream") is True),
    )
