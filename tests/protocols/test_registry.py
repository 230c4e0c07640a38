"""Every protocol has its codec."""

from __future__ import annotations

from bm.chat.capabilities import Capabilities, Dialect
from bm.chat.parts import Text, Thinking
from bm.chat.request import ChatRequest, Turn
from bm.chat.signature import Signature
from bm.names import PROTOCOLS
from bm.protocols.codec import IdFactory
from bm.protocols.registry import CODECS, upstream_codec
from tests.support.folding import fold


def test_every_protocol_has_a_codec() -> None:
    assert set(CODECS) == set(PROTOCOLS)


def test_only_compatible_services_are_read_in_their_dialect() -> None:
    dialect = Dialect(name="groq", thinking_tag="think")
    others = [protocol for protocol in PROTOCOLS if not protocol.startswith("openai")]
    assert all(upstream_codec(protocol, dialect) is CODECS[protocol] for protocol in others)
    message = {"role": "assistant", "content": "<think>hm</think>a"}
    body = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    ids = IdFactory(lambda prefix: f"{prefix}{'0' * 16}")
    read = [
        codec.decode_response(body, ids) for codec in (CODECS["openai-chat"], upstream_codec("openai-chat", dialect))
    ]
    assert [fold(events).choices[0].parts for events in read] == [
        (Text("<think>hm</think>a"),),
        (Thinking("hm"), Text("a")),
    ]


def test_encrypted_thinking_is_bound_to_the_service_that_made_it() -> None:
    item = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA"}
    body = {"id": "resp_1", "status": "completed", "output": [item]}
    ids = IdFactory(lambda prefix: f"{prefix}{'0' * 16}")
    [thinking] = (
        fold(upstream_codec("openai-responses", Dialect(name="xai")).decode_response(body, ids)).choices[0].parts
    )
    assert thinking == Thinking("", Signature("openai", "gAAAA", "xai"))
    turns = (Turn("user", (Text("a"),)), Turn("assistant", (thinking, Text("b"))), Turn("user", (Text("c"),)))
    asked = ChatRequest(protocol="anthropic", model="m", turns=turns)
    for service, sent in (("xai", True), ("openai", False)):
        written = CODECS["openai-responses"].encode_request(asked, Capabilities(dialect=Dialect(service)), model="m")
        assert ("gAAAA" in str(written.body)) is sent
