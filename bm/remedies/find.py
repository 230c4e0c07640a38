"""Finds the remedies for a refusal: those of every row whose words it uses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import reduce
from typing import Final

import msgspec

from bm.chat.capabilities import Capabilities
from bm.chat.parts import Json
from bm.errors import UNREADABLE, Failure
from bm.names import ProtocolName
from bm.remedies import thinking
from bm.remedies.members import EFFORTS, SAMPLING, first, in_camel_case
from bm.remedies.readers import Refusal, said
from bm.remedies.remedy import Remedy, joined
from bm.remedies.rows import ROWS

_REFUSED: Final = frozenset({"invalid_request_error", "invalid_argument", "badrequesterror"})
"""What services call a refusal in the error itself, whatever its status."""
_NO_FAULT: Final = re.compile(
    r"jinja|template|not supported|unsupported|(?:are|supported types) |validation error|invalid|cannot pass", re.I
)
"""What a service says with status 500 although the request is refused: llama.cpp, vLLM and Ollama do."""

MAX_TEXT: Final = 2000
"""Characters of a refusal that are read; what is longer repeats the prompt."""
_THINKING: Final = frozenset({"adaptive", "budgeted", "think_least", "not_between_tools"})


def remedies_for(
    failure: Failure, body: bytes, protocol: ProtocolName, takes: Capabilities | None = None
) -> Iterator[tuple[Remedy, ...]]:
    """What may heal a refusal of a request, the most exact first: remedies that are tried together.

    `takes` is what is known of the model. A refusal of how thinking is asked for is answered with all of that at once,
    and so is one of sampling where the model takes none.
    """
    refused = failure.kind in ("bad_request", "not_found")
    called_so = failure.code.lower() in _REFUSED or _NO_FAULT.search(failure.message) is not None
    if not refused and not (failure.kind == "server" and called_so):
        return
    try:
        document: Json = msgspec.json.decode(body)
        document = in_camel_case(document) if protocol == "gemini" else document
    except UNREADABLE:
        return
    cut = {name: getattr(failure, name)[:MAX_TEXT] for name in ("message", "code", "param")}
    failure = msgspec.structs.replace(failure, **cut)
    text = f"{said(failure)}\n{failure.code}"
    reason = " ".join(failure.message.split())[:200]
    refusal = Refusal(failure, document, protocol)
    for row in ROWS:
        match = row.wording.search(text) if not row.protocols or protocol in row.protocols else None
        if match is None:
            continue
        found = list(row.read(refusal, match))
        for group in [tuple(found)] if row.together and found else [(remedy,) for remedy in found]:
            if takes is not None and any(each.operation in _THINKING or each.path in EFFORTS for each in group):
                group = reduce(joined, group, thinking.known(document, takes))
            if takes is not None and takes.sampling is False and any(each.path in SAMPLING for each in group):
                group = (*group, *(Remedy("drop", path) for path in SAMPLING if first(document, (path,))))
            yield tuple(msgspec.structs.replace(remedy, reason=reason) for remedy in group)
