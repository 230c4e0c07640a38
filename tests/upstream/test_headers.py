"""The headers that are forwarded in each direction."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bm.upstream.headers import CREDENTIALS, HOP_BY_HOP, to_client, to_upstream, with_own

GO_UP = [
    "accept",
    "anthropic-beta",
    "anthropic-dangerous-direct-browser-access",
    "anthropic-version",
    "content-type",
    "helicone-session-id",
    "openai-beta",
    "session-id",
    "user-agent",
    "x-app",
    "x-claude-code-session-id",
    "x-goog-api-client",
    "x-stainless-lang",
]
STAY = [
    *sorted(HOP_BY_HOP),
    *sorted(CREDENTIALS),
    "accept-encoding",
    "cf-connecting-ip",
    "content-encoding",
    "content-length",
    "expect",
    "forwarded",
    "host",
    "origin",
    "referer",
    "sec-fetch-mode",
    "via",
    "x-bm-provider",
    "x-forwarded-for",
    "x-real-ip",
]
COME_BACK = [
    "anthropic-organization-id",
    "anthropic-ratelimit-requests-remaining",
    "content-type",
    "openai-processing-ms",
    "request-id",
    "retry-after",
    "retry-after-ms",
    "x-gemini-service-tier",
    "x-ratelimit-limit-tokens",
    "x-request-id",
    "x-should-retry",
]
DO_NOT_COME_BACK = [
    *sorted(HOP_BY_HOP),
    *sorted(CREDENTIALS),
    "alt-svc",
    "cf-ray",
    "content-encoding",
    "content-length",
    "date",
    "location",
    "server",
    "strict-transport-security",
    "x-bm-account",
]


@pytest.mark.parametrize("name", GO_UP)
def test_forwarded_headers(name: str) -> None:
    assert to_upstream([(name, "value")]) == [(name, "value")]


@pytest.mark.parametrize("name", STAY)
def test_removed_headers(name: str) -> None:
    assert to_upstream([(name, "value")]) == []


@pytest.mark.parametrize("name", COME_BACK)
def test_returned_headers(name: str) -> None:
    assert to_client([(name, "value")]) == [(name, "value")]


@pytest.mark.parametrize("name", DO_NOT_COME_BACK)
def test_withheld_headers(name: str) -> None:
    assert to_client([(name, "value")]) == []


def test_order_and_repetition_are_kept() -> None:
    headers = [("anthropic-beta", "one"), ("x-app", "cli"), ("anthropic-beta", "two")]
    assert to_upstream(headers) == headers


def test_headers_named_by_connection_are_removed() -> None:
    headers = [("connection", "close, X-Trace"), ("x-trace", "1"), ("x-app", "cli")]
    assert to_upstream(headers) == [("x-app", "cli")]


NAMES = st.sampled_from(GO_UP + STAY + COME_BACK + DO_NOT_COME_BACK) | st.from_regex(r"[a-z-]{1,20}", fullmatch=True)


@given(st.lists(st.tuples(NAMES, st.text(max_size=8)), max_size=12))
def test_no_credential_hop_by_hop_or_bm_header_is_forwarded(headers: list[tuple[str, str]]) -> None:
    up = {name for name, _ in to_upstream(headers)}
    nominated = {word.strip().lower() for name, value in headers if name == "connection" for word in value.split(",")}
    assert not up & (HOP_BY_HOP | CREDENTIALS | nominated)
    assert not any(name.startswith("x-bm-") for name in up)


@given(st.lists(st.tuples(NAMES, st.text(max_size=8)), max_size=12))
def test_no_credential_hop_by_hop_or_length_header_is_returned(headers: list[tuple[str, str]]) -> None:
    back = {name for name, _ in to_client(headers)}
    assert not back & (HOP_BY_HOP | CREDENTIALS | {"content-length", "content-encoding"})


def test_a_body_that_bm_wrote_has_its_own_version_and_the_betas_of_both() -> None:
    client = [("anthropic-version", "2023-06-01"), ("anthropic-beta", "a"), ("user-agent", "tool")]
    own = [("anthropic-version", "2026-10-21"), ("anthropic-beta", "b"), ("x-api-key", "k")]
    assert dict(with_own(client, own)) == {
        "anthropic-version": "2026-10-21",
        "anthropic-beta": "a,b",
        "user-agent": "tool",
    }
    assert dict(with_own(client, own[:1]))["anthropic-beta"] == "a"
