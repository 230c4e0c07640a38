"""docs/cli.md and docs/bm.1 are what the commands say of themselves."""

from __future__ import annotations

import subprocess
import sys

from bm.cli.examples import EXAMPLES
from tests.rules.source import ROOT


def test_the_pages_are_up_to_date() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "cli_docs.py"), "--check"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


def test_the_manual_page_has_every_command() -> None:
    lines = (ROOT / "docs" / "bm.1").read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith(".TH BM 1")
    headings = {" ".join(line.split()[1:]).split(" [")[0].split(" {")[0] for line in lines if line.startswith(".SS ")}
    assert {f"bm {words}" for words in EXAMPLES} <= headings
    requests = {line.split()[0] for line in lines if line.startswith((".", "'"))}
    assert requests <= {".TH", ".SH", ".SS", ".PP", ".TP", ".B", ".nf", ".fi"}
