"""Citations of other vendors, as Chat Completions' `url_citation` annotations."""

from __future__ import annotations

from bm.chat.parts import Json


def citation(raw: Json, start: int, end: int) -> Json | None:
    """The annotation for a citation of the text from `start` to `end` (characters of the content).

    OpenAI's own goes through as it is. None for citations that name no page, such as of a document in the request.
    """
    if raw.get("type") == "url_citation" and isinstance(raw.get("url_citation"), dict):
        return raw
    url = raw.get("url") or raw.get("uri")
    if not isinstance(url, str) or not url:
        return None
    title = raw.get("title")
    inner = {"url": url, "title": title if isinstance(title, str) else "", "start_index": start, "end_index": end}
    return {"type": "url_citation", "url_citation": inner}
