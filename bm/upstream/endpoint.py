"""Where a provider takes a request, and with which headers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal
from urllib.parse import quote

from bm import __version__
from bm.dispatch.target import Target
from bm.providers.provider import Provider
from bm.upstream.headers import Headers, to_upstream

Operation = Literal["generate", "count_tokens", "embed", "batch_embed"]
"""What is asked of a model; `batch_embed` is Gemini's embedding of several texts."""

USER_AGENT = f"better-manager/{__version__}"
ANTHROPIC_VERSION = "2023-06-01"
"""For requests whose client or codec asks for no other."""

_PATHS: dict[tuple[str, Operation], str] = {
    ("anthropic", "generate"): "/v1/messages",
    ("anthropic", "count_tokens"): "/v1/messages/count_tokens",
    ("openai-chat", "generate"): "/chat/completions",
    ("openai-chat", "embed"): "/embeddings",
    ("openai-responses", "generate"): "/responses",
    ("openai-responses", "count_tokens"): "/responses/input_tokens",
}
_GEMINI_METHODS: dict[Operation, str] = {
    "generate": "generateContent",
    "count_tokens": "countTokens",
    "embed": "embedContent",
    "batch_embed": "batchEmbedContents",
}


def offers(protocol: str, operation: Operation) -> bool:
    """Whether that wire has an endpoint for the operation."""
    return protocol == "gemini" or (protocol, operation) in _PATHS


def url(
    provider: Provider, target: Target, operation: Operation, *, stream: bool, version: str = "", query: str = ""
) -> str:
    """The URL of a request. `version` is a Gemini client's own API version, `query` what its URL carried."""
    if target.protocol != "gemini":
        address = provider.base_url + _PATHS[target.protocol, operation]
        return f"{address}?{query}" if query else address
    streamed = stream and operation == "generate"
    method = "streamGenerateContent" if streamed else _GEMINI_METHODS[operation]
    folder = "" if "/" in target.model else "models/"
    address = f"{gemini_root(provider, version)}/{folder}{quote(target.model, safe='/')}:{method}"
    return f"{address}?{query}" if query else address


def gemini_root(provider: Provider, version: str = "") -> str:
    """The base URL with its API version: the client's own, else the configuration's."""
    return (
        f"{provider.base_url}/{version}"
        if version
        else provider.base_url + provider.models_path.removesuffix("/models")
    )


def models_url(provider: Provider) -> str:
    """Where the provider lists its models."""
    return provider.base_url + provider.models_path


def own_headers(provider: Provider, key: str, extra: Iterable[tuple[str, str]] = ()) -> Headers:
    """The headers of a request that bm writes itself. `extra` are those its codec asks for."""
    headers: Headers = [("content-type", "application/json"), ("user-agent", USER_AGENT)]
    if provider.protocol == "anthropic":
        headers.append(("anthropic-version", ANTHROPIC_VERSION))
    return _complete(headers, provider, key, extra)


def forwarded_headers(provider: Provider, key: str, client: Sequence[tuple[str, str]]) -> Headers:
    """The client's headers as an upstream of its own protocol gets them, with the provider's key in place of bm's."""
    headers = to_upstream(client)
    if provider.protocol == "anthropic" and all(name != "anthropic-version" for name, _ in headers):
        headers.append(("anthropic-version", ANTHROPIC_VERSION))
    return _complete(headers, provider, key, ())


def _complete(headers: Headers, provider: Provider, key: str, extra: Iterable[tuple[str, str]]) -> Headers:
    own = [*extra, *((name.lower(), value) for name, value in provider.headers.items()), *credentials(provider, key)]
    replaced = {name for name, _ in own}
    return [*((name, value) for name, value in headers if name not in replaced), *own]


def credentials(provider: Provider, key: str) -> Headers:
    """The header that carries the key."""
    match provider.auth:
        case "bearer":
            return [("authorization", f"Bearer {key}")]
        case "none":
            return [("authorization", f"Bearer {key}")] if key else []
        case name:
            return [(name, key)]
