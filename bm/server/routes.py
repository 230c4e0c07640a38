"""Routes of the model APIs, and the protocol in which to answer a request without a route."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal
from urllib.parse import parse_qs

import msgspec

from bm.errors import Failure
from bm.gateway.stored import Action
from bm.names import GEMINI_METHODS, PATHS, Operation, ProtocolName


class Route(msgspec.Struct, frozen=True):
    """A call. `model` and `version` come from a Gemini path; `streams` is None if the body decides."""

    protocol: ProtocolName
    operation: Operation
    model: str = ""
    version: str = ""
    streams: bool | None = None


class ModelsRoute(msgspec.Struct, frozen=True):
    """A request for the list of models, or for one model."""

    protocol: ProtocolName
    model: str = ""


class InteractionsRoute(msgspec.Struct, frozen=True):
    """A request of Google's Interactions API, which is served as one of generateContent, or about the one named."""

    name: str = ""
    protocol: ProtocolName = "gemini"


class StoredRoute(msgspec.Struct, frozen=True):
    """A request about a response that was stored."""

    response: str
    action: Action = ""
    protocol: ProtocolName = "openai-responses"


class Probe(msgspec.Struct, frozen=True):
    """A health check that needs no key: `HEAD /api/hello` of Claude Code, `HEAD /` of other tools."""


_CALLS = {
    path: Route(protocol, operation, streams=False if operation == "compact" else None)
    for (protocol, operation), path in PATHS.items()
}
_METHODS = {name: meaning for meaning, name in GEMINI_METHODS.items()}
_GEMINI = re.compile(r"/(?:(v1beta|v1alpha|v1)/)?(?:models/)*((?:models|tunedModels)/.+):([A-Za-z]+)")
_INTERACTIONS = re.compile(r"/(?:v1beta|v1)/interactions(?:/([^/]+))?")
_STORED = re.compile(r"/v1/responses/([^/]+)(?:/(cancel|input_items))?")
_STORED_ACTIONS: dict[str, tuple[Action, tuple[str, ...], Literal["GET", "POST"]]] = {
    "": ("", ("GET", "DELETE"), "GET"),
    "cancel": ("cancel", ("POST",), "POST"),
    "input_items": ("input_items", ("GET",), "GET"),
}
"""What can be asked about a stored response, by which methods, and the one that a wrong method is answered with."""
_SLASHES = re.compile("/{2,}")
_MODELS = re.compile(r"/(?:(v1beta|v1alpha|v1)/)?models(?:/(.+))?")

_NO_UPGRADE = Failure(
    kind="bad_request", message="WebSocket is not offered here; send the request by POST", code="websocket", status=426
)
"""Codex goes on over HTTP at once after this status (RFC 9110, 15.5.22), and tries five times after any other."""

Found = Route | ModelsRoute | StoredRoute | InteractionsRoute | Probe


_BASES = re.compile(
    r"((?:/(?:v1|v1beta|v1alpha|api|openai|anthropic|gemini|chat/completions|messages|responses))*)"
    r"(/(?:chat/completions|embeddings|messages(?:/count_tokens)?|responses(?:/.+)?|(?:models|tunedModels)(?:/.+)?))"
)
"""What stands before the path of a request when a tool's base URL has a part too many or lacks its `/v1`."""


def find(method: str, path: str, headers: Mapping[str, str]) -> Found | Failure:
    """The route of a request, or the failure: 404 for an unknown path, 405 for a wrong method.

    `path` is already decoded. Tools differ in what they append to a base URL, so it has often a `/v1` too many or too
    few, a slash at its end, or the whole path of a call:
    https://github.com/CloudWaddie/LMArenaBridge/issues/159, https://github.com/garrytan/gbrain/issues/1250,
    https://github.com/cline/cline/issues/375 (read 2026-12-01). What such a request means is beyond doubt.
    """
    found = _find(method, path, headers)
    if isinstance(found, Failure) and found.kind == "not_found":
        meant = _find(method, _meant(path), headers)
        return found if isinstance(meant, Failure) and meant.kind == "not_found" else meant
    return found


