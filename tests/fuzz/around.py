"""What else reads bytes from outside: events, heads of HTTP requests, settings and accounts, lists of models."""

from __future__ import annotations

import asyncio
import atexit
import random
import tempfile
import tomllib
import zlib
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import uvicorn
from uvicorn.server import ServerState

from bm import sse
from bm.accounts.account import Access
from bm.accounts.credentials import load as load_accounts
from bm.accounts.google import Fetched
from bm.accounts.transfer import accounts_in
from bm.config import document
from bm.config.load import parse
from bm.config.schema import Server, Timeouts, UpstreamProxy
from bm.errors import AccountError, ConfigError, RequestError
from bm.keys.file import load as load_keys
from bm.keys.key import Keys
from bm.names import PROTOCOLS
from bm.protocols.gemini.array import ArraySplitter
from bm.providers.catalog import KNOWN
from bm.server import cors
from bm.server.asgi import read_body
from bm.server.guard import Guard
from bm.server.http import LimitedHttp
from bm.server.routes import caller, find, wants_array, without_key
from bm.server.state import read_signatures
from bm.upstream.client import UpstreamError
from bm.upstream.discovery import Refused, list_models
from tests.fuzz.mutation import ODD, pieces_of, scrambled, written
from tests.fuzz.seeds import seeds
from tests.fuzz.surface import Surface, changed, sendable
from tests.gateway.matrix import providers
from tests.support.zstd import zstd

Result = TypeVar("Result")


def _events(chance: random.Random) -> bytes:
    return scrambled(chance.choice(seeds().streams[chance.choice(PROTOCOLS)]), chance)


def _play_events(data: bytes, chance: random.Random) -> None:
    """Where the bytes are cut makes no difference."""
    for make in (sse.Parser, ArraySplitter):
        whole, cut = make(), make()
        once = [*whole.feed(data), *whole.close()]
        pieces = [event for piece in pieces_of(data, chance) for event in cut.feed(piece)]
        assert [*pieces, *cut.close()] == once, "other events where the bytes are cut elsewhere"


_HEADS = (
    b"POST /v1/messages?beta=true HTTP/1.1\r\nhost: localhost:1\r\nx-api-key: k\r\ncontent-length: 2\r\n\r\n{}",
    b"POST /v1beta/models/gemini-3:streamGenerateContent?key=k&alt=sse HTTP/1.1\r\nHost: [::1]:80\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\ntrailer: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\norigin: http://localhost\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n",
    b"OPTIONS /v1/chat/completions HTTP/1.1\r\nhost: a.example\r\norigin: null\r\n"
    b"access-control-request-method: POST\r\naccess-control-request-headers: x-a, x-b\r\nexpect: 100-continue\r\n\r\n",
    b"GET /v1/models/a%2F..%2Fb HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer k\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    b"GET /v1/responses HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
    b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n\x81\x85",
)


class _Transport(asyncio.Transport):
    """A connection whose bytes go nowhere."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)})
        self.closed = False

    def write(self, data: Any) -> None:
        """Take it."""

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    abort = close

    def get_protocol(self) -> asyncio.BaseProtocol:
        return asyncio.Protocol()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Something else reads from now on."""

    def pause_reading(self) -> None:
        """No bytes come by themselves."""

    resume_reading = pause_reading


@cache
def _server() -> tuple[asyncio.AbstractEventLoop, uvicorn.Config]:
    config = uvicorn.Config(_serve, lifespan="off", log_config=None, ws="wsproto", access_log=False)
    config.load()
    return asyncio.new_event_loop(), config


async def _serve(scope: Any, receive: Any, send: Any) -> None:
    """Read what the application reads of a request before it is admitted."""
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
    by_name, path, query = dict(headers), scope["path"], scope["query_string"].decode("latin-1")
    find(scope.get("method", "GET"), path, by_name)
    caller(by_name, path)
    wants_array(query)
    without_key(query)
    guard = Guard(Server(), "key")
    guard.foreign(by_name, api=True)
    guard.caller(by_name, query)
    cors.headers_for(Server(allowed_origins=("https://a.example",)), headers)
    if cors.is_preflight(scope.get("method", "GET"), by_name):
        cors.preflight(by_name)
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1000})
        return
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


