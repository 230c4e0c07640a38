"""A received request: its API, service, account and model; and its record in the log."""

from __future__ import annotations

import re
from typing import Any, Literal
from urllib.parse import parse_qsl, unquote

import msgspec

Json = dict[str, Any]
Api = Literal["anthropic", "openai-chat", "openai-responses", "gemini"]
Operation = Literal["generate", "count", "embed", "models"]
SERVICES = ("groq", "together", "mistral", "deepseek", "moonshot", "xai", "zai", "cerebras", "openrouter", "fireworks")
"""OpenAI-compatible services that a path may name."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One request. `number` counts from 1 and is part of identifiers; `prefix` is the path before that of the API."""

    number: int
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Json
    api: Api
    operation: Operation
    prefix: str
    model: str
    verb: str
    key: str
    stream: bool

    @property
    def flavour(self) -> str:
        """The service that the path names: one of `SERVICES`, `vertex`, `openai`, or `other`.

        Without a name in the path it is the API's own: `anthropic`, `gemini` or `openai`.
        """
        if self.api in ("anthropic", "gemini"):
            return "vertex" if self.vertex else self.api
        for name in SERVICES:
            if name in self.prefix:
                return name
        return "openai" if self.prefix in ("", "/openai") else "other"

    @property
    def vertex(self) -> bool:
        """Whether the path is one of Vertex AI."""
        return self.prefix.endswith("/publishers/google")

    @property
    def project(self) -> str:
        """The Google Cloud project of the request; empty if it names none."""
        found = re.search(r"/projects/([^/]+)/", self.path)
        return self.headers.get("x-goog-user-project") or (found[1] if found else "")

    @property
    def sse(self) -> bool:
        """Whether the stream consists of events. Gemini without `alt=sse` streams one JSON array."""
        return self.api != "gemini" or self.query.get("alt") == "sse"


class Target(msgspec.Struct, frozen=True):
    """What a path asks for."""

    api: Api
    operation: Operation
    prefix: str
    model: str = ""
    verb: str = ""


_GEMINI = re.compile(r"^(?P<prefix>.*?)(?:/(?:v1beta1|v1beta|v1alpha|v1))?/models/(?P<model>[^:]+):(?P<verb>\w+)$")
_VERBS: dict[str, Operation] = {
    "generateContent": "generate",
    "streamGenerateContent": "generate",
    "countTokens": "count",
    "embedContent": "embed",
    "batchEmbedContents": "embed",
}
_POSTS: tuple[tuple[re.Pattern[str], Api, Operation], ...] = (
    (re.compile(r"^(?P<prefix>.*?)(?:/v1)?/messages/count_tokens$"), "anthropic", "count"),
    (re.compile(r"^(?P<prefix>.*?)(?:/v1)?/messages$"), "anthropic", "generate"),
    (re.compile(r"^(?P<prefix>.*?)(?:/v1)?/chat/completions$"), "openai-chat", "generate"),
    (re.compile(r"^(?P<prefix>.*?)(?:/v1)?/responses$"), "openai-responses", "generate"),
    (re.compile(r"^(?P<prefix>.*?)(?:/v1)?/embeddings$"), "openai-chat", "embed"),
)
_MODELS = re.compile(r"^(?P<prefix>.*?)/(?P<version>v1beta|v1alpha|v1)/models(?:/(?P<model>.+))?$")
_VERTEX_MODELS = re.compile(r"^(?P<prefix>.*?/v1(?:beta1)?/publishers/google)/models(?:/(?P<model>.+))?$")


def target(method: str, path: str, headers: dict[str, str]) -> Target | None:
    """What `path` asks for; None if no API of the simulator has it for this method."""
    if method == "GET":
        if found := _VERTEX_MODELS.match(path):
            return Target("gemini", "models", found["prefix"], unquote(found["model"] or ""))
        found = _MODELS.match(path)
        if found is None:
            return None
        api = api_of(found["version"], headers)
        return Target(api, "models", found["prefix"], unquote(found["model"] or ""))
    if method != "POST":
        return None
    if (found := _GEMINI.match(path)) and found["verb"] in _VERBS:
        return Target("gemini", _VERBS[found["verb"]], found["prefix"], unquote(found["model"]), found["verb"])
    for pattern, api, operation in _POSTS:
        if found := pattern.match(path):
            return Target(api, operation, found["prefix"])
    return None


def api_of(version: str, headers: dict[str, str]) -> Api:
    """The API of a model list: three services share `/v1/models`, and only the headers distinguish them."""
    if version in ("v1beta", "v1alpha") or "x-goog-api-key" in headers or "x-goog-api-client" in headers:
        return "gemini"
    if "anthropic-version" in headers or "x-api-key" in headers:
        return "anthropic"
    return "openai-chat"


def credential(headers: dict[str, str], query: dict[str, str]) -> str:
    """The key of a request, from any header or the query; empty if it has none."""
    bearer = headers.get("authorization", "")
    token = bearer[7:].strip() if bearer[:7].lower() == "bearer " else ""
    return headers.get("x-api-key") or headers.get("x-goog-api-key") or token or query.get("key", "")


def parse_query(text: str) -> dict[str, str]:
    """The last value of each query parameter."""
    return dict(parse_qsl(text, keep_blank_values=True))


_SECRET = ("authorization", "x-api-key", "x-goog-api-key", "proxy-authorization", "cookie")
TAIL = 6
"""Length of the end of a key that identifies its account."""


class Record(msgspec.Struct, kw_only=True):
    """One request. Times are seconds since the simulator started.

    `events` counts the events sent (a body that is not streamed counts as one); `aborted`: the client disconnected
    before the end; `duration` is None while the answer is being sent.
    """

    number: int
    t: float
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    account: str
    body: Any
    api: str = ""
    operation: str = ""
    model: str = ""
    stream: bool = False
    status: int = 0
    refusal: str = ""
    events: int = 0
    aborted: bool = False
    duration: float | None = None


def masked(headers: dict[str, str]) -> dict[str, str]:
    """`headers` with credentials masked."""
    return {name: "***" if name in _SECRET else value for name, value in headers.items()}


def tail(key: str) -> str:
    """The end of a key, which identifies an account in the log."""
    return key[-TAIL:]
