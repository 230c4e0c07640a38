"""How long it takes from a clone to the first answer inside each tool: `python -m tests.clients_real.first_minute`.

Three commands, as in the README, in a home that holds nothing: install, `bm init --yes` with a key in the environment,
`bm run TOOL`. The key's service is the simulator. The rows are for the table of docs/quickstart.md.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from bm.simulator import Rule, Simulator
from tests.clients_real.machine import NODE, PLAIN_PATH
from tests.clients_real.test_configured import CASES
from tests.clients_real.tools import WORD
from tests.rules.source import ROOT

TOOLS = {
    "claude": "Claude Code",
    "codex": "Codex",
    "gemini": "Gemini CLI",
    "opencode": "opencode",
    "aider": "aider",
    "llm": "llm",
}


def timed(words: Sequence[str], environ: Mapping[str, str], folder: Path, limit: float = 300.0) -> tuple[float, str]:
    """Run a command. Returns the seconds it took, and what it printed."""
    began = time.monotonic()
    ran = subprocess.run(
        words, env=dict(environ), cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=limit
    )
    if ran.returncode:
        raise SystemExit(f"{' '.join(words)} has failed:\n{ran.stdout}\n{ran.stderr}")
    return time.monotonic() - began, ran.stdout + ran.stderr


def programs(folder: Path) -> None:
    """The tools that are installed here, under their names in a folder for PATH."""
    folder.mkdir()
    for name in TOOLS:
        case = CASES[name]
        (folder / name).write_text(f'#!/bin/sh\nexec {" ".join(map(str, case.program))} "$@"\n', encoding="utf-8")
        (folder / name).chmod(0o755)


def measure(folder: Path, simulator: Simulator) -> list[tuple[str, float]]:
    """The seconds of each step, and of each tool."""
    bin_, home, clone = folder / "bin", folder / "home", folder / "clone"
    programs(bin_)
    home.mkdir()
    service = {"GEMINI_API_KEY": "a-key-of-the-simulator-0123456789", "GEMINI_BASE_URL": simulator.url}
    kept = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_CERT"))}
    environ = {**kept, "HOME": str(home), "PATH": f"{folder}/venv/bin:{bin_}:{PLAIN_PATH}", "TERM": "dumb"}
    rows = [("git clone", timed(["git", "clone", "--quiet", str(ROOT), str(clone)], environ, folder)[0])]
    began = time.monotonic()
    timed([sys.executable, "-m", "venv", str(folder / "venv")], environ, folder)
    timed(["pip", "install", "--quiet", "."], environ, clone)
    rows.append(("pip install .", time.monotonic() - began))
    rows.append(("bm init --yes", timed(["bm", "init", "--yes", "--no-tools"], environ | service, folder)[0]))
    try:
        for name, title in TOOLS.items():
            case = CASES[name]
            if not all(part.exists() for part in (*case.program, NODE)):
                continue
            seconds, output = timed(
                ["bm", "run", name, *(case.once or case.words)], environ | dict(case.environ), folder
            )
            if WORD not in output:
                raise SystemExit(f"{title} shows another answer:\n{output}")
            rows.append((title, seconds))
    finally:
        timed(["bm", "stop", "--now"], environ, folder)
    return rows


def main() -> None:
    """Print a row for each tool: the seconds of the three commands, and together."""
    with tempfile.TemporaryDirectory(prefix="bm-first-minute-") as folder, Simulator() as simulator:
        simulator.script(Rule(text=WORD, times=None))
        clone, install, init, *tools = measure(Path(folder), simulator)
    for title, seconds in tools:
        whole = clone[1] + install[1] + init[1] + seconds
        print(f"| {title} | {clone[1] + install[1]:.0f} | {init[1]:.1f} | {seconds:.1f} | {whole:.0f} |")


if __name__ == "__main__":
    main()