def _play_head(data: bytes, chance: random.Random) -> None:
    loop, config = _server()
    failures: list[BaseException] = []
    loop.set_exception_handler(lambda _, context: failures.append(context.get("exception") or AssertionError(context)))
    protocol = LimitedHttp(config, ServerState(), {}, _loop=loop)
    transport = _Transport()
    with _running(loop):
        protocol.connection_made(transport)
        for piece in pieces_of(data, chance):
            if not transport.closed:
                protocol.data_received(piece)
    protocol.connection_lost(None)
    if protocol.tasks:
        loop.run_until_complete(asyncio.wait(protocol.tasks))
    for failure in failures:
        raise failure


@contextmanager
def _running(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Let the loop count as the running one, without the time that a turn of it takes."""
    asyncio.events._set_running_loop(loop)
    try:
        yield
    finally:
        asyncio.events._set_running_loop(None)


_CONFIG = """
[server]
host = "127.0.0.1"  # here
port = 8790
allowed_hosts = ["a.example"]
max_body_mb = 64
[pool]
max_wait = 30
strict = false
[timeouts]
idle = "2m"
[gemini]
models = { opus = "gemini-3-pro" }
headers = { x-a = "b" }
[upstream_proxy]
url = "http://user:pass@127.0.0.1:3128"
no_proxy = ["localhost"]
[providers.groq]
enabled = true
mode = "fallback"
key = "env:GROQ"
[providers.own]
base_url = "http://127.0.0.1:9/v1"
protocol = "openai-chat"
match_models = ["*"]
[aliases]
fast = "groq:llama"
[capabilities."x*"]
context = 1000
"""
_CLIENT_KEYS = f"""
version = 1
[[keys]]
name = "ci"
sha256 = "{"0a" * 32}"
hint = "bm-a…0a0a"
models = ["claude-*", "fast"]
rpm = 5
budgets = ["20/day", "2M tokens/hour"]
created_at = 2026-11-30 17:27:31.530091+00:00
[[keys]]
name = "of a newer version"
sha256 = "{"0b" * 32}"
countries = ["CH"]
"""
_ACCOUNTS = """
version = 1
local_key = "bm-abc"
[[accounts]]
name = "one"
provider = "gemini"
key = "cmd:true"
created = 2026-11-30T10:00:00Z
[[accounts]]
name = "two"
provider = "groq"
key = "file:/nowhere"
"""
_TOML = (
    *(str(value) for value in ODD if isinstance(value, int)),
    '"x"',
    "[]",
    "{}",
    "[[[",
    "1e999",
    "nan",
    "1979-05-27",
)
_TABLES = (
    "[server]",
    "[pool]",
    "[x.y]",
    "[providers.groq]",
    "[providers.own.z]",
    "[[accounts]]",
    "[gemini",
    "a.b.c = 1",
)


def _toml(text: str, chance: random.Random) -> bytes:
    lines = text.splitlines()
    for _ in range(chance.choice((1, 2, 3))):
        at = chance.randrange(len(lines))
        key, sign, _ = lines[at].partition(" = ")
        match chance.randrange(4):
            case 0:
                lines.insert(at, lines[chance.randrange(len(lines))])
            case 1:
                lines[at] = f"{key}{sign}{chance.choice(_TOML)}"
            case 2:
                lines[at] = chance.choice(_TABLES)
            case _:
                lines[at] = scrambled(lines[at].encode(), chance).decode("utf-8", "replace")
    return "\n".join(lines).encode()


_VARIABLES = ("BM_SERVER_PORT", "BM_POOL_MAX_WAIT", "BM_PROVIDERS_GROQ_MODE", "GROQ_ENABLED", "BM_ALIASES", "BM_X__Y")
_KEYS = (("server", "port"), ("providers", "own", "mode"), ("aliases", "a b"), ("new", "x"))


def _play_config(data: bytes, chance: random.Random) -> None:
    text, variable = data.decode("utf-8", "replace"), chance.choice(_VARIABLES)
    environ = {variable: sendable(str(chance.choice(ODD)))[:200]} if chance.random() < 0.3 else {}
    parse(text, environ, known=KNOWN, path="config.toml")
    key = chance.choice(_KEYS)
    document.put(text, key, chance.choice(("x", 1, True, ["a"])))
    document.drop(text, key)


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    return folder


def _play_accounts(data: bytes, chance: random.Random) -> None:
    file = Path(_folder().name, "accounts.toml")
    file.write_bytes(data)
    file.chmod(0o600)
    load_accounts(file)


def _play_client_keys(data: bytes, chance: random.Random) -> None:
    file = Path(_folder().name, "keys.toml")
    file.write_bytes(data)
    file.chmod(0o600)
    for key in Keys(load_keys(file).keys):
        key.names("claude-x")
        key.expired(0.0)


_EXPORT = {
    "format": "bm accounts",
    "version": 1,
    "sealed": {"salt": "QQ==", "cost": 2, "nonce": "QUFB", "data": "QQ=="},
}
_KEPT = {"key": "call_1", "signature": {"vendor": "gemini", "value": "c2ln", "family": "x"}}


def _play_export(data: bytes, chance: random.Random) -> None:
    file = Path(_folder().name, "signatures.jsonl")
    file.write_bytes(data)
    read_signatures(file)
    accounts_in(data, "secret")


def _saved(chance: random.Random) -> bytes:
    if chance.random() < 0.3:
        return scrambled(b'name,key\none,AIzaSyAbc\n"two","k"', chance)
    return changed(chance.choice((_EXPORT, _KEPT)), chance)


_LISTS: tuple[Any, ...] = (
    {"data": [{"id": "a", "created": 1, "context_length": 9, "supported_parameters": ["tools"], "type": "chat"}]},
    {"models": [{"name": "models/g", "supportedGenerationMethods": ["generateContent"], "inputTokenLimit": 9}]},
    {
        "data": [
            {
                "id": "claude",
                "retires_at": "2027-01-01T00:00:00Z",
                "capabilities": {"thinking": {"types": {"adaptive": {"supported": True}}}, "effort": {"low": {}}},
            }
        ],
        "has_more": True,
        "last_id": "claude",
    },
    {"publisherModels": [{"name": "publishers/google/models/gemini"}], "nextPageToken": "x"},
    [{"id": "t", "architecture": {"input_modalities": ["image"]}, "top_provider": {"max_completion_tokens": 5}}],
)


def _play_models(data: bytes, chance: random.Random) -> None:
    provider = chance.choice(list(providers().values()))
    client: Any = _Answering(data)
    for model in _done(list_models(client, provider, Access(key="key"), Timeouts(), UpstreamProxy())):
        provider.capabilities(provider.protocol, model.id, model.facts)


class _Answering:
    """A client of upstreams that is always answered alike."""

    def __init__(self, body: bytes) -> None:
        self._answer = Fetched(status=200, headers={}, body=body)

    async def fetch(self, *request: Any, **options: Any) -> Fetched:
        """The answer."""
        return self._answer


def _done(work: Coroutine[Any, Any, Result]) -> Result:
    """The result of a coroutine that waits for nothing."""
    try:
        work.send(None)
    except StopIteration as stop:
        result: Result = stop.value
        return result
    raise AssertionError("it waits")


def _packed(chance: random.Random) -> bytes:
    plain = written(chance.choice(seeds().requests["anthropic"]))
    return scrambled(zlib.compress(plain) if chance.random() < 0.5 else zstd.compress(plain), chance)


def _play_packed(data: bytes, chance: random.Random) -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": data}

    _done(read_body(receive, {"content-encoding": chance.choice(("gzip", "deflate", "zstd", "br", "\x00"))}, 1))


_EDITED = (ConfigError, document.CannotEdit, tomllib.TOMLDecodeError)
AROUND: dict[str, Surface] = {
    "events": Surface(_events, _play_events, (sse.EventTooLarge,), 3),
    "head": Surface(lambda chance: scrambled(chance.choice(_HEADS), chance), _play_head, (), 5),
    "config.toml": Surface(lambda chance: _toml(_CONFIG, chance), _play_config, _EDITED, 3),
    "accounts.toml": Surface(lambda chance: _toml(_ACCOUNTS, chance), _play_accounts, (AccountError,), 1),
    "keys.toml": Surface(lambda chance: _toml(_CLIENT_KEYS, chance), _play_client_keys, (AccountError,), 1),
    "export": Surface(_saved, _play_export, (AccountError,), 1),
    "model list": Surface(
        lambda chance: changed(chance.choice(_LISTS), chance), _play_models, (UpstreamError, Refused), 2
    ),
    "packed body": Surface(_packed, _play_packed, (RequestError,), 2),
}
