"""What all codecs share: the documents of a written stream."""

from __future__ import annotations

import pytest

from bm.chat.events import End, Finish, PartDelta, PartEnd, PartStart, Start
from bm.names import ProtocolName
from bm.protocols.codec import written
from bm.protocols.registry import CODECS
from tests.protocols.pair import CLIENTS, HI, asks, ids


@pytest.mark.parametrize("client", CLIENTS)
def test_a_written_stream_is_read_as_its_documents(client: ProtocolName) -> None:
    request = asks(client, HI[client], stream=True)
    encoder = CODECS[client].stream_encoder(request, ids(), model="shown")
    documents = written(encoder, [Start(), PartStart(0, "text"), PartDelta(0, "Hi"), PartEnd(0), Finish("stop"), End()])
    assert all(isinstance(document, dict) for document in documents)
    assert "shown" in str(documents) and "Hi" in str(documents)