def _meant(path: str) -> str:
    """The path as its API writes it, below whatever base URL."""
    parts = _BASES.fullmatch(_SLASHES.sub("/", path).rstrip("/"))
    if parts is None:
        return path
    base, rest = parts.groups()
    last = base.rpartition("/")[2]
    version = last if last in ("v1beta", "v1alpha") and rest.startswith(("/models", "/tunedModels")) else "v1"
    return f"/{version}{rest}"


def _find(method: str, path: str, headers: Mapping[str, str]) -> Found | Failure:
    path = path.removeprefix("/openai") if path.startswith("/openai/v1/") else path
    path = path.rstrip("/") or "/"
    if (route := _CALLS.get(path)) is not None:
        if method == "GET" and headers.get("upgrade", "").lower() == "websocket":
            return _NO_UPGRADE
        return route if method == "POST" else _wrong_method(method, path, "POST")
    found = _GEMINI.fullmatch(path)
    # A request for the model `groq:compound` is not a call of the method `compound`.
    if found is not None and (method == "POST" or found[3] in _METHODS):
        return _gemini_call(method, path, found)
    if (found := _MODELS.fullmatch(path)) is not None:
        if method not in ("GET", "HEAD"):
            return _wrong_method(method, path, "GET")
        return ModelsRoute(caller(headers, path), found[2] or "")
    if (found := _STORED.fullmatch(path)) is not None:
        return _stored(method, path, found[1], found[2] or "")
    if (found := _INTERACTIONS.fullmatch(path)) is not None:
        right = method in ("GET", "DELETE") if found[1] else method == "POST"
        return (
            InteractionsRoute(found[1] or "") if right else _wrong_method(method, path, "GET" if found[1] else "POST")
        )
    if path == "/api/hello" or (path == "/" and method == "HEAD"):
        return Probe()
    return Failure(kind="not_found", message=f"there is no {path} here{_hint(path)}", param="path")


def _stored(method: str, path: str, name: str, asked: str) -> Found | Failure:
    action, methods, right = _STORED_ACTIONS[asked]
    return StoredRoute(name, action) if method in methods else _wrong_method(method, path, right)


def _gemini_call(method: str, path: str, found: re.Match[str]) -> Found | Failure:
    version, model, name = found.groups()
    if name not in _METHODS:
        message = f"{name} is not offered; {', '.join(_METHODS)} are"
        return Failure(kind="not_found", message=message, param="path")
    if method != "POST":
        return _wrong_method(method, path, "POST")
    operation, streams = _METHODS[name]
    return Route("gemini", operation, model.removeprefix("models/"), version or "", streams)


def _wrong_method(method: str, path: str, right: Literal["GET", "POST"]) -> Failure:
    return Failure(kind="method", message=f"{path} takes {right}, not {method}", code=right)


def _hint(path: str) -> str:
    """The likely cause of a 404: a base URL with too much at its end."""
    for known in _CALLS:
        if path.endswith(known):
            return f"; the base URL has too much at its end: {path.removesuffix(known)} (for {known})"
    if path.endswith("/completions"):
        return "; only chat completions are offered, so switch the tool from legacy completions to these"
    return "; `bm env` prints the base URL for each tool"


_GEMINI_SIGN = re.compile(rf"/v1(?:beta|alpha)\d*(?:/|$)|/models/.+:(?:{'|'.join(_METHODS)})$")
_SIGNS = tuple((path.removeprefix("/v1"), route.protocol) for path, route in _CALLS.items())


def caller(headers: Mapping[str, str], path: str = "") -> ProtocolName:
    """The protocol of a request that may have no route, by its path or by headers that only one API uses."""
    if _GEMINI_SIGN.search(path):
        return "gemini"
    for sign, protocol in _SIGNS:
        if sign in path:
            return protocol
    if "x-goog-api-key" in headers or "x-goog-api-client" in headers:
        return "gemini"
    if "anthropic-version" in headers or "x-api-key" in headers:
        return "anthropic"
    return "openai-chat"


def wants_array(query: str) -> bool:
    """Whether a Gemini client expects a stream as one JSON array, as the API sends without `alt=sse`."""
    return parse_qs(query).get("alt", ["json"])[-1] != "sse"


def without_key(query: str) -> str:
    """The query string without `key`, otherwise unchanged."""
    return "&".join(pair for pair in query.split("&") if pair and pair.partition("=")[0] != "key")
