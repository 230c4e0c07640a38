"""Whether a client knows what a vendor's search of the web is."""

from __future__ import annotations

from bm.chat.request import ChatRequest


def asked(request: ChatRequest) -> bool:
    """Whether the request offers the model a search: only then the client reads what one found."""
    return any(tool.kind.startswith("web_search") for tool in request.hosted_tools)
