"""What a request cannot do without, by a look at its bytes: parsing a large body costs more than routing it.

A member name in quotes cannot stand in a text: there, the quotes are escaped.
"""

from __future__ import annotations

import re

from bm.dispatch.snapshot import Needs

_IMAGE = (b'"image_url"', b'"input_image"', b'"image"', b'"image/')
_DOCUMENT = (b'"document"', b'"file_data"', b'"input_file"', b'"application/pdf"')
_AUDIO = (b'"input_audio"', b'"audio/')
_VIDEO = (b'"video_url"', b'"video/')
_IMAGE_TYPE = re.compile(rb'"(?:type"\s*:\s*"(?:image|image_url|input_image)"|[a-zA-Z_]+"\s*:\s*"image/)')
_DOCUMENT_TYPE = re.compile(rb'"(?:type"\s*:\s*"(?:document|file|input_file)"|[a-zA-Z_]+"\s*:\s*"application/pdf")')
_MEDIA = (*_IMAGE, *_DOCUMENT, *_AUDIO, *_VIDEO, b"base64", b'"inlineData"', b'"inline_data"')
MOST_BYTES_PER_TOKEN = 10
"""Of a request in text; prose has 4, code with deep indentation or escaped letters 7."""
FEW_TOKENS = 1000
"""There is no model that does not take so many."""
_TOOLS = re.compile(rb'"tools"\s*:\s*\[\s*\{')


def needs_of(body: bytes) -> Needs:
    """What the body holds. `tokens` is a lower bound, and unknown where media may stand for most of the bytes."""
    tokens = len(body) // MOST_BYTES_PER_TOKEN
    return Needs(
        tokens=tokens if tokens > FEW_TOKENS and not _holds(body, _MEDIA) else 0,
        images=_holds(body, _IMAGE) and _IMAGE_TYPE.search(body) is not None,
        documents=_holds(body, _DOCUMENT) and _DOCUMENT_TYPE.search(body) is not None,
        audio=_holds(body, _AUDIO),
        video=_holds(body, _VIDEO),
        tools=_TOOLS.search(body) is not None,
    )


def _holds(body: bytes, words: tuple[bytes, ...]) -> bool:
    return any(word in body for word in words)
