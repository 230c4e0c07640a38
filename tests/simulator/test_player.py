"""Every fault as a raw client sees it, on every wire."""

from __future__ import annotations

import gzip
import itertools
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from bm.simulator import Rule, Simulator
from bm.simulator.request import Record
from tests.simulator.streams import APIS, TERMINAL, ask, body_of, path_of


def read(http: httpx.Client, api: str) -> tuple[bytes, Exception | None]:
    """What arrives of a stream, and how it failed if it did."""
    got = bytearray()
    try:
        with http.stream("POST", path_of(api), json=body_of(api)) as response:
            for chunk in response.iter_raw():
                got += chunk
    except httpx.TransportError as error:
        return bytes(got), error
    return bytes(got), None


@pytest.mark.parametrize("api", APIS)
def test_a_good_stream_ends_as_it_should(http: httpx.Client, api: str) -> None:
    got, error = read(http, api)
    assert error is None
    assert TERMINAL[api] in got


@pytest.mark.parametrize("api", APIS)
def test_a_cut_is_a_broken_connection_after_part_of_the_answer(sim: Simulator, http: httpx.Client, api: str) -> None:
    sim.script(Rule(cut_after=2, chunks=6))
    got, error = read(http, api)
    assert isinstance(error, httpx.ReadError)
    assert got
    assert TERMINAL[api] not in got
    assert sim.log()[0].events == 2
    assert not sim.log()[0].aborted


@pytest.mark.parametrize("api", APIS)
def test_a_short_end_looks_clean_but_lacks_the_last_event(sim: Simulator, http: httpx.Client, api: str) -> None:
    sim.script(Rule(end_after=2, chunks=6))
    got, error = read(http, api)
    assert error is None
    assert got
    assert TERMINAL[api] not in got


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("after", [0, 2])
def test_an_error_in_the_stream_comes_under_status_200(
    sim: Simulator, http: httpx.Client, api: str, after: int
) -> None:
    sim.script(Rule(error="overloaded", message="too much", error_after=after))
    got, error = read(http, api)
    assert error is None
    assert got.count(b"too much") == 1
    assert TERMINAL[api] not in got
    assert (sim.log()[0].status, sim.log()[0].events) == (200, after + 1)


@pytest.mark.parametrize("api", APIS)
def test_a_malformed_chunk_stands_among_good_ones(sim: Simulator, http: httpx.Client, api: str) -> None:
    sim.script(Rule(malformed_after=1))
    got, _ = read(http, api)
    assert b'{"broken": ' in got
    assert TERMINAL[api] in got


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("stream", [True, False])
def test_a_body_can_drip(sim: Simulator, http: httpx.Client, api: str, stream: bool) -> None:
    whole = ask(http, api, stream=stream).content
    sim.script(Rule(drip=0.0))
    assert abs(len(ask(http, api, stream=stream).content) - len(whole)) < 50
    assert sim.log()[1].events == sim.log()[0].events


@pytest.mark.parametrize(("stream", "comment"), [(True, b": waiting\n\n"), (False, b" \n")])
@pytest.mark.parametrize("pause", [0.0, 0.001])
def test_comments_can_come_for_ever(
    sim: Simulator, http: httpx.Client, stream: bool, comment: bytes, pause: float
) -> None:
    sim.script(Rule(comments=pause))
    request = http.stream("POST", path_of("anthropic"), json=body_of("anthropic", stream=stream))
    with request as response:
        pieces = response.iter_raw(20)
        got = b"".join(itertools.islice(pieces, 20))
        assert http.get("/__sim/open").json() == 1
    assert got == (comment * 400)[:400]
    sim.wait(lambda log: log[0].aborted)
    assert http.get("/__sim/open").json() == 0


@pytest.mark.parametrize("api", APIS)
def test_the_end_mark_may_be_missing(sim: Simulator, http: httpx.Client, api: str) -> None:
    sim.script(Rule(no_done=True))
    got, error = read(http, api)
    assert error is None
    assert TERMINAL[api] not in got


