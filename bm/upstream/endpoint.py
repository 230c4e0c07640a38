"""The URL and the headers of a request to a provider."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from urllib.parse import quote

from bm import __version__
from bm.accounts.account import Access
from bm.dispatch.target import Target
from bm.names import GEMINI_METHODS, PATHS, Operation, ProtocolName
from bm.providers.provider import Provider
from bm.upstream.headers import Headers, to_upstream

USER_AGENT = f"better-manager/{__version__}"
ANTHROPIC_VERSION = "2023-06-01"
"""Sent unless the client or the codec names another version."""


def offers(protocol: ProtocolName, operation: Operation, access: Access) -> bool:
    """Whether the protocol has an endpoint for the operation. Vertex AI embeds one text at a time."""
    if access.location and operation == "batch_embed":
        return False
    return protocol == "gemini" or (protocol, operation) in PATHS


NO_ACCESS = Access()
"""For providers that need no key."""

VERTEX_VERSION = "v1beta1"
"""The official SDK's default."""


def url(
    provider: Provider,
    target: Target,
    operation: Operation,
    access: Access = NO_ACCESS,
    *,
    stream: bool,
    version: str = "",
    query: str = "",
) -> str:
    """The URL of a request. `version` is the API version of a Gemini client, `query` that of its URL."""
    if target.protocol != "gemini":
        path = PATHS[target.protocol, operation]
        base = provider.base_url if provider.protocol == "anthropic" else provider.base_url.removesuffix("/v1")
        address = base + path if target.protocol == "anthropic" else provider.base_url + path.removeprefix("/v1")
        return f"{address}?{query}" if query else address
    method = GEMINI_METHODS[operation, stream and operation == "generate"]
    if access.location:
        root, folder = vertex_root(provider, access, version), "publishers/google/models/"
    else:
        root, folder = gemini_root(provider, version), "models/"
    address = f"{root}/{'' if '/' in target.model else folder}{quote(target.model, safe='/')}:{method}"
    return f"{address}?{query}" if query else address


def vertex_root(provider: Provider, access: Access, version: str = "") -> str:
    """Vertex AI's URL down to the location of the project. Of the Gemini API's versions it only has `v1`."""
    of = "v1" if version == "v1" else VERTEX_VERSION
    return f"{vertex_host(provider, access.location)}/{of}/projects/{access.project}/locations/{access.location}"


def vertex_host(provider: Provider, location: str) -> str:
    """The host of Vertex AI for a location: global, a multi-region, or a region."""
    if provider.vertex_base_url:
        return provider.vertex_base_url
    if location == "global":
        return "https://aiplatform.googleapis.com"
    if location in ("us", "eu"):
        return f"https://aiplatform.{location}.rep.googleapis.com"
    return f"https://{location}-aiplatform.googleapis.com"


def gemini_root(provider: Provider, version: str = "") -> str:
    """The base URL with the client's API version, or else the configured one."""
    return (
        f"{provider.base_url}/{version}"
        if version
        else provider.base_url + provider.models_path.removesuffix("/models")
    )


def models_url(provider: Provider, access: Access = NO_ACCESS) -> str:
    """The URL of the provider's list of models. Vertex AI lists those of a publisher, whatever the project."""
    if access.location:
        return f"{vertex_host(provider, access.location)}/{VERTEX_VERSION}/publishers/google/models"
    return provider.base_url + provider.models_path


def own_headers(provider: Provider, access: Access, extra: Iterable[tuple[str, str]] = ()) -> Headers:
    """The headers of a request that bm has built. `extra` are those of its codec."""
    headers: Headers = [("content-type", "application/json"), ("user-agent", USER_AGENT)]
    if provider.protocol == "anthropic":
        headers.append(("anthropic-version", ANTHROPIC_VERSION))
    return _complete(headers, provider, access, extra)


def forwarded_headers(provider: Provider, access: Access, client: Sequence[tuple[str, str]]) -> Headers:
    """The client's headers for an upstream of the same protocol, with the provider's key in place of bm's."""
    headers = to_upstream(client)
    if provider.protocol == "anthropic" and all(name != "anthropic-version" for name, _ in headers):
        headers.append(("anthropic-version", ANTHROPIC_VERSION))
    return _complete(headers, provider, access, ())


def _complete(headers: Headers, provider: Provider, access: Access, extra: Iterable[tuple[str, str]]) -> Headers:
    own = [*extra, *((name.lower(), value) for name, value in provider.headers.items()), *credentials(provider, access)]
    replaced = {name for name, _ in own}
    return [*((name, value) for name, value in headers if name not in replaced), *own]


def credentials(provider: Provider, access: Access) -> Headers:
    """The headers that authenticate a request."""
    if access.bearer:
        billed = [("x-goog-user-project", access.billed)] if access.billed else []
        return [("authorization", f"Bearer {access.key}"), *billed]
    match provider.auth:
        case "bearer":
            return [("authorization", f"Bearer {access.key}")]
        case "none":
            return [("authorization", f"Bearer {access.key}")] if access.key else []
        case name:
            return [(name, access.key)]
