"""The dashboard: one page without secrets, which reads everything it shows from the admin app.

Its style and scripts are separate files in `web/`. Browsers get them as one document with a content security policy
that allows only these parts, by their hashes.
"""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from bm.gateway.services import Services
from bm.server.asgi import Handler
from bm.server.guard import guard_of

FOLDER: Final = Path(__file__).with_name("web")
_PART: Final = re.compile(
    r'<link rel="stylesheet" href="(?P<style>\w+\.css)">|<script src="(?P<script>\w+\.js)"></script>'
)


class Page(NamedTuple):
    """The document, its content security policy and its entity tag."""

    body: bytes
    policy: str
    tag: str


@cache
def page() -> Page:
    """The page with its style and scripts inlined."""
    hashes: dict[str, list[str]] = {"style": [], "script": []}

    def part(found: re.Match[str]) -> str:
        kind = "style" if found["style"] else "script"
        content = (FOLDER / (found["style"] or found["script"])).read_text(encoding="utf-8")
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        hashes[kind].append(f"'sha256-{digest}'")
        return f"<{kind}>{content}</{kind}>"

    body = _PART.sub(part, (FOLDER / "page.html").read_text(encoding="utf-8")).encode()
    rules = (
        "default-src 'none'",
        f"script-src {' '.join(hashes['script'])}",
        f"style-src {' '.join(hashes['style'])}",
        "img-src data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
    return Page(body, "; ".join(rules), f'"{hashlib.sha256(body).hexdigest()[:16]}"')


def front(services: Services) -> Handler:
    """The handler of `/`. The page needs no key, but requests with a foreign host or origin are refused."""

    async def handler(request: Request) -> Response:
        if (foreign := guard_of(services.settings).foreign(request.headers)) is not None:
            return PlainTextResponse(f"{foreign.message}\n", 403)
        found = page()
        headers = {
            "content-security-policy": found.policy,
            "x-content-type-options": "nosniff",
            "x-frame-options": "DENY",
            "referrer-policy": "same-origin",
            "cross-origin-opener-policy": "same-origin",
            "cross-origin-resource-policy": "same-origin",
            "cache-control": "no-cache",
            "etag": found.tag,
        }
        if request.headers.get("if-none-match") == found.tag:
            return Response(status_code=304, headers=headers)
        return Response(found.body, headers=headers, media_type="text/html")

    return handler
