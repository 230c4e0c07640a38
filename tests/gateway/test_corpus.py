"""Recorded exchanges through bm: untouched where the protocols agree, translated to every other protocol."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from bm.chat.events import Failed
from bm.chat.parts import Json
from bm.errors import RequestError
from bm.gateway.adapter import Unable
from bm.names import ProtocolName
from bm.providers.catalog import CATALOG
from tests.gateway.corpus_exceptions import EXCEPTIONS, NOT_EXPRESSIBLE, Side, known
from tests.gateway.gist import differences
from tests.gateway.matrix import APIS, PAIRS, answer_for, answered, faults_of, recorded_events, reported_events
from tests.gateway.matrix import translated_request as translated
from tests.support.daemon import Daemon, daemon
from tests.support.replay import replay
from tests.support.shared import Case, corpus_cases, needs_corpus

pytestmark = [pytest.mark.corpus, needs_corpus]

FLOOR = 0.995
"""The minimal share of a pair's cases that must pass, of those that both protocols can express."""

SHAPED = {401: 400, 429: 429}
"""Statuses that concern an account. bm reports them in its own words, and never as 401."""


def of_account(case: Case) -> bool:
    """Whether an answer disables the account, so that the case needs a provider of its own."""
    return case.status in SHAPED or "API_KEY_INVALID" in case.body_text


def cases(api: str) -> list[Case]:
    """The recorded answers of an API."""
    return [case for case in corpus_cases(api) if not of_account(case)]


def refusals() -> list[Case]:
    """The answers that disable an account."""
    return [case for api in APIS for case in corpus_cases(api) if of_account(case)]


ELSEWHERE = "elsewhere"
"""A service of the user's that speaks Chat Completions."""


def provider_of(case: Case) -> str:
    """The provider that a case was recorded at; where bm has no row for it the protocol's own, or a user's service."""
    row = CATALOG.get(case.provider)
    return case.provider if row is not None and APIS[case.api] in row.speaks else _OWN[APIS[case.api]]


_OWN = {"anthropic": "anthropic", "openai-chat": ELSEWHERE, "openai-responses": "openai", "gemini": "gemini"}


def configuration(url: str) -> str:
    """Every provider of the recordings at `url`, and one more for each answer that disables its account."""
    base = {"gemini": url, "anthropic": url}
    sections = [f'[pool]\nmax_wait = 0\n[gemini]\nbase_url = "{url}"\n']
    for name in sorted({provider_of(case) for api in APIS for case in corpus_cases(api)} - {"gemini"}):
        protocol = 'protocol = "openai-chat"\n' if name == ELSEWHERE else ""
        sections.append(_table(name, base.get(name, f"{url}/v1")) + protocol)
    for number, case in enumerate(refusals()):
        protocol = APIS[case.api]
        sections.append(_table(f"case{number}", base.get(protocol, f"{url}/v1")) + f'protocol = "{protocol}"\n')
    return "\n".join(sections)


def _table(name: str, base_url: str) -> str:
    return (
        f'[providers.{name}]\nbase_url = "{base_url}"\nenabled = true\nmode = "exclusive"\n'
        f'api_key = "key-of-{name}"\nprotocols = []\n'
    )


@pytest.fixture(scope="module")
def bm(sealed: Path) -> Iterator[Daemon]:
    """A daemon before a replay of the recorded answers."""
    home = sealed / "corpus"
    home.mkdir()
    with replay() as upstream, daemon(home, configuration(upstream.url), {"one": "key-of-the-account-one"}) as running:
        yield running


@pytest.fixture(scope="module")
def http(bm: Daemon) -> Iterator[httpx.Client]:
    """A plain client of the daemon."""
    with httpx.Client(base_url=bm.url, headers=bm.headers, timeout=30, trust_env=False, verify=False) as client:
        yield client


