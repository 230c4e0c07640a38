"""Meets every fault and writes the table of docs/reliability.md: `python -m tests.reliability.run FILE`."""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from bm.simulator import Simulator
from tests.gateway.world import PROTOCOLS, World
from tests.reliability.faults import FAULTS, Outcome, cases, play
from tests.support.daemon import daemon

_PLACE = re.compile(r"(<!-- faults -->\n).*?(<!-- end of faults -->)", re.DOTALL)


@contextmanager
def running(home: Path) -> Iterator[World]:
    """A daemon in that folder with a simulator behind it."""
    with Simulator() as simulator, daemon(home, f'[gemini]\nbase_url = "{simulator.url}"\n') as started:
        headers, url = started.headers, started.url
        with httpx.Client(base_url=url, headers=headers, timeout=20, trust_env=False, verify=False) as http:
            yield World(simulator, started, http)


def table(outcomes: Sequence[Outcome]) -> str:
    """One row a fault: what every client got, and the most calls that the failing target received."""
    head = ["fault", *PROTOCOLS, "calls to the failing target", "without `rescue`"]
    lines = [_row(head), _row(["---"] * len(head))]
    for fault in FAULTS:
        found = [outcome for outcome in outcomes if outcome.case.fault is fault]
        mended = [outcome for outcome in found if outcome.case.rescue]
        reported = [outcome for outcome in found if not outcome.case.rescue]
        cells = [
            _verdict([each for each in mended if each.case.protocol == protocol], fault.name) for protocol in PROTOCOLS
        ]
        calls = f"{max(each.struck for each in found)} of at most {fault.most}"
        lines.append(_row([fault.name, *cells, calls, _reported(reported)]))
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _verdict(outcomes: Sequence[Outcome], fault: str) -> str:
    wrong = sum(bool(outcome.faults) for outcome in outcomes)
    good = "returned clean" if fault == "content filter" else "rescued"
    return f"{wrong} of {len(outcomes)} wrong" if wrong else f"{good} ({len(outcomes)})"


def _reported(outcomes: Sequence[Outcome]) -> str:
    if not outcomes:
        return "the same"
    wrong = sum(bool(outcome.faults) for outcome in outcomes)
    return f"{wrong} of {len(outcomes)} wrong" if wrong else f"error, or the whole text ({len(outcomes)})"


def main(arguments: Sequence[str]) -> int:
    """Meet the faults, print what is wrong, and put the table into a file if one is named."""
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as world:
        outcomes = [play(world, case) for case in cases()]
    for outcome in outcomes:
        if outcome.faults:
            print(f"{outcome.case}: {'; '.join(outcome.faults)}", file=sys.stderr)
    found = table(outcomes)
    print(found)
    for name in arguments:
        file = Path(name)
        file.write_text(
            _PLACE.sub(lambda at: at[1] + found + at[2], file.read_text(encoding="utf-8")), encoding="utf-8"
        )
    return int(any(outcome.faults for outcome in outcomes))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
