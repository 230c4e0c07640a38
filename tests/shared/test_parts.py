"""Two daemons, one store: what users notice of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import reduce
from pathlib import Path
from typing import Any

import httpx
import pytest

from bm.accounts.account import Account
from bm.accounts.credentials import Credentials, update
from bm.config.paths import Paths, make_folders
from bm.simulator import OAuth, Quota, Rule, Simulator, ToolCall
from tests.support.daemon import daemon
from tests.support.google import person
from tests.support.valkey import Valkey
from tests.support.waiting import soon

POOL = [f"acc-{number:02d}" for number in range(6)]


class Client:
    """A client of one node."""

    def __init__(self, http: httpx.Client) -> None:
        self.http = http

    def ask(self, path: str, **body: Any) -> httpx.Response:
        return self.http.post(path, json=body)

    def chat(self, text: str = "hello", **more: Any) -> httpx.Response:
        headers = {"session-id": more.pop("session")} if "session" in more else {}
        body = {"model": "gemini-3-flash-preview", "messages": [{"role": "user", "content": text}], **more}
        return self.http.post("/v1/chat/completions", json=body, headers=headers)


@pytest.fixture(scope="module")
def sim() -> Iterator[Simulator]:
    with Simulator() as running:
        yield running


@contextmanager
def nodes(folder: Path, config: str, *accounts: Account) -> Iterator[tuple[Client, Client]]:
    """Two nodes with the same configuration and accounts."""
    with ExitStack() as stack:
        found = []
        for name in "ab":
            paths = Paths.under(folder / name)
            make_folders(paths)
            update(paths.accounts, lambda stored: reduce(Credentials.add, accounts, stored))
            node = stack.enter_context(daemon(folder / name, f'{config}node = "{name}"\n'))
            http = httpx.Client(base_url=node.url, headers=node.headers, timeout=20)
            found.append(Client(stack.enter_context(http)))
        yield found[0], found[1]


@pytest.fixture(scope="module")
def team(
    sim: Simulator, session_valkey: Valkey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Client, Client]]:
    accounts = [Account(name=name, key=f"key-of-the-account-{name}") for name in POOL]
    paid = Account(name="paid", key="key-of-mistral-one", provider="mistral")
    mistral = f'enabled = true\nmode = "fallback"\nbase_url = "{sim.url}/mistral/openai/v1"\n'
    shared = f'[shared]\nurl = "{session_valkey.url}"\nname = "parts"\n'
    config = f'[pool]\nmax_wait = 3\n[gemini]\nbase_url = "{sim.url}"\n[providers.mistral]\n{mistral}{shared}'
    with nodes(tmp_path_factory.mktemp("team"), config, *accounts, paid) as found:
        yield found


def test_a_conversation_keeps_its_account_across_nodes(team: tuple[Client, Client]) -> None:
    a, b = team
    first = a.chat(session="one talk").headers["x-bm-account"]
    turns = [client.chat(session="one talk").headers["x-bm-account"] for client in (b, a, b, b)]
    assert turns == [first] * 4


@pytest.mark.parametrize("stream", [False, True])
def test_a_response_made_on_one_node_is_continued_on_the_other(
    team: tuple[Client, Client], sim: Simulator, stream: bool
) -> None:
    previous, asked = "", {"model": "gemini-3-flash-preview", "stream": stream}
    for number in range(6):
        more = {"previous_response_id": previous} if previous else {}
        response = team[number % 2].ask("/v1/responses", input=f"question {number}", **asked, **more)
        assert response.status_code == 200, response.text
        previous = _response_id(response.text)
    turns = sim.log()[-1].body["contents"]
    asked_before = [turn["parts"][0]["text"] for turn in turns if turn["role"] == "user"]
    assert asked_before == [f"question {number}" for number in range(6)]
    assert team[1].http.get(f"/v1/responses/{previous}").json()["id"] == previous


def _response_id(text: str) -> str:
    data = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: {")] or [text]
    last = json.loads(data[-1])
    return str(last.get("response", last)["id"])


def test_a_response_that_was_deleted_on_one_node_is_gone_on_the_other(team: tuple[Client, Client]) -> None:
    a, b = team
    name = a.ask("/v1/responses", model="gemini-3-flash-preview", input="hello").json()["id"]
    assert b.http.get(f"/v1/responses/{name}").status_code == 200
    assert a.http.delete(f"/v1/responses/{name}").status_code == 200
    assert soon(lambda: b.http.get(f"/v1/responses/{name}").status_code == 404)


def test_an_interaction_made_on_one_node_is_continued_on_the_other(team: tuple[Client, Client]) -> None:
    a, b = team
    first = a.ask("/v1beta/interactions", model="gemini-3-flash-preview", input="hello").json()
    more = {"previous_interaction_id": first["id"]}
    assert b.ask("/v1beta/interactions", model="gemini-3-flash-preview", input="again", **more).status_code == 200


def test_a_call_signed_on_one_node_is_sent_back_with_its_signature_by_the_other(
    team: tuple[Client, Client], sim: Simulator
) -> None:
    a, b = team
    sim.script(Rule(tool_calls=(ToolCall("look", {}),)))
    tools = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}]
    asked = {"role": "user", "content": "look"}
    message = a.chat(messages=[asked], tools=tools).json()["choices"][0]["message"]
    (call,) = message["tool_calls"]
    plain = {"role": "assistant", "tool_calls": [{key: call[key] for key in ("id", "type", "function")}]}
    result = {"role": "tool", "tool_call_id": call["id"], "content": "found"}
    assert b.chat(messages=[asked, plain, result], tools=tools).status_code == 200
    sent = [part for turn in sim.log()[-1].body["contents"] for part in turn["parts"] if "functionCall" in part]
    assert sent[0]["thoughtSignature"] and "skip" not in sent[0]["thoughtSignature"]


def test_a_known_limit_is_exceeded_by_at_most_one_call_a_node(team: tuple[Client, Client], sim: Simulator) -> None:
    limit = 8
    reported = {"limit": str(limit), "remaining": str(limit - 1), "reset": "60s"}
    headers = {f"x-ratelimit-{name}-requests": value for name, value in reported.items()}
    sim.script(Rule(model="mistral-large", headers=headers), quotas={"mistral-one": Quota(requests=limit, window=60)})
    assert team[0].chat(model="mistral:mistral-large").status_code == 200
    with ThreadPoolExecutor(30) as clients:
        asked = clients.map(lambda number: team[number % 2].chat(model="mistral:mistral-large"), range(30))
        statuses = [answer.status_code for answer in asked]
    calls = [record for record in sim.log() if record.model == "mistral-large"]
    assert limit <= len(calls) <= limit + len(team)
    assert statuses.count(200) == limit - 1 and set(statuses) == {200, 429}


def test_one_node_refreshes_the_token_of_an_account_for_both(sim: Simulator, valkey: Valkey, tmp_path: Path) -> None:
    account = person(sim)
    sim.script(oauth=OAuth(delay=0.3))
    config = f'[gemini]\nbase_url = "{sim.url}"\n[shared]\nurl = "{valkey.url}"\n'
    with nodes(tmp_path, config, account) as found, ThreadPoolExecutor(8) as clients:
        before = len(sim.log())
        answers = list(clients.map(lambda number: found[number % 2].chat(), range(8)))
    assert [answer.status_code for answer in answers] == [200] * 8
    assert sum(record.path == "/oauth/token" for record in sim.log()[before:]) == 1
