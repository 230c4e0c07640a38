"""Long sessions of real agents over the wall, whose upstream is switched again and again.

What the prompt says, what its tools read and what its sub-agent found is planted, and must be in every later request
that reaches a vendor: as it was, or in the summary that the agent had made of it.
"""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from bm.simulator.rules import Rule, ToolCall
from tests.clients_real.machine import Run, run
from tests.clients_real.tools import WORD, Command, Place, environment
from tests.clients_real.trial import PICTURE, ROUTED
from tests.clients_real.wall import Asked, wall
from tests.support.daemon import Daemon, daemon

PROVIDERS: Mapping[str, str] = {
    "gemini": "/google",
    "anthropic": "/anthropic",
    "openai": "/openai/v1",
    "deepseek": "/deepseek/v1",
    "kimi": "/moonshot/v1",
    "mistral": "/mistral/v1",
    "groq": "/groq/openai/v1",
    "xai": "/xai/v1",
    "together": "/together/v1",
}
"""Whom the upstream is switched between, and their base URLs at the wall. `kimi` is a service of the user's own."""
ROUTE = (
    *("gemini", "anthropic", "openai", "kimi", "gemini", "openai", "deepseek"),
    *("anthropic", "mistral", "groq", "xai", "gemini", "together", "anthropic"),
)
FILES = 60
LIMIT = 240.0
"""Seconds that a prompt may take."""
_SUMMARY = ("CONTEXT CHECKPOINT", "detailed summary of", "state_snapshot", "about to be replaced by a summary")
"""Words of a request for a summary: Codex's, Claude Code's, Gemini CLI's and bm's own."""
_TURNS = ("messages", "input", "contents")


def secret(name: str) -> str:
    """A word that no model guesses, the same in every run."""
    return f"{name}-{sha256(name.encode()).hexdigest()[:10]}"


PLANTED, ERRAND, FOUND = secret("planted"), secret("errand"), secret("found")
"""What the person says at the start, the task of a sub-agent, and what it answers."""
AGENT_ID = "AGENT-ID"
"""Stands for the id of the last sub-agent in a call's arguments."""
_AGENT_ID = re.compile(r"agent_id\W+([0-9a-f-]{36})")


@dataclass(frozen=True)
class Step:
    """A turn of the model: its calls, and the words that their results bring. Without calls a prompt is answered."""

    calls: tuple[ToolCall, ...] = ()
    brings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Agent:
    """A tool in a session: the command of each prompt, and what the model does in all of them together.

    `errand` are the turns of its sub-agent, `more` is further configuration of bm, `route` whom the upstream is
    switched between, and `silent` what the tool must not say.
    """

    name: str
    needs: tuple[Path, ...]
    prompts: tuple[Callable[[Place], Command], ...]
    steps: Callable[[Path], Sequence[Step]]
    errand: tuple[Step, ...] = ()
    more: str = ""
    route: tuple[str, ...] = ROUTE
    silent: str = ""

    def missing(self) -> str:
        """Why it cannot be run here; "" when it can."""
        lacking = [path for path in self.needs if not path.exists()]
        return f"{self.name} is not installed: no {lacking[0].name} in $CLIENTS_HOME" if lacking else ""


