"""The fuzz itself: what it counts as found, how it reports it; a short run; and inputs that were once found."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from tests.fuzz.mutation import mutated, scrambled, written
from tests.fuzz.run import SURFACES, fuzzed, played, report, smallest
from tests.fuzz.seeds import seeds
from tests.fuzz.surface import Surface

RUNS = 12
"""An input is played so many times, each time with other targets, clients and pieces."""


def test_nothing_undeclared_comes_of_a_thousand_inputs() -> None:
    _, found = fuzzed(1200, seed=7)
    assert [report(finding) for finding in found.values()] == []


ONCE_FOUND: list[tuple[str, bytes]] = [
    ("interaction", b'{"model":"m","input":[{"type":"user_input","content":""},{"type":"text","text":"a"}]}'),
    (
        "request of gemini",
        b'{"contents":[{"parts":[{"text":"a"}]}],"generationConfig":{"responseMimeType":"application/json",'
        b'"responseSchema":{"type":"OBJECT","properties":{"a":{"format":{}}}}}}',
    ),
    (
        "request of anthropic",
        b'{"messages":["",[{"":[{"":"tool_result"}]}]],"thinking":{"budget_tokens":"","type":"enabled"},"model":"m"}',
    ),
    (
        "request of openai-responses",
        b'{"input":[{"content":[{"image_url":"//[","type":"input_image"}],"role":"user"}],"model":"i"}',
    ),
    ("request of anthropic", b'{"model":"m","system":[{"type":{},"text":"a","cache_control":{"type":"ephemeral"}}]}'),
    (
        "request of anthropic",
        b'{"messages":[{"role":"user","content":[{"type":"","cache_control":""}]}],"model":"","system":[{"type":"text",'
        b'"text":"R","cache_control":{}}]}',
    ),
    (
        "request of anthropic",
        b'{"messages":[{"role":"user","content":"a"}],"model":"m","tools":[{"name":"f","strict":true,"input_schema":'
        b'{"properties":1,"required":[[]],"additionalProperties":false}}]}',
    ),
    (
        "request of gemini",
        b'{"contents":[{"parts":[{"type":{},"mimeType":"application/pdf"}]}],"a":{"type": "document"}}',
    ),
    ("request of openai-chat", b'{"":[{}],"\xf8":{},"model":"m"}'),
    ("request of openai-responses", b'{"model":"m","input":"a","include":[{}, 1]}'),
    ("stream of openai-chat", b'data:{"choices":[{"delta":{"tool_calls":[{"index":[]}]}}]}'),
    ("stream of openai-chat", b'data:{"\xc0":"","model":"","":[{"":null}]}\n\n'),
    ("stream of openai-responses", b'data:{"type":{"":""}}'),
    ("stream of gemini", b'data:{"candidates":[' + b"[" * 20_000),
    (
        "interaction",
        b'{"model":"m","input":[{"type":"function_result","call_id":[]},{"type":"function_call","id":{}}]}',
    ),
    ("interaction", b'{"model":"m","input":"a","tools":[{"type":{}}]}'),
    ("interaction", b'{"model":"m","input":[{"type":"audio","data":"\\ud83dQ=="}]}'),
    ("refusal", b'[429,{"retry-after":"' + b"9" * 60_000 + b'"}]\n{"error":{"message":"slow down"}}'),
    ("refusal", b'[400,{}]\n{"error":{"message":"context window ' + b"9" * 5000 + b" " + b"9" * 5000 + b'"}}'),
    ("refusal", b'[400,{}]\n{"error":{"message":"Unknown parameter: ' + b"a.b" * 20_000 + b'"}}'),
    ("refusal", b'[422,{}]\n{"error":{"message":' + b"[" * 400 + b"]" * 400 + b"}}"),
    ("refusal", b'[422,{}]\n{"error":{"message":' + b'{"a":' * 400 + b"1" + b"}" * 402),
    (
        "refused body",
        b'["gemini","Thinking level MINIMAL is not supported."]\n{"generationConfig": {"thinkingConfig": '
        + b'{"thinkingLevel": ' * 450
        + b'"MINIMAL"'
        + b"}" * 452,
    ),
    ("head", b"GET / HTTP/1.1\r\nhost:\xd3\r\nupgrade:websocket\r\nconnection:Upgrade\r\n\r\n"),
]


@pytest.mark.parametrize(
    ("surface", "data"), ONCE_FOUND, ids=[f"{at}-{name}" for at, (name, _) in enumerate(ONCE_FOUND)]
)
def test_what_was_found_once(surface: str, data: bytes) -> None:
    assert [played(SURFACES[surface], data, choices) for choices in range(RUNS)] == [""] * RUNS


def surface(play: Callable[[bytes], None]) -> Surface:
    """A surface of one JSON document."""
    document = {"a": [1, {"b": "text"}], "c": None}
    return Surface(
        lambda chance: written(mutated(document, chance, seeds().words)),
        lambda data, chance: play(data),
        (KeyError,),
    )


def picky(data: bytes) -> None:
    if b'"b"' not in data:
        raise ValueError("no b")
    if b"null" not in data:
        raise KeyError("declared")


def test_an_undeclared_exception_is_reported_once_with_a_small_input() -> None:
    done, found = fuzzed(200, 1, surfaces={"picky": surface(picky)})
    assert done == 200 and [kind.rpartition(":")[0] for kind in found] == ["ValueError in test_fuzz.py"]
    [finding] = found.values()
    assert finding.times > 1 and len(finding.data) < 10
    assert "no b" in report(finding) and "picky, choices" in report(finding)


def test_what_keeps_bm_busy_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(data: bytes) -> None:
        while True:
            pass

    monkeypatch.setattr("tests.fuzz.run.PATIENCE", 0.01)
    assert played(surface(busy), b"{}", 0).startswith("Hangs in test_fuzz.py")


@pytest.mark.parametrize(
    ("data", "word", "small"),
    [
        (b'{"a": [1, 2, {"deep": "word"}], "b": {}}', b"word", b'{"":""}'),
        (b'data: {"a": 1}\n\ndata: {"b": "word", "c": 2}\n\n', b"word", b"word"),
        (b"some bytes around a word here", b"word", b"word"),
    ],
)
def test_inputs_are_made_small(data: bytes, word: bytes, small: bytes) -> None:
    assert word in smallest(data, lambda smaller: word in smaller)
    assert len(smallest(data, lambda smaller: word in smaller)) <= len(data) // 2


def test_mutations_leave_the_seed_alone_and_depend_on_chance_alone() -> None:
    seed = seeds().requests["anthropic"][0]
    before = written(seed)
    inputs = [written(mutated(seed, random.Random(number), seeds().words)) for number in range(50)]
    assert written(seed) == before
    assert inputs == [written(mutated(seed, random.Random(number), seeds().words)) for number in range(50)]
    assert len(set(inputs)) > 45
    assert scrambled(before, random.Random(3)) == scrambled(before, random.Random(3)) != before
