"""Every command in README and docs/ is one that bm takes, and those in blocks to copy do what they say.

The lines of a page run one after another, as a reader would type them, in a home of its own over the simulator.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

from bm.accounts.account import Account
from bm.accounts.credentials import update
from bm.cli.app import app
from bm.config.paths import Paths
from bm.daemon.runtime import read
from bm.simulator import Simulator
from tests.cli.conftest import PLANTED, Bm
from tests.clients.conftest import home
from tests.rules.source import ROOT

__all__ = ["home"]

PAGES = {
    path.name: path
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
    if path.stem not in ("cli", "team")
}
"""The pages, but for a list that is generated, and for the one that tests/docs/test_team.py follows."""
NOT_RUN = {
    r"scripts/": "the demo, the tests and what CI runs",
    r"(python -m )?(pipx?|uv|podman|docker) ": "installs or builds: scripts/build, tests/deploy",
    r"gcloud |ssh |sudo ": "a program of others",
    r"bm run ": "the tool takes the place of bm: tests/clients/test_launch.py, tests/clients_real",
    r"bm accounts login": "Google's consent page: tests/cli/test_accounts_google.py",
    r"bm accounts (export|import) accounts.json": "asks for a passphrase on a terminal: tests/cli/test_transfer.py",
    r"bm dashboard$": "opens a browser: tests/cli/test_monitoring.py",
    r"openssl |bm config set (ledger|shared)\.|bm accounts move": "needs a database: tests/vault, tests/cli",
    r"bm top": "draws on a terminal: tests/cli/test_monitoring.py",
    r"bm init$": "asks questions on a terminal: tests/cli/test_init.py",
    r"bm test --deep": "asks on a terminal before it spends: tests/cli/test_test.py",
    r"bm config set ledger.url|bm ledger move": "needs a database: tests/cli/test_ledger.py",
    r"bm undo$": "asks on a terminal: tests/cli/test_changes.py",
    r"bm version --check": "asks the package index: tests/cli/test_version.py",
    r"bm service |bm init .*--service": "needs a service manager: tests/daemon/service",
    r"python -m bm.simulator|curl .*:9000": "runs until it is ended: tests/simulator/test_main.py",
}
"""Lines of blocks that are not run here: how they begin, and why, or which tests run them."""
TOML = r"^```toml\n(.*?)^```"
SHELL = re.compile(r"\$\(|[|<]|^curl ")


def lines(page: str) -> list[str]:
    """The commands in the blocks of a page, without comments and prompts."""
    found = []
    for kind, block in re.findall(r"^```(sh|console)\n(.*?)^```", PAGES[page].read_text(), re.MULTILINE | re.DOTALL):
        typed = block.replace("\\\n", " ").splitlines()
        if kind == "console":
            typed = [line[2:] for line in typed if line.startswith("$ ")]
        found += [re.sub(r"\s+#.*$", "", line).strip() for line in typed if not line.startswith("#")]
    return [line for line in found if line]


def reason(line: str) -> str:
    """Why a line is not run; empty for one that is."""
    return next((why for begins, why in NOT_RUN.items() if re.match(begins, line)), "")


def furnish(bm: Bm, paths: Paths, simulator: Simulator, added: set[str]) -> None:
    """The accounts, providers and files that the pages speak of, less those `added` by the page, and a request."""
    simulated = {"anthropic": "", "groq": "/groq/openai/v1", "together": "/together/v1", "openai": "/v1"}
    tables = [f'[providers.{name}]\nbase_url = "{simulator.url}{path}"' for name, path in simulated.items()]
    paths.config.write_text("\n".join([f'[gemini]\nbase_url = "{simulator.url}"', *tables]) + "\n")
    for name in sorted({"free", "paid", "large", "work"} - added):
        update(paths.accounts, lambda stored, name=name: stored.add(Account(name=name, key=PLANTED + name)))  # type: ignore[misc]
    for provider in ("anthropic", "groq"):
        account = Account(name="main", provider=provider, key=PLANTED + provider)
        update(paths.accounts, lambda stored, account=account: stored.add(account))  # type: ignore[misc]
        bm("providers", "mode", provider, "fallback")
    Path("keys.csv").write_text(f"name,key\nsecond,{PLANTED}-two\n")
    assert bm("ask", "hi").code == 0  # starts the daemon


def in_words(line: str, bm: Bm, simulator: Simulator) -> list[str]:
    """The words of a line, with what stands for something replaced by it."""
    words = shlex.split(line.replace("https://llm.example", f"{simulator.url}/acme"))
    if "ID" in words:
        words = [recording(bm) if word == "ID" else word for word in words]
    return words


def recording(bm: Bm) -> str:
    """The id of a recorded exchange."""
    bm("record", "on")
    for _ in range(50):
        bm("ask", "hi")
        if recorded := bm("record", "list", "--json").json["recordings"]:
            return str(recorded[0]["id"])
    raise AssertionError("nothing is recorded")


def in_a_shell(line: str, paths: Paths) -> subprocess.CompletedProcess[str]:
    """Run a line that only a shell understands, after `bm env`."""
    daemon = read(paths.runtime)
    assert daemon is not None
    text = f'bm() {{ {shlex.quote(sys.executable)} -m bm "$@"; }}\neval "$(bm env --shell bash)"\n{line}\n'
    return subprocess.run(["bash", "-ec", text], capture_output=True, text=True, check=False, env=dict(os.environ))


@pytest.mark.parametrize("page", [name for name in PAGES if any(not reason(line) for line in lines(name))])
def test_the_blocks_of_a_page_run(
    page: str, bm: Bm, paths: Paths, simulator: Simulator, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    furnish(bm, paths, simulator, {line.split()[-1] for line in lines(page) if line.startswith("bm accounts add ")})
    for line in lines(page):
        if reason(line):
            continue
        if SHELL.search(line):
            ran = in_a_shell(line, paths)
            assert ran.returncode == 0, (line, ran)
            continue
        done = bm(*in_words(line, bm, simulator)[1:], stdin=f"{PLANTED}-{page}\n")
        assert done.code == 0, (line, done)


def settings() -> list[tuple[str, str]]:
    """The blocks of settings, with their pages. Others are of Codex, or of accounts.toml."""
    blocks = [(page, text) for page, path in PAGES.items() for text in re.findall(TOML, path.read_text(), re.M | re.S)]
    return [(page, text) for page, text in blocks if not re.search("model_provider|local_key", text)]


@pytest.mark.parametrize(("page", "text"), settings())
def test_the_settings_in_a_page_are_valid(page: str, text: str, bm: Bm, paths: Paths) -> None:
    paths.config.write_text(text)
    for code in re.findall(TOML.replace("toml", "python"), PAGES[page].read_text(), re.M | re.S):
        paths.config.with_name("routes.py").write_text(code)
    ran = bm("config", "check")
    assert ran.code == 0, ran


def test_no_reason_outlives_its_line() -> None:
    every = [line for page in PAGES for line in lines(page)]
    assert [begins for begins in NOT_RUN if not any(re.match(begins, line) for line in every)] == []


@cache
def mentioned() -> dict[str, list[str]]:
    """The commands that stand in the text of pages, and in their blocks, with the pages."""
    found: dict[str, list[str]] = {}
    for name, path in PAGES.items():
        inline = re.findall(r"`(bm(?: (?!is )[^`]*)?)`", " ".join(path.read_text().split()))
        for text in (*inline, *(line for line in lines(name) if line.startswith("bm "))):
            found.setdefault(text, []).append(name)
    return found


ROOT_COMMAND: Any = typer.main.get_command(app)


def unknown(text: str) -> str:
    """The first word of a command that bm does not know: a command or an option; empty if it knows all."""
    command = ROOT_COMMAND
    try:
        words = shlex.split(re.sub(r"[…\[\]]", " ", text).partition("|")[0])[1:]
    except ValueError:
        return ""
    for word in words:
        below = getattr(command, "commands", {})
        if word == "--" or command.name == "run":  # the rest is the tool's
            break
        if word.startswith("-"):
            known = {name for each in command.params for name in (*each.opts, *each.secondary_opts)}
            if word.partition("=")[0] not in known | {"-h", "--help"}:
                return word
        elif below and not word.isupper() and word not in below:
            return word
        elif word in below:
            command = below[word]
    return ""


def test_every_command_in_the_text_is_one_that_bm_takes() -> None:
    assert len(mentioned()) > 100
    assert {text: (unknown(text), pages) for text, pages in mentioned().items() if unknown(text)} == {}


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("bm stauts", "stauts"),
        ("bm status --jason", "--jason"),
        ("bm providers mod groq", "mod"),
        ("bm ask 'x' -m y", ""),
    ],
)
def test_what_bm_does_not_take_is_found(text: str, wrong: str) -> None:
    assert unknown(text) == wrong
