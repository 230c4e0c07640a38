"""Every protocol has its codec."""

from __future__ import annotations

from bm.chat.capabilities import Dialect
from bm.chat.parts import Text, Thinking
from bm.chat.response import fold
from bm.names import PROTOCOLS
from bm.protocols.codec import IdFactory
from bm.protocols.registry import CODECS, upstream_codec


def test_every_protocol_has_a_codec() -> None:
    assert set(CODECS) == set(PROTOCOLS)


def test_only_compatible_services_are_read_in_their_dialect() -> None:
    dialect = Dialect(name="groq", thinking_tag="think")
    others = [protocol for protocol in PROTOCOLS if protocol != "openai-chat"]
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
