"""The words of a request's body that decide what has to be looked at more closely, all found by one search.

A coding agent's body has hundreds of kilobytes, and a search for each word takes as long as decoding it. They are names
and values of JSON with the quotation mark before them, which cannot occur inside a text: there it is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Set
from typing import TypeAlias

from bm.chat.signature import MARK_BYTES
from bm.protocols.anthropic.citations import ID_PREFIX

Words: TypeAlias = Set[bytes]
"""The words that a body contains, as they are written."""

IMAGE, DOCUMENT = b'"image"', b'"document"'
IMAGES: Words = frozenset({IMAGE, b'"image_url"', b'"image/', b'"input_image"'})
DOCUMENTS: Words = frozenset({DOCUMENT, b'"file_data"', b'"input_file"', b'"application/pdf"'})
AUDIO: Words = frozenset({b'"input_audio"', b'"audio/'})
VIDEO: Words = frozenset({b'"video_url"', b'"video/'})
MEDIA: Words = IMAGES | DOCUMENTS | AUDIO | VIDEO | {b'"inlineData"', b'"inline_data"'}
"""Of which there is one wherever there may be media."""
ENCODED: Words = frozenset({b'"base64"', b'"data:'})
"""Content in Base64, of which the bytes say little about the tokens."""
TOOL_CHOICE = b'"tool_choice"'
CHOICES: Words = frozenset({TOOL_CHOICE, b'"function_call"', b'"functionCallingConfig"', b'"function_calling_config"'})
"""Where a request chooses among its tools."""
TOOLS = b'"tools"'
"""Of a list of tools that is not empty."""
THINKING = b'"thinking"'
MARK = b'"cache_control"'
DOMAINS: Words = frozenset({b'"allowed_domains"', b'"blocked_domains"'})
EXTRA_CONTENT = b'"extra_content"'
OWN_SEARCH = b'"' + ID_PREFIX.encode()
"""Of a search that bm wrote."""
OWN_SIGNATURE = b'"' + MARK_BYTES
"""Of a signature that bm wrapped."""
AGENT_MESSAGE = b'"agent_message"'

_WORD = re.compile(
    rb'("(?:i(?:mage(?:_url"|"|/)|n(?:put_(?:image|file|audio)"|line(?:Data|_data)"))'
    rb'|t(?:ool(?:s"(?=\s*:\s*\[\s*\{)|_choice")|hinking")'
    rb'|f(?:unction(?:_call(?:"|ing_config")|CallingConfig")|ile_data")'
    rb'|a(?:pplication/pdf"|udio/|llowed_domains"|gent_message")'
    rb'|b(?:ase64"|locked_domains")|d(?:ata:|ocument")|video(?:_url"|/)|cache_control"|extra_content"|srvtoolu_bm1|Ym0xH))'
)
# Written like this, the alternatives take two thirds of the time of a plain list of words.


def words_of(body: bytes) -> Words:
    """The words of a body."""
    return frozenset(_WORD.findall(body))