def test_a_connection_is_reset_in_place_of_an_answer(sim: Simulator, http: httpx.Client) -> None:
    sim.script(Rule(reset=True))
    with pytest.raises(httpx.ReadError):
        ask(http, "openai-chat")


@pytest.mark.parametrize(
    ("rule", "events"),
    [
        (Rule(silent=True), 0),
        (Rule(head_delay=600), 0),
        (Rule(stall_after=2), 2),
        (Rule(first_token_delay=600, api="openai-chat"), 1),
        (Rule(delay=600, api="openai-chat"), 2),
    ],
)
def test_a_client_that_leaves_is_noticed_in_any_state(
    sim: Simulator, http: httpx.Client, rule: Rule, events: int
) -> None:
    sim.script(rule)
    with pytest.raises(httpx.ReadTimeout):
        http.post(path_of("openai-chat"), json=body_of("openai-chat"), timeout=0.1)
    (record,) = sim.wait(lambda log: log[0].aborted)
    assert record.events == events


def test_a_client_that_stays_is_not_called_gone(sim: Simulator, http: httpx.Client) -> None:
    ask(http, "openai-chat")
    http.close()
    assert not sim.wait(lambda log: log[0].duration is not None)[0].aborted


def test_a_whole_answer_can_be_cut_too(sim: Simulator, http: httpx.Client) -> None:
    sim.script(Rule(cut_after=0))
    with pytest.raises(httpx.ReadError):
        ask(http, "openai-chat", stream=False)


def test_a_whole_answer_can_be_half_an_answer(sim: Simulator, http: httpx.Client) -> None:
    sim.script(Rule(end_after=1))
    answer = ask(http, "openai-chat", stream=False)
    assert answer.status_code == 200
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        answer.json()


def test_an_error_body_can_be_compressed(sim: Simulator, http: httpx.Client) -> None:
    sim.script(Rule(status=500, message="squeezed", gzip=True))
    with http.stream("POST", path_of("anthropic"), json=body_of("anthropic")) as response:
        raw = b"".join(response.iter_raw())
    assert response.headers["content-encoding"] == "gzip"
    assert b"squeezed" in gzip.decompress(raw)


def test_an_error_can_be_a_web_page(http: httpx.Client) -> None:
    answer = ask(http, "gemini", "sim-html")
    assert (answer.status_code, answer.headers["content-type"]) == (502, "text/html")
    assert answer.text.startswith("<html>")


def test_headers_can_be_added(sim: Simulator, http: httpx.Client) -> None:
    sim.script(Rule(headers={"x-should-retry": "false"}), Rule(status=429, retry_after_ms=1500))
    assert ask(http, "openai-chat").headers["x-should-retry"] == "false"
    assert ask(http, "openai-chat").headers["retry-after-ms"] == "1500"


def test_deltas_are_as_many_as_asked_for(sim: Simulator, http: httpx.Client) -> None:
    sim.script(Rule(text="abcdefghij", chunks=5))
    assert ask(http, "openai-chat").text.count('"content":"') == 6


@pytest.mark.parametrize("operation", ["models", "count", "embed"])
def test_other_operations_fail_when_a_rule_names_them(sim: Simulator, http: httpx.Client, operation: Any) -> None:
    calls: dict[str, Callable[[], httpx.Response]] = {
        "models": lambda: http.get("/v1/models"),
        "count": lambda: http.post("/v1beta/models/g:countTokens", json={"contents": [{"parts": [{"text": "a"}]}]}),
        "embed": lambda: http.post("/v1/embeddings", json={"model": "e", "input": "a"}),
    }
    sim.script(Rule(status=503, operation=operation))
    assert [calls[operation]().status_code for _ in range(2)] == [503, 200]


def test_a_stream_is_sent_as_it_is_made(sim: Simulator, http: httpx.Client) -> None:
    def under_way(log: list[Record]) -> bool:
        return log[0].events > 0 and log[0].duration is None

    sim.script(Rule(stall_after=2))
    with http.stream("POST", path_of("anthropic"), json=body_of("anthropic")) as response:
        arriving = response.iter_raw()  # dropping it would end the connection
        assert b"message_start" in next(arriving)
        assert sim.wait(under_way)
