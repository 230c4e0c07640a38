"""What is written can be read again."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bm import sse
from bm.chat.capabilities import Capabilities
from bm.chat.events import (
    Finish,
    Usage,
)
from bm.chat.parts import Text, ToolResult
from bm.chat.request import (
    ChatRequest,
    OutputFormat,
    Reasoning,
    Sampling,
    ToolChoice,
    Turn,
)
from bm.protocols.gemini.codec import CODEC
from tests.protocols.gemini.ids import ids
from tests.protocols.gemini.kit import PART, S1, SCHEMA, F, call, client, model, sent, user
from tests.support.events import unfold
from tests.support.folding import ChatResponse, Choice, fold


@given(st.lists(PART, max_size=5))
def test_a_stream_and_a_whole_answer_say_the_same(held: list[Any]) -> None:
    answer = ChatResponse(choices=(Choice(tuple(held), Finish("stop")),), usage=Usage(input=1, output=2))
    events = list(unfold(answer))
    decoder, parser = CODEC.stream_decoder(ids()), sse.Parser()
    streamed = [e for event in parser.feed(sent(events)) for e in decoder.feed(event)]
    whole = CODEC.decode_response(
        json.loads(json.dumps(CODEC.encode_response(events, client(), ids(), model="m"))), ids()
    )
    assert fold([*streamed, *decoder.close()]).choices == fold(whole).choices


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=4)


MODEL_PART = st.one_of(st.builds(Text, TEXTS, st.sampled_from([None, S1])))


TALK = st.lists(st.tuples(st.lists(st.builds(Text, TEXTS), min_size=1, max_size=2), MODEL_PART), min_size=1, max_size=4)


@given(TALK, st.integers(1, 65_536), st.sampled_from(["low", "high", None]), st.sampled_from([None, 0.5]))
def test_what_gemini_can_say_comes_back_the_same(talk: Any, limit: int, level: Any, temperature: float | None) -> None:
    signed: set[str] = set()
    turns: list[Turn] = []
    for asked, answer in talk:
        fresh = answer.signature if answer.signature and answer.signature.value not in signed else None
        signed |= {fresh.value} if fresh else set()
        turns += [
            Turn("user", tuple(asked)),
            model(Text(answer.text, fresh), call(f"i{len(turns)}", a=1)),
            user(ToolResult(f"i{len(turns)}", (Text("r"),), name="f")),
        ]
        turns.append(model(Text("so")))
    request = ChatRequest(
        protocol="gemini",
        model="m",
        turns=tuple(turns),
        system=(Text("S"),),
        tools=(F,),
        tool_choice=ToolChoice("required", ("f",)),
        sampling=Sampling(temperature=temperature),
        reasoning=Reasoning(level, visible=True),
        max_tokens=limit,
        stop=("x",),
        output=OutputFormat("schema", SCHEMA),
        stream_usage=True,
    )
    capabilities = Capabilities(thinking="level", levels=("low", "high"))
    again = CODEC.decode_request(CODEC.encode_request(request, capabilities, model="m").body, model="m")
    assert again.turns == request.turns
    for name in ("system", "tools", "tool_choice", "sampling", "max_tokens", "stop", "output"):
        assert getattr(again, name) == getattr(request, name)
    assert again.reasoning == request.reasoning or (level is None and limit < 1024)
