"""Routes by path and method, and the protocol of a request without a route."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bm.errors import Failure
from bm.server.routes import (
    InteractionsRoute,
    ModelsRoute,
    Probe,
    Route,
    StoredRoute,
    caller,
    find,
    wants_array,
    without_key,
)

GOOGLE = {"x-goog-api-key": "key"}
ANTHROPIC = {"anthropic-version": "2023-06-01"}
BEARER = {"authorization": "Bearer key"}

CALLS = [
    ("/v1/messages", Route("anthropic", "generate")),
    ("/v1/messages/count_tokens", Route("anthropic", "count_tokens")),
    ("/v1/chat/completions", Route("openai-chat", "generate")),
    ("/v1/responses", Route("openai-responses", "generate")),
    ("/v1/responses/input_tokens", Route("openai-responses", "count_tokens")),
    ("/v1/responses/compact", Route("openai-responses", "compact", streams=False)),
    ("/v1/embeddings", Route("openai-chat", "embed")),
]
GEMINI_METHODS = [
    ("generateContent", "generate", False),
    ("streamGenerateContent", "generate", True),
    ("countTokens", "count_tokens", False),
    ("embedContent", "embed", False),
    ("batchEmbedContents", "batch_embed", False),
]


@pytest.mark.parametrize(("path", "route"), CALLS)
@pytest.mark.parametrize("before", ["", "/openai"])
@pytest.mark.parametrize("after", ["", "/"])
def test_a_call_with_openai_prefix_and_trailing_slash(path: str, route: Route, before: str, after: str) -> None:
    assert find("POST", before + path + after, {}) == route


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/v1/v1/messages", Route("anthropic", "generate")),
        ("/api/v1/v1/messages", Route("anthropic", "generate")),
        ("/anthropic/v1/messages", Route("anthropic", "generate")),
        ("/messages", Route("anthropic", "generate")),
        ("/messages/count_tokens", Route("anthropic", "count_tokens")),
        ("//v1/messages", Route("anthropic", "generate")),
        ("/v1//chat/completions", Route("openai-chat", "generate")),
        ("/chat/completions", Route("openai-chat", "generate")),
        ("/v1/chat/completions/chat/completions", Route("openai-chat", "generate")),
        ("/v1/openai/v1/chat/completions", Route("openai-chat", "generate")),
        ("/v1beta/openai/chat/completions", Route("openai-chat", "generate")),
        ("/v1beta/openai/embeddings", Route("openai-chat", "embed")),
        ("/responses", Route("openai-responses", "generate")),
        ("/v1/v1/responses/compact", Route("openai-responses", "compact", streams=False)),
        ("/v1/v1/responses/resp_1/cancel", StoredRoute("resp_1", "cancel")),
        ("/v1/v1beta/models/x:countTokens", Route("gemini", "count_tokens", "x", "v1beta", False)),
        ("//v1beta/models/x:countTokens", Route("gemini", "count_tokens", "x", "v1beta", False)),
    ],
)
def test_what_a_base_url_with_too_much_or_too_little_means(path: str, route: Route | StoredRoute) -> None:
    assert find("POST", path, {}) == route


@pytest.mark.parametrize(
    ("path", "protocol"),
    [("/v1/v1/models", "openai-chat"), ("/v1beta/openai/models", "openai-chat"), ("/v1/v1beta/models", "gemini")],
)
def test_the_list_of_models_below_such_a_base_url(path: str, protocol: str) -> None:
    assert find("GET", path, {}) == ModelsRoute(protocol)  # type: ignore[arg-type]
    assert find("GET", f"{path}/x", {}) == ModelsRoute(protocol, "x")  # type: ignore[arg-type]


@pytest.mark.parametrize(("method", "operation", "streams"), GEMINI_METHODS)
@pytest.mark.parametrize("version", ["v1beta", "v1", "v1alpha", ""])
def test_a_gemini_call(method: str, operation: str, streams: bool, version: str) -> None:
    path = f"/{version}/models/gemini-3-flash:{method}" if version else f"/models/gemini-3-flash:{method}"
    expected = Route("gemini", operation, "gemini-3-flash", version, streams)  # type: ignore[arg-type]
    assert find("POST", path, {}) == expected


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("models/groq:llama-3.3-70b", "groq:llama-3.3-70b"),
        ("models/together:zai-org/GLM-5.3", "together:zai-org/GLM-5.3"),
        ("models/100%sure", "100%sure"),
        ("tunedModels/mine", "tunedModels/mine"),
        ("models/models/gemini-3-flash", "gemini-3-flash"),
    ],
)
def test_the_model_of_a_gemini_call(name: str, model: str) -> None:
    found = find("POST", f"/v1beta/{name}:generateContent", {})
    assert isinstance(found, Route) and found.model == model


@pytest.mark.parametrize(
    ("path", "headers", "protocol", "model"),
    [
        ("/v1/models", BEARER, "openai-chat", ""),
        ("/v1/models/", BEARER, "openai-chat", ""),
        ("/openai/v1/models", BEARER, "openai-chat", ""),
        ("/models", BEARER, "openai-chat", ""),
        ("/v1/models", ANTHROPIC, "anthropic", ""),
        ("/v1/models", {"x-api-key": "key"}, "anthropic", ""),
        ("/v1/models", GOOGLE, "gemini", ""),
        ("/v1beta/models", {}, "gemini", ""),
        ("/v1alpha/models", BEARER, "gemini", ""),
        ("/v1/models/gpt-5", BEARER, "openai-chat", "gpt-5"),
        ("/v1/models/groq:openai/gpt-oss-120b", BEARER, "openai-chat", "groq:openai/gpt-oss-120b"),
        ("/v1/models/groq:compound", BEARER, "openai-chat", "groq:compound"),
        ("/v1/models/claude-opus-5", ANTHROPIC, "anthropic", "claude-opus-5"),
        ("/v1beta/models/gemini-3-flash", {}, "gemini", "gemini-3-flash"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_list_of_models_in_three_protocols(
    method: str, path: str, headers: dict[str, str], protocol: str, model: str
) -> None:
    assert find(method, path, headers) == ModelsRoute(protocol, model)  # type: ignore[arg-type]


@pytest.mark.parametrize(("method", "path"), [("HEAD", "/"), ("HEAD", "/api/hello"), ("GET", "/api/hello")])
def test_a_health_check(method: str, path: str) -> None:
    assert find(method, path, {}) == Probe()


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [(method, path, "POST") for path, _ in CALLS for method in ("GET", "PUT", "DELETE", "OPTIONS")]
    + [
        ("GET", "/v1beta/models/x:generateContent", "POST"),
        ("POST", "/v1/models", "GET"),
        ("DELETE", "/v1/models/x", "GET"),
    ],
)
def test_a_wrong_method_names_the_right_one(method: str, path: str, allowed: str) -> None:
    found = find(method, path, {})
    assert isinstance(found, Failure) and (found.kind, found.code) == ("method", allowed)
    assert allowed in found.message and method in found.message


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("/proxy/v1/messages", "too much at its end: /proxy "),
        ("/v1/threads/thread_1/messages", "bm env"),
        ("/v1/completions", "only chat completions"),
        ("/v1beta/models/x:predict", "generateContent"),
        ("/v1/", "bm env"),
        ("/favicon.ico", "bm env"),
    ],
)
def test_an_unknown_path_names_the_likely_cause(path: str, hint: str) -> None:
    found = find("POST", path, {})
    assert isinstance(found, Failure) and found.kind == "not_found" and hint in found.message


@pytest.mark.parametrize(
    ("path", "headers", "protocol"),
    [
        ("/v1/messages/batches", BEARER, "anthropic"),
        ("/v1/v1/messages", {}, "anthropic"),
        ("/proxy/chat/completions", {"x-api-key": "key"}, "openai-chat"),
        ("/v1/responses/resp_1", {}, "openai-responses"),
        ("/v1beta/cachedContents", {}, "gemini"),
        ("/v1/models/x:streamGenerateContent", {}, "gemini"),
        ("/nowhere", GOOGLE, "gemini"),
        ("/nowhere", {"x-goog-api-client": "genai"}, "gemini"),
        ("/nowhere", ANTHROPIC, "anthropic"),
        ("/nowhere", BEARER, "openai-chat"),
        ("/nowhere", {}, "openai-chat"),
    ],
)
def test_the_protocol_of_an_error(path: str, headers: dict[str, str], protocol: str) -> None:
    assert caller(headers, path) == protocol


@given(
    method=st.sampled_from(["GET", "POST", "HEAD", "PUT"]),
    path=st.lists(st.sampled_from(["v1", "v1beta", "openai", "models", "messages", ":", "x", "..", "%2e", ""])).map(
        lambda parts: "/" + "/".join(parts)
    ),
)
def test_every_path_has_a_route_or_a_failure(method: str, path: str) -> None:
    found = find(method, path, {})
    assert not isinstance(found, Failure) or found.kind in ("not_found", "method")


@pytest.mark.parametrize(
    ("query", "array"), [("", True), ("alt=sse", False), ("key=x&alt=sse", False), ("alt=json", True), ("alt=", True)]
)
def test_a_stream_is_an_array_without_alt_sse(query: str, array: bool) -> None:
    assert wants_array(query) is array


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        ("", ""),
        ("key=secret", ""),
        ("alt=sse&key=secret", "alt=sse"),
        ("key=secret&alt=sse&key=more", "alt=sse"),
        ("beta=true&monkey=1", "beta=true&monkey=1"),
        ("q=a%20b&x", "q=a%20b&x"),
    ],
)
def test_the_key_is_removed_from_the_query(query: str, kept: str) -> None:
    assert without_key(query) == kept


def test_a_websocket_is_sent_on_over_http() -> None:
    refused = find("GET", "/v1/responses", {"upgrade": "websocket", "connection": "Upgrade"})
    assert isinstance(refused, Failure) and refused.http_status == 426
    assert isinstance(other := find("GET", "/v1/responses", {}), Failure) and other.http_status == 405


@pytest.mark.parametrize(
    ("method", "path", "route"),
    [
        ("GET", "/v1/responses/resp_1", StoredRoute("resp_1")),
        ("DELETE", "/v1/responses/resp_1/", StoredRoute("resp_1")),
        ("POST", "/openai/v1/responses/resp_1/cancel", StoredRoute("resp_1", "cancel")),
        ("GET", "/v1/responses/resp_1/input_items", StoredRoute("resp_1", "input_items")),
    ],
)
def test_a_request_about_a_stored_response(method: str, path: str, route: StoredRoute) -> None:
    assert find(method, path, {}) == route


@pytest.mark.parametrize(("path", "right"), [("resp_1", "GET"), ("resp_1/cancel", "POST"), ("r/input_items", "GET")])
def test_a_wrong_method_about_a_stored_response(path: str, right: str) -> None:
    assert isinstance(found := find("PUT", f"/v1/responses/{path}", {}), Failure)
    assert (found.kind, found.code) == ("method", right)


@pytest.mark.parametrize("path", ["/v1beta/interactions", "/v1/interactions/"])
def test_an_interaction(path: str) -> None:
    assert find("POST", path, {}) == InteractionsRoute()
    refused = find("GET", path, {})
    assert isinstance(refused, Failure) and refused.kind == "method"
    assert find("DELETE", f"{path.rstrip('/')}/int_1", {}) == InteractionsRoute("int_1")
