"""Hand mutated input to everything that reads bytes from outside: `scripts/fuzz --inputs 1000000 --seed 7`.

Every undeclared exception is reported once, by its type and place in bm, with the smallest input found that raises it.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec

import bm
from tests.fuzz.around import AROUND
from tests.fuzz.mutation import places, written
from tests.fuzz.seeds import seeds
from tests.fuzz.surface import Surface
from tests.fuzz.ways import WAYS
from tests.support.shared import SHARED

_BM = Path(bm.__file__).parent
SURFACES: Mapping[str, Surface] = {**WAYS, **AROUND}
PATIENCE = 2.0
"""Seconds of processor time for one input; one that takes longer is a finding too."""
SHRINKING = 10.0
"""Seconds for making the input of a finding smaller."""
NOTED = 50_000
SHOWN = 1500
"""Bytes of an input that are printed."""


class Hangs(Exception):
    """An input keeps bm busy."""


class Finding(msgspec.Struct, frozen=True):
    """An undeclared exception: what it is and where, the surface, the input, and the seed of its random choices."""

    what: str
    surface: str
    data: bytes
    choices: int
    times: int = 1


def played(surface: Surface, data: bytes, choices: int) -> str:
    """The undeclared exception that an input raises, with its place in bm; empty without one."""
    try:
        with _limited(PATIENCE):
            surface.play(data, random.Random(choices))
    except surface.declared:
        return ""
    except Exception as error:  # noqa: BLE001 - finding them is what this is for
        return f"{type(error).__name__} in {_place(error)}: {str(error)[:200]}"
    return ""


def _place(error: Exception) -> str:
    """The innermost line of bm, or of the surface where the result is wrong."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.name != "expire"]
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(_BM)] or frames[-1:]
    if isinstance(error, AssertionError):
        own = frames[-1:]
    file = Path(own[-1].filename)
    name = file.relative_to(_BM).as_posix() if file.is_relative_to(_BM) else file.name
    # A recursion may end anywhere on its way round.
    return name if isinstance(error, RecursionError) else f"{name}:{own[-1].lineno} {own[-1].name}"


def kind_of(what: str) -> str:
    """What makes two findings the same: the exception and its place."""
    return what.partition(": ")[0]


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    def expire(number: int, frame: FrameType | None) -> None:
        raise Hangs

    before = signal.signal(signal.SIGPROF, expire)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def fuzzed(
    inputs: int,
    seed: int,
    seconds: float = 0.0,
    surfaces: Mapping[str, Surface] = SURFACES,
    say: Callable[[str], None] = lambda text: None,
) -> tuple[int, dict[str, Finding]]:
    """Play so many inputs, or for so many seconds. Returns their number, and the findings by their kind.

    `say` is given each new finding, and how far it is, now and then.
    """
    chance, end = random.Random(seed), time.monotonic() + seconds
    names = [name for name, surface in surfaces.items() for _ in range(surface.weight)]
    found: dict[str, Finding] = {}
    done = 0
    while done < inputs and (not seconds or time.monotonic() < end):
        name, choices = chance.choice(names), chance.getrandbits(32)
        data = surfaces[name].make(chance)
        done += 1
        if done % NOTED == 0:
            say(f"{done} inputs")
        if not (what := played(surfaces[name], data, choices)):
            continue
        kind = kind_of(what)
        if kind in found:
            found[kind] = msgspec.structs.replace(found[kind], times=found[kind].times + 1)
        else:
            small = smallest(data, partial(_raises, surfaces[name], choices, kind))
            found[kind] = Finding(played(surfaces[name], small, choices) or what, name, small, choices)
            say(report(found[kind]))
    return done, found


def _raises(surface: Surface, choices: int, kind: str, data: bytes) -> bool:
    return kind_of(played(surface, data, choices)) == kind


def smallest(data: bytes, fails: Callable[[bytes], bool]) -> bytes:
    """The smallest input that still fails, as far as a few seconds of removing go."""
    end = time.monotonic() + SHRINKING
    for smaller in (_smaller_documents, _smaller_events, _smaller_bytes):
        again = True
        while again:
            again = False
            for candidate in smaller(data):
                if time.monotonic() > end:
                    return data
                if len(candidate) < len(data) and fails(candidate):
                    data, again = candidate, True
                    break
    return data


def _smaller_documents(data: bytes) -> Iterator[bytes]:
    """The JSON text, after what is before it, with one value less or a simpler one."""
    start = data.find(b"\n") + 1 if data[:1] == b"[" and b"\n" in data else 0
    try:
        document: Any = [msgspec.json.decode(data[start:])]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    for container, key in list(places(document)):
        if container is document:
            continue
        before = container.copy()
        del container[key]
        yield data[:start] + written(document[0])
        container.clear()
        container.update(before) if isinstance(container, dict) else container.extend(before)
        container[key] = ""
        yield data[:start] + written(document[0])
        container[key] = before[key]


def _smaller_events(data: bytes) -> Iterator[bytes]:
    """The stream without one of its events, or with a smaller one."""
    mark = b"\r\n\r\n" if b"\r\n\r\n" in data else b"\n\n"
    events = data.split(mark)
    if len(events) < 2:
        return
    for at, event in enumerate(events):
        yield mark.join([*events[:at], *events[at + 1 :]])
        head, name, text = event.partition(b"data: ")
        for smaller in _smaller_documents(text) if name else ():
            yield mark.join([*events[:at], head + name + smaller, *events[at + 1 :]])


def _smaller_bytes(data: bytes) -> Iterator[bytes]:
    """The bytes without a part: halves first, then less and less."""
    length = len(data) // 2
    while length >= max(1, len(data) // 64):
        for at in range(0, len(data), length):
            yield data[:at] + data[at + length :]
        length //= 2


def report(finding: Finding) -> str:
    """A finding in words."""
    shown = repr(finding.data[:SHOWN]) + (f" and {len(finding.data) - SHOWN} more" if len(finding.data) > SHOWN else "")
    return f"{finding.what}\n  {finding.times} times; {finding.surface}, choices {finding.choices}:\n  {shown}"


def main() -> int:
    """Fuzz as the command line says; 1 if anything was found."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=0.0, help="stop after this time, whatever is left")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--only", default="", help="surfaces with this word in their names")
    options = parser.parse_args()
    surfaces = {name: surface for name, surface in SURFACES.items() if options.only in name}
    warnings.simplefilter("error")
    if SHARED is None:
        print("no recorded exchanges at hand: only bm's own requests and responses are mutated")
    seeds()
    began = time.monotonic()
    each = -(-options.inputs // options.processes)
    with ProcessPoolExecutor(options.processes) as pool:
        works = [
            pool.submit(_share, each, options.seed * 1000 + number, options.seconds, tuple(surfaces))
            for number in range(options.processes)
        ]
        results = [work.result() for work in works]
    took = time.monotonic() - began
    done = sum(number for number, _ in results)
    findings = {kind: finding for _, found in results for kind, finding in found.items()}
    for finding in findings.values():
        print(report(finding))
    print(f"{done} inputs, {done / took:.0f} a second: {len(findings)} undeclared exceptions")
    return 1 if findings else 0


def _share(inputs: int, seed: int, seconds: float, names: tuple[str, ...]) -> tuple[int, dict[str, Finding]]:
    said = partial(print, file=sys.stderr, flush=True)
    return fuzzed(inputs, seed, seconds, {name: SURFACES[name] for name in names}, said)


if __name__ == "__main__":
    sys.exit(main())
