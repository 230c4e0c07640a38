"""`bm ask`: a question from the terminal, streamed, with the one who answered on standard error."""

from __future__ import annotations

import re

import httpx
import pytest

from bm.config.paths import Paths
from bm.simulator import Rule, Simulator
from tests.cli.conftest import PLANTED, Bm

WHO = re.compile(r"\[gemini/(first|second) gemini-\S+, \d+\.\d\d s, \d+ \+ \d+ tokens\]\n")


def test_the_answer_is_printed_and_who_gave_it(bm: Bm, http: httpx.Client) -> None:
    ran = bm("ask", "what", "is this?")
    assert (ran.code, ran.out.count("\n")) == (0, 1)
    assert "what is this?" in ran.out
    assert WHO.fullmatch(ran.err), ran.err


def test_standard_input_comes_before_the_question(bm: Bm, http: httpx.Client, simulator: Simulator) -> None:
    bm("ask", "-s", "be brief", "explain it", stdin="a piped text\n")
    (record,) = [each for each in simulator.log() if each.operation == "generate"]
    assert record.body["contents"] == [{"role": "user", "parts": [{"text": "a piped text\n\nexplain it"}]}]
    assert record.body["systemInstruction"]["parts"] == [{"text": "be brief"}]
    assert "a piped text" in bm("ask", stdin="a piped text").out


def test_a_model_may_be_named_with_its_provider(bm: Bm, http: httpx.Client) -> None:
    ran = bm("ask", "-m", "groq:openai/gpt-oss-120b", "hello")
    assert ran.code == 0
    assert ran.err.startswith("[groq/config openai/gpt-oss-120b, ")


def test_for_programs(bm: Bm, http: httpx.Client) -> None:
    answer = bm("ask", "--json", "hello").json
    assert set(answer) == {"text", "provider", "account", "model", "request-id", "took", "usage"}
    assert answer["provider"] == "gemini" and "hello" in answer["text"]


def test_the_daemon_is_started_if_needed(bm: Bm, paths: Paths, simulator: Simulator) -> None:
    paths.config.write_text(f'[gemini]\nbase_url = "{simulator.url}"\n')
    bm("accounts", "add", "work", "--no-verify", stdin=PLANTED)
    ran = bm("ask", "hello")
    assert ran.code == 0
    assert ran.err.startswith("bm: started at ")


def test_what_went_wrong_comes_with_the_remedy(bm: Bm, paths: Paths) -> None:
    ran = bm("ask", "hello")
    assert (ran.code, ran.out) == (1, "")
    assert "bm accounts add NAME" in ran.err.splitlines()[-1]
    assert bm("ask", "-m", "gorq:x", "hello").code == 1


@pytest.mark.parametrize("words", [("ask",), ("ask", "  ")])
def test_without_a_question_it_asks_for_one(bm: Bm, words: tuple[str, ...]) -> None:
    ran = bm(*words)
    assert (ran.code, ran.out) == (2, "")
    assert "what is the question?" in ran.err


def test_an_answer_that_breaks_off_is_no_success(
    bm: Bm, http: httpx.Client, simulator: Simulator, paths: Paths
) -> None:
    bm("config", "set", "pool.rescue", "false")
    simulator.script(Rule(cut_after=2))
    ran = bm("ask", "one two three four five six seven eight nine ten " * 20)
    assert ran.code == 1
    assert "error: the answer broke off: " in ran.err and "(bm why last)" in ran.err
