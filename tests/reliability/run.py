"""Meets every fault and writes the table of docs/reliability.md: `python -m tests.reliability.run --write FILE`."""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx

from bm.simulator import Simulator
from tests.gateway.world import PROTOCOLS, World
from tests.reliability.faults import FAULTS, Outcome, cases, play
from tests.support.daemon import daemon

WAITS = 400
"""Seconds that a client waits where bm's own timeouts apply."""
_PLACE = re.compile(r"(<!-- faults -->\n).*?(<!-- end of faults -->)", re.DOTALL)


@contextmanager
def running(home: Path, patience: float = 20) -> Iterator[World]:
    """A daemon in that folder with a simulator behind it, and a client that waits so many seconds."""
    with Simulator() as simulator, daemon(home, f'[gemini]\nbase_url = "{simulator.url}"\n') as started:
        headers, url = started.headers, started.url
        with httpx.Client(base_url=url, headers=headers, timeout=patience, trust_env=False, verify=False) as http:
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


def met(protocol: str, *, defaults: bool) -> list[Outcome]:
    """Meet every fault with the clients of one protocol."""
    with tempfile.TemporaryDirectory() as folder, running(Path(folder), WAITS if defaults else 20) as world:
        chosen = [case for case in cases() if case.protocol == protocol]
        return [play(world, case, "") if defaults else play(world, case) for case in chosen]


def main() -> int:
    """Meet the faults, print what is wrong, and put the table into a file if one is named."""
    parser = argparse.ArgumentParser(prog="scripts/faults", description=__doc__)
    parser.add_argument("--defaults", action="store_true", help="with bm's own timeouts; a quarter of an hour")
    parser.add_argument("--write", type=Path, help="the document that keeps the table")
    options = parser.parse_args()
    with ThreadPoolExecutor(len(PROTOCOLS)) as pool:
        results = pool.map(partial(met, defaults=options.defaults), PROTOCOLS)
        outcomes = [outcome for result in results for outcome in result]
    for outcome in outcomes:
        if outcome.faults:
            print(f"{outcome.case}: {'; '.join(outcome.faults)}", file=sys.stderr)
    found = table(outcomes)
    print(found)
    if options.write:
        old = options.write.read_text(encoding="utf-8")
        options.write.write_text(_PLACE.sub(lambda at: at[1] + found + at[2], old), encoding="utf-8")
    return int(any(outcome.faults for outcome in outcomes))


if __name__ == "__main__":
    raise SystemExit(main())
