"""Units for tests."""

from __future__ import annotations

from pathlib import Path

from bm.daemon.service.manager import Unit

GOLDEN = Path(__file__).parent / "golden"

ODD = '/home/you/it\'s 100% of "my" \\ $files [x]*'
"""A path with every character that is special to one of the managers."""


def unit(*, odd: bool = False) -> Unit:
    """The default unit, or one in a folder with special characters."""
    if odd:
        folder, environment = ODD, {"BM_HOME": ODD, "PATH": "/usr/bin:/bin"}
    else:
        folder, environment = "/home/you/.config/better-manager", {"PATH": "/usr/bin:/bin"}
    return Unit(
        name="better-manager-0a1b2c3d" if odd else "better-manager",
        interpreter=f"{ODD}/venv/bin/python" if odd else "/home/you/.venv/bin/python",
        environment=environment,
        folder=Path(folder),
        grace=45,
    )
