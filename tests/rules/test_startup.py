"""`bm` answers at once: the command line loads no web framework and no HTTP client before it needs one."""

from __future__ import annotations

import subprocess
import sys

import pytest

SLOW = ("starlette", "uvicorn", "httptools", "python_socks", "google.auth", "genai_prices", "prometheus_client")


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    """The modules that are in memory once the command line is imported."""
    code = "import sys, bm.cli; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return set(run.stdout.split())


@pytest.mark.parametrize("module", SLOW)
def test_importing_the_command_line_does_not_load(module: str, loaded: set[str]) -> None:
    assert "bm.cli" in loaded
    assert module not in loaded
