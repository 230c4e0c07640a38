"""What a row of wordings is, and how rows are written."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from bm.names import ProtocolName
from bm.remedies.readers import Refusal
from bm.remedies.remedy import Remedy

Reader = Callable[[Refusal, re.Match[str]], Iterator[Remedy]]
"""Makes remedies of a refusal that a wording matches."""


class Row(msgspec.Struct, frozen=True):
    """One wording. `protocols` are those in which it means that; none stands for all.

    Its remedies are tried one after the other, or `together`.
    """

    services: str
    wording: re.Pattern[str]
    read: Reader
    protocols: tuple[ProtocolName, ...] = ()
    together: bool = False


def row(services: str, wording: str, read: Reader | Remedy, *protocols: ProtocolName, together: bool = False) -> Row:
    if isinstance(read, Remedy):
        read = always(read)
    return Row(services, re.compile(wording, re.I | re.S), read, protocols, together)


def always(*remedies: Remedy) -> Reader:
    return lambda refusal, match: iter(remedies)


def do(operation: str, *values: Any, path: str = "", passing: bool = False) -> Remedy:
    return Remedy(operation, path, values, passing)


def drops(*paths: str) -> Reader:
    return always(*(Remedy("drop", path) for path in paths))
