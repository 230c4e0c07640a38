"""What goes wrong upstream or at bm, and how each tool takes it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bm.simulator.rules import Rule
from tests.clients_real.kinds import BY_NAME as KINDS
from tests.clients_real.kinds import site
from tests.clients_real.machine import Run
from tests.clients_real.tools import WORD, Tool
from tests.clients_real.trial import launch

LONG = f"{WORD} and many more words, the last of which is THE-END"
"""An answer that shows whether it is whole."""
LIMIT = 45.0
"""Seconds a tool may take to give up or to succeed."""


@dataclass(frozen=True)
class Trouble:
    """One thing that goes wrong. `rules` are what the upstream does before it answers well."""

    name: str
    title: str
    rules: tuple[Rule, ...] = ()
    more: str = ""
    key: str = ""


CUT = Rule(text=LONG, chunks=12, cut_after=5)
NO_RESCUE = "[pool]\nrescue = false\n"

TROUBLES = (
    Trouble(
        "short",
        "every account is cooling down for 2 s",
        tuple(Rule(account=account, status=429, retry_info="2s") for account in ("t-account", "d-account")),
    ),
    Trouble(
        "reported",
        "the same, and bm does not wait",
        tuple(Rule(account=account, status=429, retry_info="2s") for account in ("t-account", "d-account")),
        more="[pool]\nmax_wait = 0\n",
    ),
    Trouble("long", "every account is cooling down for 5 min", (Rule(status=429, retry_info="300s", times=None),)),
    Trouble("cut", "the answer is cut once, with rescue off", (CUT,), more=NO_RESCUE),
    Trouble(
        "cut-always",
        "every answer is cut, with rescue off",
        (msgspec.structs.replace(CUT, times=None),),
        more=NO_RESCUE,
    ),
    Trouble("keys", "every upstream key is refused", (Rule(error="invalid_key", times=None),)),
    Trouble("model", "the model is unknown upstream", (Rule(error="not_found", times=None),)),
    Trouble("local-key", "wrong local key", key="not-the-local-key"),
)
BY_NAME: Mapping[str, Trouble] = {trouble.name: trouble for trouble in TROUBLES}


@dataclass(frozen=True)
class Behaviour:
    """What a tool did: `whole` when the complete answer arrived, `partial` when a piece of it was all there was."""

    run: Run
    calls: int
    """Requests that reached the upstream."""

    @property
    def whole(self) -> bool:
        """Whether the complete answer arrived."""
        return "THE-END" in self.run.out

    @property
    def partial(self) -> bool:
        """Whether only a part of the answer was shown."""
        return WORD in self.run.out and not self.whole

    def __str__(self) -> str:
        state = "goes on" if self.run.hung else f"exit {self.run.code}"
        shown = "whole answer" if self.whole else "piece of the answer" if self.partial else "no answer"
        said = " ".join(f"{self.run.out[-200:]} {self.run.err[-200:]}".split())
        return f"{self.run.seconds:.0f} s, {state}, {shown}, {self.calls} upstream calls: {said}"


def provoke(tool: Tool, trouble: Trouble, limit: float = LIMIT) -> Behaviour:
    """Let one thing go wrong for a tool that talks to the Gemini pool through a bm of its own."""
    command = "stream" if "stream" in tool.tasks else next(iter(tool.tasks))
    with tempfile.TemporaryDirectory(prefix="bm-error-") as name:
        folder = Path(name)
        with site(KINDS["gemini"], folder / "bm", trouble.more) as place:
            place.sim.script(*trouble.rules, Rule(text=LONG, chunks=12, times=None))
            (folder / "tool").mkdir()
            ended = launch(tool, command, place, folder / "tool", key=trouble.key, limit=limit)
            calls = sum(record.operation == "generate" for record in place.sim.log())
    return Behaviour(ended, calls)
