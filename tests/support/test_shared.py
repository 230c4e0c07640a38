"""The recorded exchanges are found, read on demand, judged and replayed."""

from __future__ import annotations

import httpx
import pytest

from tests.support.replay import Replay, replay
from tests.support.shared import corpus_case, corpus_cases, needs_corpus, validators

pytestmark = [pytest.mark.corpus, needs_corpus]


def test_the_cases_of_an_api_are_listed_once_and_read_on_demand() -> None:
    cases = corpus_cases("anthropic.messages")
    assert len({case.id for case in cases}) == len(cases) > 0
    case = next(case for case in cases if case.sse and case.kind == "traffic")
    assert case.request["method"] == "POST"
    assert "messages" in case.request_body
    assert "data:" in case.body_text
    assert case.response["status"] == case.status
    assert corpus_case(case.id) is case


def test_an_unknown_api_is_an_error_and_not_an_empty_list() -> None:
    with pytest.raises(KeyError, match=r"openai\.chat"):
        corpus_cases("openai.chats")


def test_the_validators_tell_a_good_request_from_a_bad_one() -> None:
    good = {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "hi"}]}
    assert validators().validate_request("anthropic.messages", good).ok
    assert not validators().validate_request("anthropic.messages", {**good, "max_tokens": "1"}).ok
    assert validators() is validators()


def first_stream(server: Replay) -> str:
    case = next(case for case in corpus_cases("anthropic.messages") if case.sse)
    assert httpx.post(f"{server.case(case.id)}/v1/messages", json={"n": 1}).text == case.body_text
    return case.id


def test_the_replay_server_answers_with_a_case_and_says_what_it_received() -> None:
    with replay() as server:
        id = first_stream(server)
        assert httpx.post(f"{server.case(id, fail='429x1', key='a')}/v1/messages").status_code == 429
        server.queue(id, status=503)
        assert httpx.get(f"{server.url}/anything").status_code == 503
        first, second, third = server.received()
        assert (first["method"], first["path"], first["body_json"]) == ("POST", "/v1/messages", {"n": 1})
        assert second["case"] == third["case"] == id
        server.reset()
        assert server.received() == []
