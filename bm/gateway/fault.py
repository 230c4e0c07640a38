"""Makes a failure of an exception that no part of bm declares, so that it costs one attempt and not the request."""

from __future__ import annotations

import logging
import traceback
from pathlib import Path

from bm.errors import Failure

_SHOWN = 3
"""Places that are logged, the innermost first."""
_ROOT = Path(__file__).parents[2]
_log = logging.getLogger("bm.requests")


def own_fault(error: Exception) -> Failure:
    """The failure of an attempt in which bm itself went wrong.

    Its places in bm are logged, but not its text, which may quote a request. JSON that is nested too deeply is no fault
    of bm's.
    """
    if isinstance(error, RecursionError):
        return Failure(kind="malformed", message="the upstream sent JSON that is nested too deeply")
    places = [
        f"{Path(frame.filename).relative_to(_ROOT).as_posix()}:{frame.lineno} in {frame.name}"
        for frame in reversed(traceback.extract_tb(error.__traceback__))
        if Path(frame.filename).is_relative_to(_ROOT / "bm")
    ]
    name = type(error).__name__
    _log.error("an internal error of bm, please report it: %s at %s", name, ", called from ".join(places[:_SHOWN]))
    message = f"bm itself failed with {name} at {places[0] if places else 'an unknown place'}; `bm logs` shows more"
    return Failure(kind="malformed", message=message)
