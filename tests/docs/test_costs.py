"""The prices in docs/costs.md are those of the price data."""

from __future__ import annotations

import subprocess
import sys

from tests.rules.source import ROOT


def test_the_table_is_up_to_date() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "cost_docs.py"), "--check"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
