"""The recorded exchanges as an upstream: a server on loopback that answers with them, and misbehaves on demand.

A case is chosen by the path (`replay.case(id)` is the base URL for an SDK), or by the header `x-replay-case`. Faults
are options of the path, such as `cut=3` (drop the connection after three events) or `fail=429x1`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from tests.support.shared import SHARED


@dataclass(frozen=True)
class Replay:
    """A running replay server."""

    url: str
    _client: httpx.Client

    def case(self, id: str, **options: object) -> str:
        """The base URL under which every path answers with this case."""
        return ";".join([f"{self.url}/case/{id}", *(f"{name}={value}" for name, value in options.items())])

    def queue(self, id: str, **options: object) -> None:
        """Answer the next request that names no case with this one."""
        opts = ";".join(f"{name}={value}" for name, value in options.items())
        self._post("/control/queue", {"cases": [{"case": id, "opts": opts}]})

    def received(self) -> list[dict[str, Any]]:
        """The requests so far, oldest first: `method, target, headers, body, body_json, aborted, sent_events`."""
        rows = self._client.get("/received").json()
        return [self._client.get(f"/received/{row['n']}").json() for row in rows]

    def reset(self) -> None:
        """Forget requests, failure counters and queued answers."""
        self._post("/control/reset", {})

    def _post(self, path: str, body: dict[str, Any]) -> None:
        self._client.post(path, json=body).raise_for_status()


@contextmanager
def replay() -> Iterator[Replay]:
    """Run a replay server. The test must be guarded with `needs_corpus`."""
    assert SHARED is not None, "guard the test with needs_corpus"
    root = SHARED / "corpus"
    command = [sys.executable, "-B", str(root / "replay.py"), "--root", str(root / "cases"), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            first = process.stdout.readline()
            assert first, "the replay server ended before it listened"
            url = json.loads(first)["listening"]
            with httpx.Client(base_url=url, trust_env=False) as client:
                yield Replay(url, client)
        finally:
            process.terminate()
            process.wait(timeout=10)
