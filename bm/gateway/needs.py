"""What a request cannot do without, by a look at its bytes: parsing a large body costs more than routing it.

A member name in quotes cannot stand in a text: there, the quotes are escaped.
"""

from __future__ import annotations

import re

from bm.dispatch.snapshot import Needs

_AUDIO = (b'"input_audio"', b'"audio/')
_VIDEO = (b'"video_url"', b'"video/')
_IMAGE_TYPE = re.compile(rb'"(?:type"\s*:\s*"(?:image|image_url|input_image)"|[a-zA-Z_]+"\s*:\s*"image/)')
_DOCUMENT_TYPE = re.compile(rb'"(?:type"\s*:\s*"(?:document|file|input_file)"|[a-zA-Z_]+"\s*:\s*"application/pdf")')
_MEDIA = re.compile(
    rb'"(?:image(?:_url"|"|/)|input_(?:image|file|audio)"|document"|file_data"|application/pdf"|audio/'
    rb'|video(?:_url"|/)|inline(?:Data|_data)")'
)
"""Whatever may be media. One look for all of them takes as long as one for each word, as all begin with a quote."""
MOST_BYTES_PER_TOKEN = 10
"""Of a request in text; prose has 4, code with deep indentation or escaped letters 7."""
FEW_TOKENS = 1000
"""There is no model that does not take so many."""
_TOOLS = re.compile(rb'"tools"\s*:\s*\[\s*\{')


def needs_of(body: bytes) -> Needs:
    """What the body holds. `tokens` is a lower bound, and unknown where media may stand for most of the bytes."""
    tokens = len(body) // MOST_BYTES_PER_TOKEN
    media = _MEDIA.search(body) is not None
    return Needs(
        tokens=tokens if tokens > FEW_TOKENS and not media and b"base64" not in body else 0,
        images=media and _IMAGE_TYPE.search(body) is not None,
        documents=media and _DOCUMENT_TYPE.search(body) is not None,
        audio=media and _holds(body, _AUDIO),
        video=media and _holds(body, _VIDEO),
        tools=_TOOLS.search(body) is not None,
    )


def _holds(body: bytes, words: tuple[bytes, ...]) -> bool:
    return any(word in body for word in words)
