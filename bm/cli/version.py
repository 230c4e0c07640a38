"""`bm version`: which version this is and, only when asked, which is the newest at the package index."""

from __future__ import annotations

import os
import re
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from bm.cli import admin, render

INDEX = "https://pypi.org/simple"
"""Where packages come from unless PIP_INDEX_URL names a mirror."""
PACKAGE = "better-manager"
_JSON = "application/vnd.pypi.simple.v1+json"
_LIMIT = 4 * 1024 * 1024


def version(
    check: Annotated[bool, typer.Option("--check", help="Ask the package index for a newer version.")] = False,
) -> None:
    """Print the version of bm.

    bm never looks for new versions by itself. --check sends one request to PyPI, or to the mirror in PIP_INDEX_URL.
    """
    from bm import __version__

    render.line(f"bm {__version__}")
    if not check:
        return
    newest = newest_of(_listed())
    if not newest:
        render.line(f"the index has no release of {PACKAGE}")
    elif _parts(newest) > _parts(__version__):
        render.line(f"{newest} is available: pipx upgrade {PACKAGE}, or uv tool upgrade {PACKAGE}; then bm restart")
    else:
        render.line("this is the newest version")


def newest_of(versions: list[str]) -> str:
    """The newest final version; empty if there is none."""
    return max((each for each in versions if re.fullmatch(r"\d+(\.\d+)*", each)), key=_parts, default="")


def _parts(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text))


def _listed() -> list[str]:
    """The versions that the index lists.

    Raises:
        DaemonError: it does not answer, or not in the form that indexes have.
    """
    import asyncio

    import msgspec

    from bm.errors import DaemonError
    from bm.upstream.client import UpstreamError

    index = os.environ.get("PIP_INDEX_URL") or INDEX
    shown = urlsplit(index).hostname  # the rest may hold a password
    try:
        answer = asyncio.run(_asked(index.rstrip("/") + f"/{PACKAGE}/"))
    except UpstreamError as error:
        raise DaemonError(f"{shown}: {error.failure.message}") from error
    if answer.status == 404:
        return []
    if answer.status != 200:
        raise DaemonError(f"{shown} answers with status {answer.status}")
    try:
        versions = msgspec.json.decode(answer.body)["versions"]
    except (ValueError, KeyError, TypeError) as error:
        raise DaemonError(f"{shown} does not list versions in JSON (PEP 700)") from error
    return [str(each) for each in versions]


async def _asked(url: str) -> Any:
    from bm.upstream.client import UpstreamClient, UpstreamRequest
    from bm.upstream.endpoint import USER_AGENT

    config = admin.loaded(admin.here()).config
    client = UpstreamClient()
    try:
        headers = [("user-agent", USER_AGENT), ("accept", _JSON)]
        request = UpstreamRequest("the package index", "GET", url, headers)
        return await client.fetch(request, config.timeouts.alone, config.upstream_proxy, limit=_LIMIT)
    finally:
        await client.close()
