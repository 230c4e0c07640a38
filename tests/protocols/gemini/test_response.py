"""Whole answers."""

from __future__ import annotations

from bm.chat.events import (
    End,
    Event,
    Finish,
    PartDelta,
    PartEnd,
    PartSignature,
    PartStart,
)
from bm.chat.parts import Text
from bm.chat.response import ChatResponse, Choice
from bm.protocols.gemini.codec import CODEC
from tests.protocols.gemini.ids import ids
from tests.protocols.gemini.kit import GEMINI, S, call_part, chunk, client, sent, told
from tests.support import grammar_gemini
from tests.support.events import unfold


def test_a_whole_answer_tells_the_same_events() -> None:
    body = chunk({"text": "hm", "thought": True}, {"text": "a"}, call_part("f", S, id="i"), finish="STOP")
    assert list(CODEC.decode_response(body, ids())) == told(body)


def test_a_whole_answer_joins_its_pieces() -> None:
    events: list[Event] = [
        PartStart(0, "thinking"),
        PartDelta(0, "h"),
        PartDelta(0, "m"),
        PartEnd(0),
        PartStart(1, "text"),
        PartDelta(1, "a"),
        PartDelta(1, "b"),
        PartSignature(1, GEMINI),
        PartEnd(1),
        Finish("stop"),
        End(),
    ]
    body = CODEC.encode_response(events, client(), ids(), model="m")
    assert body["candidates"] == [
        {
            "content": {
                "role": "model",
                "parts": [{"text": "hm", "thought": True}, {"text": "ab", "thoughtSignature": "c2ln"}],
            },
            "finishReason": "STOP",
            "index": 0,
        }
    ]


def test_several_choices_are_candidates() -> None:
    answer = ChatResponse(
        choices=(Choice((Text("a"),), Finish("stop")), Choice((Text("b"),), Finish("length", choice=1)))
    )
    body = CODEC.encode_response(unfold(answer), client(), ids(), model="m")
    assert [(c["index"], c["finishReason"]) for c in body["candidates"]] == [(0, "STOP"), (1, "MAX_TOKENS")]
    chunks = grammar_gemini.check(sent(list(unfold(answer))), complete=True)
    assert {c["candidates"][0]["index"] for c in chunks} == {0, 1}
