"""Refuses a body in a vendor's words and returns it as the first remedy changes it."""

from __future__ import annotations

from typing import Any

import msgspec

from bm.chat.capabilities import Capabilities
from bm.errors import Failure
from bm.names import ProtocolName
from bm.protocols.errors import decode_error
from bm.remedies.apply import OPERATIONS, treated
from bm.remedies.find import remedies_for
from bm.remedies.remedy import Remedy

CHAT: ProtocolName = "openai-chat"
CLAUDE: ProtocolName = "anthropic"
RESPONSES: ProtocolName = "openai-responses"
GEMINI: ProtocolName = "gemini"


def refused(message: str, param: str = "", status: int = 400) -> Failure:
    """The failure that an OpenAI-like error body with this message is read as."""
    return decode_error(status, {}, msgspec.json.encode({"error": {"message": message, "param": param or None}}))


def remedies(protocol: ProtocolName, message: str, body: Any, param: str = "", status: int = 400) -> list[str]:
    """All remedies that are found for a refusal, in words."""
    found = remedies_for(refused(message, param, status), msgspec.json.encode(body), protocol)
    return ["; ".join(map(str, group)) for group in found]


def healed(protocol: ProtocolName, message: str, body: Any, param: str = "", takes: Capabilities | None = None) -> Any:
    """The body after the first remedy that changes it; None where none does."""
    encoded = msgspec.json.encode(body)
    for group in remedies_for(refused(message, param), encoded, protocol, takes):
        changed, effective = treated(encoded, group, protocol)
        if effective:
            return msgspec.json.decode(changed)
    return None


def done(operation: str, body: Any, *values: Any, path: str = "", protocol: ProtocolName = CHAT) -> Any:
    """The body after an operation; None where that finds nothing to change. A second time it must find nothing."""
    document = msgspec.json.decode(msgspec.json.encode(body))
    remedy = Remedy(operation, path, values)
    if not OPERATIONS[operation](document, remedy, protocol):
        assert document == body
        return None
    again = msgspec.json.decode(msgspec.json.encode(document))
    assert not OPERATIONS[operation](again, remedy, protocol) or operation in ("go_on",)
    return document