@dataclass
class Story:
    """Tells the model's part, and watches what reaches the vendors. `turn_ends` gets the number of turns."""

    steps: list[Step]
    errand: Sequence[Step]
    turn_ends: Callable[[int], None]
    known: list[str] = field(default_factory=lambda: [PLANTED])
    turns: list[str] = field(default_factory=list)
    lost: dict[str, str] = field(default_factory=dict)
    summaries: int = 0
    errands: int = 0
    _now: Step | None = None

    def answer(self, asked: Asked) -> Rule:
        """The answer to a request that no vendor has refused."""
        self._now = None
        last = json.dumps([turn for name in _TURNS for turn in list(asked.body.get(name, ()))[-2:]])
        wants_summary = any(words in last for words in _SUMMARY)
        if PLANTED in asked.text:
            place = f"{'a summary after ' if wants_summary else ''}turn {len(self.turns)}, at {asked.vendor}"
            self.lost = {word: place for word in self.known if word not in asked.text} | self.lost
        if wants_summary:
            self.summaries += 1
            return Rule(text=f"<summary>All that was found: {' '.join(self.known)}</summary>")
        if PLANTED in asked.text and self.steps and any(_offered(asked.body)):
            return self._turn(self.steps[0], asked)
        if ERRAND in asked.text and PLANTED not in asked.text:
            self.errands += 1
            left = self.errand[self.errands - 1 :]
            return Rule(tool_calls=_named(left[0].calls, asked)) if left else Rule(text=f"It is done: {FOUND}")
        return Rule(text=ROUTED if "complexity" in asked.text else WORD)

    def _turn(self, step: Step, asked: Asked) -> Rule:
        self._now = step
        self.turns.append(f"{asked.vendor} {asked.model}")
        number = len(self.turns)
        text = "" if step.calls else f"Answered. {WORD}"
        calls = _named(step.calls, asked)
        return Rule(tool_calls=calls, preface=f"Turn {number}.", text=text, thinking=f"Thought of turn {number}.")

    def delivered(self) -> None:
        """The answer is on its way: what its calls bring must be in all that comes next."""
        if self._now is not None:
            self.known += self._now.brings
            self.steps.pop(0)
            self.turn_ends(len(self.turns))


def _named(calls: tuple[ToolCall, ...], asked: Asked) -> tuple[ToolCall, ...]:
    """The calls by the names that the request offers the tools by, which may hold that of a namespace."""
    names = list(_offered(asked.body))
    agent = (_AGENT_ID.findall(asked.text) or [""])[-1]
    made = []
    for call in calls:
        name = next((each for each in names if each == call.name or each.endswith(f"__{call.name}")), call.name)
        made.append(ToolCall(name, json.loads(json.dumps(call.arguments).replace(AGENT_ID, agent))))
    return tuple(made)


def _offered(value: Any, space: str = "") -> Iterator[str]:
    """The names of all tools in a request."""
    if isinstance(value, list):
        for each in value:
            yield from _offered(each, space)
    elif isinstance(value, dict):
        name = value.get("name")
        if value.get("type") == "namespace":
            space = str(name)
        elif isinstance(name, str) and "arguments" not in value:
            yield f"{space}__{name}" if space else name
        for key in ("tools", "input", "function", "functionDeclarations"):
            yield from _offered(value.get(key), space)


@dataclass(frozen=True)
class Report:
    """What a session showed. `refusals` are the vendors', `failed` requests that bm answered with an error."""

    agent: Agent
    runs: Sequence[Run]
    story: Story
    switches: int
    refusals: Sequence[str]
    failed: Sequence[str]
    dropped: Counter[str]

    @property
    def wrong(self) -> list[str]:
        """What must not be; empty when all went well."""
        ends = [f"exit {run.code}: {run.out[-300:]} {run.err[-300:]}" for run in self.runs if run.code]
        said = "".join(run.out + run.err for run in self.runs)
        return [
            *ends,
            *([f"{len(self.story.steps)} turns were not reached"] if self.story.steps else []),
            *([] if WORD in self.runs[-1].out else [f"no answer: {self.runs[-1].out[-300:]}"]),
            *([f"the tool says {self.agent.silent!r}"] if self.agent.silent and self.agent.silent in said else []),
            *self.failed,
            *(f"lost: {word}, in the request of {where}" for word, where in self.story.lost.items()),
        ]

    def __str__(self) -> str:
        story = self.story
        by = ", ".join(f"{name} {count}" for name, count in Counter(story.turns).items())
        lines = [
            f"{'FAIL' if self.wrong else 'ok  '} {self.agent.name}: {len(story.turns)} turns, "
            f"{self.switches} switches, {story.summaries} summaries, {story.errands} turns of a sub-agent, "
            f"{len(story.known)} facts, {len(story.lost)} lost",
            f"     {by}",
            *(f"     {count} refused, healed: {why}" for why, count in Counter(self.refusals).items()),
            *(f"     {count} with a loss reported: {what}" for what, count in self.dropped.items()),
            *(f"     WRONG {each}" for each in self.wrong),
        ]
        return "\n".join(lines)


