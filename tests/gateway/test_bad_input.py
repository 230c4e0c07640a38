"""Bad input over real sockets: the status and body of the caller's protocol, the remedy, one line in the log."""

from __future__ import annotations

import gzip
import json
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import anthropic
import httpx
import openai
import pytest

from bm.simulator import Rule
from tests.gateway.world import EVERY_PROTOCOL, MODELS, Answer, World, path_of
from tests.simulator.streams import body_of

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from google import genai
    from google.genai import errors as genai_errors
    from google.genai import types as genai_types

SHAPES: dict[str, Callable[[Any], bool]] = {
    "anthropic": lambda body: body["type"] == "error" and isinstance(body["error"]["type"], str),
    "openai-chat": lambda body: {"message", "type", "param", "code"} <= body["error"].keys(),
    "openai-responses": lambda body: {"message", "type", "param", "code"} <= body["error"].keys(),
    "gemini": lambda body: isinstance(body["error"]["code"], int) and isinstance(body["error"]["status"], str),
}


def refused(answer: Answer, status: int, *words: str) -> None:
    """The answer is an error of the caller's protocol whose message holds these words."""
    assert answer.status == status, answer
    assert SHAPES[answer.protocol](answer.json), answer.json
    assert [word for word in words if word not in answer.message] == [], answer.message
    assert answer.headers["content-type"] == "application/json"
    assert answer.bm("request-id").startswith("req_")


@contextmanager
def rejected(world: World, lines: int = 1) -> Iterator[None]:
    """The block logs this many lines and reaches no upstream, and the next request is served."""
    before = len(requests_in(world.daemon.log()))
    asked = len(world.asked())
    yield
    limit = time.monotonic() + 2
    while len(reported := requests_in(log_of(world))[before:]) < lines and time.monotonic() < limit:
        time.sleep(0.01)
    assert len(reported) == lines, reported
    assert not [line for line in reported if "fault of bm" in line], reported
    assert len(world.asked()) == asked
    served = world.ask("openai-chat", stream=False)
    assert served.complete
    assert world.daemon.logs(served.bm("request-id"))


def log_of(world: World) -> str:
    return world.daemon.paths.log.read_text(encoding="utf-8")


def requests_in(log: str) -> list[str]:
    return [line for line in log.splitlines() if " bm.requests: " in line]


