"""The command line. Commands import what they need when they run: `bm --help` answers at once."""

from __future__ import annotations

import os
from typing import Any


def main(arguments: list[str] | None = None) -> int:
    """Run one command, or tell a shell how one can go on. Returns the exit code."""
    if "_BM_COMPLETE" in os.environ:
        from bm.cli.shells import answer

        return answer(os.environ, _outline)
    from bm.cli.app import main as run

    return run(arguments)


def _outline() -> dict[str, Any]:
    from bm.cli.make_outline import made

    return made()
