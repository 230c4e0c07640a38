"""Every tool against every kind of upstream; writes the result into docs/clients.md.

`python -m tests.clients_real.table [--write | --errors | --sessions] [--to KIND] [TOOL…]`: a TOOL may be the beginning
of its name.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from tests.clients_real import wall
from tests.clients_real.agents import AGENTS
from tests.clients_real.errors import TROUBLES, provoke
from tests.clients_real.kinds import BY_NAME, KINDS, Kind, Site, site
from tests.clients_real.sessions import Agent, session
from tests.clients_real.tools import TOOLS, Tool
from tests.clients_real.trial import attempt

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "clients.md"
BEGIN, END = "<!-- table: written by scripts/clients -->", "<!-- end of table -->"
Row = TypeVar("Row", Tool, Agent)
Results = dict[tuple[str, str], dict[str, str]]


def measure(tool: Tool, place: Site) -> dict[str, str]:
    """What each feature of a tool came to against one upstream: "" or what went wrong."""
    found: dict[str, str] = {}
    for command in tool.tasks:
        found |= attempt(tool, command, place).features
    return found


def survey(tools: Sequence[Tool], kinds: Iterable[Kind]) -> Results:
    """Run every tool against every kind, one after the other, and tell about each."""
    results: Results = {}
    for kind in kinds:
        with tempfile.TemporaryDirectory(prefix="bm-clients-") as name, site(kind, Path(name)) as place:
            for tool in tools:
                found = results[tool.name, kind.name] = measure(tool, place)
                wrong = [f"{feature}: {why}" for feature, why in found.items() if why]
                print(f"{'FAIL' if wrong else 'ok  '} {kind.name} {tool.name}", *wrong, sep="\n     ", flush=True)
    return results


def table(results: Results, tools: Sequence[Tool], kinds: Sequence[Kind]) -> str:
    """The results in Markdown: a row a tool, a column a kind of upstream."""
    head = ["tool", "does", *(kind.title for kind in kinds)]
    rows = [
        [tool.title, ", ".join(tool.features), *(_cell(results[tool.name, kind.name]) for kind in kinds)]
        for tool in tools
    ]
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def provoke_all(tools: Iterable[Tool]) -> int:
    """Let everything go wrong for every tool, and tell what each does."""
    for tool in tools:
        for trouble in TROUBLES:
            print(f"{tool.name}: {trouble.title}: {provoke(tool, trouble)}", flush=True)
    return 0


def work_long(agents: Iterable[Agent]) -> int:
    """Let agents work for forty turns while their upstream is switched, and tell what each session showed."""
    wrong = 0
    for agent in agents:
        with tempfile.TemporaryDirectory(prefix="bm-session-") as name:
            report = session(agent, Path(name))
        print(report, flush=True)
        wrong |= bool(report.wrong)
    return wrong


def _cell(found: dict[str, str]) -> str:
    wrong = [feature for feature, why in found.items() if why]
    return f"✗ {', '.join(wrong)}" if wrong else "✓"


def _write(text: str) -> None:
    page = DOCUMENT.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2]
    DOCUMENT.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


def installed(rows: Iterable[Row], names: Sequence[str]) -> list[Row]:
    """The rows that the command line names and that can be run here; tells about the others."""
    wanted = [row for row in rows if not names or row.name.startswith(tuple(names))]
    for row in wanted:
        if row.missing():
            print(f"skip {row.name}: {row.missing()}")
    return [row for row in wanted if not row.missing()]


def main() -> int:
    """Run what the command line names. 1 when a feature failed, 2 when no such tool is installed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the table into docs/clients.md")
    parser.add_argument("--to", choices=BY_NAME, action="append", metavar="KIND", help=f"one of {', '.join(BY_NAME)}")
    parser.add_argument("--errors", action="store_true", help="show how the tools take what can go wrong instead")
    parser.add_argument("--sessions", action="store_true", help="let the agents work for forty turns instead")
    parser.add_argument("tools", nargs="*", metavar="TOOL", help="a tool, or the beginning of its name; all by default")
    given = parser.parse_args()
    kinds = [kind for kind in KINDS if kind.name in (given.to or BY_NAME)]
    if given.sessions:
        print(wall.missing(), end="\n" * bool(wall.missing()))
        agents = [] if wall.missing() else installed(AGENTS, given.tools)
        return work_long(agents) if agents else 2
    tools = installed(TOOLS, given.tools)
    if not tools:
        return 2
    if given.errors:
        return provoke_all(tools)
    results = survey(tools, kinds)
    text = table(results, tools, kinds)
    print(text)
    if given.write:
        _write(text)
    return int(any(why for found in results.values() for why in found.values()))


if __name__ == "__main__":
    sys.exit(main())
