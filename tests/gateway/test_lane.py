"""What a lane knows of itself, and how a body is read."""

from __future__ import annotations

import pytest

from bm.dispatch.target import Target
from bm.gateway.lane import Lane, failed, new_id, start_of
from bm.protocols.embeddings import EmbedRequest, from_openai
from bm.protocols.registry import CODECS
from bm.upstream.client import UpstreamRequest

EMBEDDING = from_openai({"model": "m", "input": "hello"})


@pytest.mark.parametrize(
    ("names", "embedding", "simple", "passes", "can_simplify"),
    [
        (None, None, False, True, False),
        ({}, None, False, False, True),
        ({}, None, True, False, False),
        (None, EMBEDDING, False, False, True),
    ],
)
def test_bytes_pass_where_nothing_was_written_anew(
    names: dict[str, str] | None, embedding: EmbedRequest | None, simple: bool, passes: bool, can_simplify: bool
) -> None:
    request = UpstreamRequest("gemini", "POST", "https://example.com", [])
    target = Target("gemini", "one", "gemini-3-flash-preview", "gemini")
    lane = Lane(target, request, CODECS["gemini"], (), names, embedding, simple)
    assert (lane.passes_through, lane.can_simplify) == (passes, can_simplify)


def test_ids_are_unique_and_keep_their_prefix() -> None:
    ids = {new_id("req_") for _ in range(100)}
    assert len(ids) == 100 and all(each.startswith("req_") and len(each) == 28 for each in ids)


@pytest.mark.parametrize(
    ("body", "shown"), [(b"", "an empty body"), (b" <html>\xff", "<html>\ufffd"), (b"x" * 999, "x" * 200)]
)
def test_the_start_of_an_answer_is_shown(body: bytes, shown: str) -> None:
    assert start_of(body) == shown


def test_an_answer_without_sense_is_malformed() -> None:
    failure = failed("no sense").watch.failure
    assert failure is not None and (failure.kind, failure.message) == ("malformed", "no sense")