def sent(http: httpx.Client, case: Case, prefix: str) -> httpx.Response:
    """The answer of bm to the recorded request; to a plain one where only an answer was recorded."""
    plain: Json = {"model": "m", "messages": [], "stream": case.sse}
    if case.sse and APIS[case.api] == "openai-chat":
        # Else bm takes the usage out.
        plain["stream_options"] = {"include_usage": True}
    body = case.request_body or plain
    path = {"anthropic": "/v1/messages", "openai-chat": "/v1/chat/completions", "openai-responses": "/v1/responses"}
    address = path.get(APIS[case.api], "")
    if not address:
        name = case.request["path"].rpartition("/")[2].partition(":")[0] if case.request else "gemini-2.5-flash"
        method = case.api.removeprefix("gemini.")
        address = f"/v1beta/models/{prefix}{name}:{method}" + ("?alt=sse" if case.sse else "")
    else:
        body = {**body, "model": prefix + str(body.get("model") or "m")}
    headers = {"x-replay-case": case.id}
    if case.sse and isinstance(recorded_events(case)[-1], Failed):
        # What has begun is not taken back: let it begin before it fails.
        headers["x-replay-opts"] = "delay_ms=50"
    return http.post(address, content=json.dumps(body), headers=headers)


@pytest.mark.parametrize("api", APIS)
def test_bm_passes_a_recorded_answer_through_byte_by_byte(http: httpx.Client, api: str) -> None:
    found = {}
    for case in cases(api):
        name = provider_of(case)
        answer = sent(http, case, prefix="" if name == "gemini" else f"{name}:")
        if (answer.status_code, answer.content) != (case.status, case.body_text.encode()):
            found[case.id] = f"{answer.status_code} for {case.status}: {answer.text[:200]}"
    assert found.keys() == known("pass-through", api, APIS[api]).keys(), found


def test_a_refused_account_is_reported_in_the_clients_protocol(http: httpx.Client) -> None:
    for number, case in enumerate(refusals()):
        answer = sent(http, case, prefix=f"case{number}:")
        assert answer.status_code == SHAPED.get(case.status, 400), (case.id, answer.text)
        assert answer.json()["error"]["message"], case.id
        assert answer.headers["x-bm-provider"] == f"case{number}"


@pytest.mark.parametrize(("api", "target"), PAIRS)
async def test_a_recorded_request_is_valid_for_every_other_protocol(api: str, target: ProtocolName) -> None:
    asked = [case for case in answered(api) if case.kind == "traffic"]
    found = {}
    for case in asked:
        try:
            _, faults = await translated(case, target)
        except (Unable, RequestError) as error:
            assert error.failure.http_status == 400 and error.failure.message
            faults = [error.failure.message]
        if faults:
            found[case.id] = faults
    judge("request", api, target, len(asked), found)


@pytest.mark.parametrize(("api", "client"), PAIRS)
def test_a_recorded_answer_is_complete_in_every_other_protocol(api: str, client: ProtocolName) -> None:
    found = {}
    for case in answered(api):
        try:
            raw = answer_for(case, client)
        except AssertionError as error:
            found[case.id] = [str(error)]
            continue
        reported = reported_events(client, raw)
        if faults := [*faults_of(client, raw), *differences(recorded_events(case), reported, client)]:
            found[case.id] = faults
    judge("answer", api, client, len(answered(api)), found)


def judge(side: Side, api: str, other: str, number: int, found: dict[str, list[str]]) -> None:
    """Exactly the known exceptions fail, and they are few."""
    expected = known(side, api, other)
    assert {id: faults for id, faults in found.items() if id not in expected} == {}
    assert expected.keys() - found.keys() == set(), "an exception that has come to pass"
    possible = number - sum(reason in NOT_EXPRESSIBLE for reason in expected.values())
    assert number - len(found) >= FLOOR * possible


def test_every_exception_and_its_reason_is_documented() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "protocols.md").read_text(encoding="utf-8")
    assert [row.reason for row in EXCEPTIONS if row.reason not in text] == []
    assert [case for row in EXCEPTIONS for case in row.cases if case not in text] == []
