"""The simulator in a thread, and its control from Python."""

from __future__ import annotations

import httpx
import pytest

from bm.simulator import Quota, Rule, Simulator


def ask(http: httpx.Client, text: str = "hello", **fields: object) -> httpx.Response:
    body = {"model": "gpt-5", "messages": [{"role": "user", "content": text}], **fields}
    return http.post("/v1/chat/completions", json=body)


def test_it_serves_on_a_port_of_its_own() -> None:
    with Simulator() as one, Simulator() as other:
        assert one.url.startswith("http://127.0.0.1:")
        assert one.port != other.port


def test_a_port_that_is_taken_is_an_error(sim: Simulator) -> None:
    with pytest.raises(OSError, match="address already in use"):
        Simulator(port=sim.port).start()


def test_stopping_ends_open_connections(http: httpx.Client, sim: Simulator) -> None:
    assert ask(http).status_code == 200
    sim.stop()
    with pytest.raises(httpx.TransportError):
        ask(http)


def test_a_rule_may_be_given_as_a_mapping(sim: Simulator, http: httpx.Client) -> None:
    sim.script({"text": "as scripted"})
    assert ask(http).json()["choices"][0]["message"]["content"] == "as scripted"


def test_a_mapping_with_an_unknown_word_is_refused(sim: Simulator) -> None:
    with pytest.raises(ValueError, match="txet"):
        sim.script({"txet": "hello"})


def test_the_log_shows_what_came(sim: Simulator, http: httpx.Client) -> None:
    ask(http, "what is logged")
    (record,) = sim.log()
    assert (record.method, record.path, record.status) == ("POST", "/v1/chat/completions", 200)
    assert (record.api, record.operation, record.model, record.account) == (
        "openai-chat",
        "generate",
        "gpt-5",
        "ey-one",
    )
    assert record.body["messages"][0]["content"] == "what is logged"
    assert record.duration is not None
    assert not record.aborted


def test_reset_forgets_rules_quotas_keys_and_the_log(sim: Simulator, http: httpx.Client) -> None:
    sim.script(Rule(status=500, times=None), quotas={"key-one": Quota(1)}, keys=("another",))
    assert ask(http).status_code == 401
    sim.reset()
    assert [ask(http).status_code, ask(http).status_code] == [200, 200]
    assert len(sim.log()) == 2


def test_replace_puts_rules_in_place_of_those_there_are(sim: Simulator, http: httpx.Client) -> None:
    sim.script(Rule(status=500))
    sim.script(Rule(status=503), replace=True)
    assert [ask(http).status_code, ask(http).status_code] == [503, 200]


def test_wait_says_what_the_log_was_when_it_never_comes_true(sim: Simulator) -> None:
    with pytest.raises(TimeoutError, match="the condition did not become true"):
        sim.wait(lambda log: len(log) > 0, seconds=0.05)