BAD_BODIES = [
    (b"", 400, "JSON"),
    (b"{", 400, "JSON"),
    (b"hello", 400, "JSON"),
    (b"\xff\xfe{}", 400, "JSON"),
    (b'{"a": 1} and more', 400, "JSON"),
    (b"[]", 400, "object"),
    (b"null", 400, "object"),
    (b"42", 400, "object"),
    (b'{"model": "x", "deep": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400, "deep"),
]


@pytest.mark.parametrize(("body", "status", "word"), BAD_BODIES, ids=[repr(body[:12]) for body, _, _ in BAD_BODIES])
@EVERY_PROTOCOL
def test_a_body_that_is_not_a_request(world: World, protocol: str, body: bytes, status: int, word: str) -> None:
    with rejected(world):
        path = path_of(protocol, MODELS[protocol], stream=False)
        refused(world.send(protocol, path, body), status, word)


WRONG_TYPES = [
    ("anthropic", {"model": 5}, "`model`"),
    ("anthropic", {"model": "x", "stream": "yes", "messages": []}, "`stream`"),
    ("anthropic", {"model": "x", "max_tokens": 9, "messages": "hello"}, "messages"),
    ("anthropic", {"model": "x", "max_tokens": 9, "messages": [{"role": "user", "content": 7}]}, "content"),
    ("openai-chat", {"model": ["x"], "messages": []}, "`model`"),
    ("openai-chat", {"model": "x", "messages": {"role": "user"}}, "messages"),
    ("openai-chat", {"model": "x", "messages": [5]}, "messages"),
    ("openai-responses", {"model": None, "input": "hello"}, "`model`"),
    ("openai-responses", {"model": "x", "input": 5}, "an array of items"),
]


@pytest.mark.parametrize(("protocol", "body", "word"), WRONG_TYPES)
def test_a_member_of_the_wrong_type_is_named(world: World, protocol: str, body: dict[str, Any], word: str) -> None:
    with rejected(world):
        refused(world.send(protocol, path_of(protocol, "", stream=False), body), 400, word)


@pytest.mark.parametrize("protocol", ["anthropic", "openai-chat", "openai-responses"])
@pytest.mark.parametrize("model", [None, "", "  "])
def test_a_missing_model(world: World, protocol: str, model: str | None) -> None:
    body = body_of(protocol, stream=False)
    del body["model"]
    with rejected(world):
        answer = world.send(
            protocol, path_of(protocol, "", stream=False), body | ({} if model is None else {"model": model})
        )
        refused(answer, 400, "model", "bm models")


@EVERY_PROTOCOL
def test_an_oversized_body(world: World, protocol: str) -> None:
    world.set_up(more="[server]\nmax_body_mb = 1\n")
    with rejected(world):
        body = body_of(protocol, "x" * (1024 * 1024), MODELS[protocol], stream=False)
        refused(world.send(protocol, path_of(protocol, MODELS[protocol], stream=False), body), 413, "bm config set")


def packed(protocol: str, text: str) -> bytes:
    return gzip.compress(json.dumps(body_of(protocol, text, MODELS[protocol], stream=False)).encode())


@EVERY_PROTOCOL
def test_a_compressed_body_is_read(world: World, protocol: str) -> None:
    path = path_of(protocol, MODELS[protocol], stream=False)
    answer = world.send(protocol, path, packed(protocol, "hello from afar"), headers={"content-encoding": "gzip"})
    assert answer.complete and b"hello from afar" in answer.body


@pytest.mark.parametrize(
    ("body", "encoding", "status", "word"),
    [
        (packed("anthropic", "x" * 2_000_000), "gzip", 413, "1 MiB"),
        (b"not compressed", "gzip", 400, "gzip"),
        (packed("anthropic", "hello")[:-4], "gzip", 400, "gzip"),
        (b"{}", "br", 415, "br"),
    ],
    ids=["bomb", "plain", "cut", "unknown"],
)
def test_a_compressed_body_that_cannot_be_read(
    world: World, body: bytes, encoding: str, status: int, word: str
) -> None:
    world.set_up(more="[server]\nmax_body_mb = 1\n")
    with rejected(world):
        answer = world.send("anthropic", "/v1/messages", body, headers={"content-encoding": encoding})
        refused(answer, status, word)


UNKNOWN = [
    ("anthropic", "/v1/messages/batches"),
    ("anthropic", "/proxy/messages"),
    ("openai-chat", "/proxy/chat/completions"),
    ("openai-responses", "/v1/responses/resp_1/cancel"),
    ("gemini", "/v1beta/cachedContents"),
    ("gemini", "/v1beta/models/x:predict"),
]


@pytest.mark.parametrize(("protocol", "path"), UNKNOWN)
def test_an_unknown_path(world: World, protocol: str, path: str) -> None:
    with rejected(world):
        refused(world.send(protocol, path, {"model": "x"}), 404)


@EVERY_PROTOCOL
def test_a_wrong_method(world: World, protocol: str) -> None:
    with rejected(world):
        answer = world.send(protocol, path_of(protocol, "x", stream=False), b"", method="GET")
        refused(answer, 405, "POST")
        assert answer.headers["allow"] == "POST"
        assert "error_code" not in str(answer.json)


@EVERY_PROTOCOL
def test_a_wrong_key(world: World, protocol: str) -> None:
    with rejected(world):
        path = path_of(protocol, MODELS[protocol], stream=False)
        answer = world.send(protocol, path, body_of(protocol), headers={"x-api-key": "wrong"})
        refused(answer, 401, "bm env")
        assert answer.headers["x-should-retry"] == "false"


@EVERY_PROTOCOL
@pytest.mark.parametrize("stream", [True, False])
def test_no_account(world: World, protocol: str, stream: bool) -> None:
    world.set_up(accounts=0)
    answer = world.ask(protocol, stream=stream)
    refused(answer, 400, "bm accounts add")
    assert world.asked() == []


@EVERY_PROTOCOL
def test_a_provider_without_a_key(world: World, protocol: str) -> None:
    world.set_up(modes={"groq": "exclusive"}, keys=0)
    refused(world.ask(protocol), 400, "bm providers key groq")


@EVERY_PROTOCOL
def test_a_provider_that_is_off(world: World, protocol: str) -> None:
    world.set_up(modes={"groq": "off"})
    with rejected(world):
        refused(world.ask(protocol, "groq:anything"), 400, "bm providers mode groq")


@EVERY_PROTOCOL
def test_an_unknown_model(world: World, protocol: str) -> None:
    world.sim.script(Rule(error="not_found", message="models/gemini-0 is not found"))
    refused(world.ask(protocol, "gemini-0"), 404, "gemini-0")


def anthropic_client(world: World, key: str) -> anthropic.Anthropic:
    return anthropic.Anthropic(api_key=key, base_url=world.daemon.url, max_retries=0, timeout=10)


def openai_client(world: World, key: str) -> openai.OpenAI:
    return openai.OpenAI(api_key=key, base_url=f"{world.daemon.url}/v1", max_retries=0, timeout=10)


def genai_client(world: World, key: str) -> genai.Client:
    return genai.Client(api_key=key, http_options=genai_types.HttpOptions(base_url=world.daemon.url, timeout=10_000))


def raised(world: World, sdk: str, model: str, key: str = "") -> tuple[str, int, str]:
    """The class, status and message of the exception that an SDK raises."""
    key = key or world.daemon.key
    if sdk == "anthropic":
        with anthropic_client(world, key) as client, pytest.raises(anthropic.APIStatusError) as caught:
            client.messages.create(model=model, max_tokens=9, messages=[{"role": "user", "content": "hello"}])
        return type(caught.value).__name__, caught.value.status_code, str(caught.value)
    if sdk == "openai":
        with openai_client(world, key) as other, pytest.raises(openai.APIStatusError) as failed:
            other.chat.completions.create(model=model, messages=[{"role": "user", "content": "hello"}])
        return type(failed.value).__name__, failed.value.status_code, failed.value.message
    google = genai_client(world, key)
    try:
        with pytest.raises(genai_errors.APIError) as reported:
            google.models.generate_content(model=model, contents="hello")
    finally:
        google.close()
    return type(reported.value).__name__, int(reported.value.code), str(reported.value.message)


class Trouble(NamedTuple):
    """How a request goes wrong, and what it raises in the SDKs of Anthropic, OpenAI and Google."""

    status: int
    words: str
    raises: tuple[str, str, str]
    model: str = "gemini-3-flash-preview"
    key: str = ""
    accounts: int = 2
    rule: Rule | None = None


SPENT = "the quota of this minute is spent"
TROUBLES = {
    "wrong key": Trouble(401, "bm env", ("AuthenticationError", "AuthenticationError", "ClientError"), key="wrong"),
    "no account": Trouble(400, "bm accounts add", ("BadRequestError", "BadRequestError", "ClientError"), accounts=0),
    "rate limit": Trouble(
        429,
        SPENT,
        ("RateLimitError", "RateLimitError", "ClientError"),
        rule=Rule(status=429, retry_info="900s", message=SPENT, times=None),
    ),
    "provider off": Trouble(
        400,
        "bm providers mode groq",
        ("BadRequestError", "BadRequestError", "ClientError"),
        model="groq:anything",
    ),
    "unknown model": Trouble(
        404,
        "gemini-0",
        ("NotFoundError", "NotFoundError", "ClientError"),
        model="gemini-0",
        rule=Rule(error="not_found", message="models/gemini-0 is not found"),
    ),
}


@pytest.mark.parametrize(("at", "sdk"), [(0, "anthropic"), (1, "openai"), (2, "genai")])
@pytest.mark.parametrize("trouble", list(TROUBLES.values()), ids=list(TROUBLES))
def test_sdks_raise_what_their_users_expect(world: World, trouble: Trouble, at: int, sdk: str) -> None:
    world.set_up(accounts=trouble.accounts, modes={"groq": "off"})
    if trouble.rule is not None:
        world.sim.script(trouble.rule)
    name, status, words = raised(world, sdk, trouble.model, trouble.key)
    assert (name, status) == (trouble.raises[at], trouble.status) and trouble.words in words


def test_the_admin_interface_asks_for_the_key(world: World) -> None:
    with httpx.Client(base_url=world.daemon.url, trust_env=False, verify=False) as anonymous:
        assert anonymous.get("/admin/status").status_code == 401
        assert anonymous.post("/admin/stop").status_code == 401
        assert anonymous.get("/admin/accounts", headers={"x-api-key": "wrong"}).status_code == 401
        assert anonymous.get("/healthz").json()["status"] == "ok"
    own = world.daemon.headers
    assert world.http.get("/admin/status", headers={**own, "host": "evil.example"}).status_code == 403
    assert world.http.post("/admin/route", content=b"{", headers=own).status_code == 400
    assert world.http.post("/admin/route", content=b"[" * 100_000, headers=own).status_code == 400
    assert world.http.post("/admin/route", json={"model": "x", "mood": 1}).status_code == 400
    assert world.http.get("/admin/nothing").status_code == 404
