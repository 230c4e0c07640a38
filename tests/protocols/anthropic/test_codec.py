"""The codec as the gateway uses it: an exchange translated there and back, streamed and whole."""

from __future__ import annotations

import json

from bm.chat.events import Failed
from bm.protocols.anthropic.codec import CODEC
from bm.protocols.errors import decode_error
from bm.sse import Event
from tests.protocols.anthropic.examples import IDS, OPUS_4_8, body, wire
from tests.protocols.anthropic.test_stream_decoder import MESSAGE, WHOLE
from tests.protocols.anthropic.test_stream_encoder import ASKS
from tests.support.grammar_anthropic import check


def test_a_request_goes_through() -> None:
    request = CODEC.decode_request(body(), model="other", stream=True)
    encoded = CODEC.encode_request(request, OPUS_4_8, model="claude")
    assert encoded.body == {
        "model": "claude",
        "max_tokens": 100,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
        "stream": True,
    }
    assert (encoded.losses, encoded.headers) == ((), (("anthropic-version", "2026-10-21"),))


def test_a_stream_goes_through() -> None:
    decoder, encoder = CODEC.stream_decoder(IDS), CODEC.stream_encoder(ASKS, IDS, model="asked")
    data = b""
    for payload in WHOLE:
        raw = Event(json.dumps(payload).encode(), payload["type"])
        data += b"".join(encoder.feed(event) for event in decoder.feed(raw))
    reader = check(data)
    assert reader.message is not None
    assert reader.message["model"] == "asked"
    assert [block["type"] for block in reader.message["content"]] == [
        "thinking",
        "text",
        "tool_use",
        "redacted_thinking",
    ]
    assert wire(*WHOLE).count(b"event: message_stop") == data.count(b"event: message_stop") == 1


def test_a_whole_answer_goes_through() -> None:
    events = CODEC.decode_response(MESSAGE, IDS)
    assert CODEC.encode_response(events, ASKS, IDS, model="") == MESSAGE


def test_an_error_goes_through() -> None:
    wanted = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    failure = decode_error(529, {}, json.dumps(wanted).encode())
    assert CODEC.encode_error(failure, "req_1") == (503, {**wanted, "request_id": "req_1"})
    encoder = CODEC.stream_encoder(ASKS, IDS, model="m")
    assert check(encoder.feed(Failed(failure))).error == wanted["error"]
