"""Every protocol has its codec."""

from __future__ import annotations

from bm.chat.capabilities import Dialect
from bm.names import PROTOCOLS
from bm.protocols.registry import CODECS, upstream_codec


def test_every_protocol_has_a_codec() -> None:
    assert set(CODECS) == set(PROTOCOLS)


def test_only_compatible_services_are_read_in_their_dialect() -> None:
    dialect = Dialect(name="groq", thinking_tag="think")
    others = [protocol for protocol in PROTOCOLS if protocol != "openai-chat"]
    assert all(upstream_codec(protocol, dialect) is CODECS[protocol] for protocol in others)
    assert upstream_codec("openai-chat", dialect) is not CODECS["openai-chat"]