class _Switch:
    """Sends everything to one provider from now on, as a person does it: with `bm providers mode`."""

    def __init__(self, place: Daemon, route: Sequence[str], every: int) -> None:
        self._place, self._route, self._every = place, route, every
        self._current = "gemini"
        self.count = 0

    def __call__(self, turns: int) -> None:
        """Switch after so many turns, if it is time."""
        name = self._route[turns // self._every % len(self._route)]
        if turns % self._every or name == self._current:
            return
        for provider, mode in ((self._current, "off"), (name, "exclusive")):
            if provider != "gemini":
                self._mode(provider, mode)
        self._current = name
        self.count += 1

    def _mode(self, provider: str, mode: str) -> None:
        words = [sys.executable, "-m", "bm", "providers", "mode", provider, mode]
        environ = {"BM_HOME": str(self._place.paths.config.parent), "PATH": "/usr/bin:/bin"}
        subprocess.run(words, env=environ, check=True, capture_output=True)


def session(agent: Agent, folder: Path, every: int = 3) -> Report:
    """Let an agent work through its prompts, and switch its upstream after `every` turns."""
    project = folder / "tool/project"
    for path in (folder / "bm", folder / "tool/home", project / "facts"):
        path.mkdir(parents=True)
    (project / "picture.png").write_bytes(PICTURE)
    for number in range(FILES):
        (project / f"facts/{number:02}.txt").write_text(f"The code of {number:02} is {secret(f'fact{number:02}')}.\n")
    with wall() as upstream:
        config = _config(upstream.url, agent.more)
        with daemon(folder / "bm", config, {"one": "key-of-an-account"}, learn_models=True) as place:
            switch = _Switch(place, agent.route, every)
            story = Story(list(agent.steps(project)), agent.errand, switch)
            upstream.answer, upstream.delivered = story.answer, story.delivered
            runs = [_prompted(prompt, Place(place.url, place.key, folder / "tool")) for prompt in agent.prompts]
            failed, dropped = _recorded(place)
    return Report(agent, runs, story, switch.count, upstream.refusals, failed, dropped)


def _config(url: str, more: str) -> str:
    """All providers at the wall, and none in use but the Gemini pool."""
    text = f'{more}[gemini]\nbase_url = "{url}/google"\n'
    for name, base in PROVIDERS.items():
        if name != "gemini":
            text += f'[providers.{name}]\nenabled = true\nmode = "off"\napi_key = "key"\nbase_url = "{url}{base}"\n'
            text += 'protocols = ["anthropic", "openai-chat", "openai-responses", "gemini"]\n'
            text += 'protocol = "openai-chat"\nmodels = { default = "kimi-k3" }\n' if name == "kimi" else ""
    return text


def _prompted(prompt: Callable[[Place], Command], place: Place) -> Run:
    command = prompt(place)
    return run(command.argv, environment(place, command), place.folder, LIMIT)


def _recorded(place: Daemon) -> tuple[list[str], Counter[str]]:
    """What bm itself tells: the requests that failed, and what it dropped from how many."""
    with closing(http.client.HTTPConnection(place.url.removeprefix("http://"))) as connection:
        connection.request("GET", "/admin/requests?limit=500", headers={"authorization": f"Bearer {place.key}"})
        rows = json.loads(connection.getresponse().read())["requests"]
    failed = [f"{row['provider']} answers {row['protocol']}: {row['failure']}" for row in rows if row["failure"]]
    return failed, Counter(f"{row['provider']}: {row['dropped']}" for row in rows if row["dropped"])
