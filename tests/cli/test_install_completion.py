"""`bm completion` puts a script where the shell reads it, and takes away exactly that."""

from __future__ import annotations

from pathlib import Path

import pytest

from bm.cli.shells import SCRIPTS
from tests.cli.conftest import Bm


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "ZDOTDIR"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.mark.parametrize("shell", sorted(SCRIPTS))
def test_a_script_is_printed(bm: Bm, shell: str) -> None:
    assert bm("completion", shell).out.strip() == SCRIPTS[shell].strip()


@pytest.mark.parametrize(
    ("shell", "start_file", "script"),
    [
        ("bash", ".bashrc", ".local/share/bash-completion/completions/bm"),
        ("zsh", ".zshrc", ".local/share/zsh/site-functions/_bm"),
    ],
)
def test_a_start_file_gets_one_line_and_loses_it(bm: Bm, home: Path, shell: str, start_file: str, script: str) -> None:
    file = home / start_file
    file.write_text("alias x=y")
    for _ in range(2):
        assert bm("completion", shell, "--install").code == 0
    assert file.read_text() == f'alias x=y\nsource "{home / script}"\n'
    assert (home / script).read_text() == SCRIPTS[shell]
    bm("completion", shell, "--uninstall")
    assert file.read_text() == "alias x=y\n"
    assert not (home / script).exists()
    assert "not installed" in bm("completion", shell, "--uninstall").out


def test_fish_needs_no_start_file(bm: Bm, home: Path) -> None:
    assert bm("completion", "fish", "--install").code == 0
    assert (home / ".config/fish/completions/bm.fish").exists()


def test_your_shell_is_the_default(bm: Bm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL", "/usr/bin/fish")
    assert bm("completion").out.strip() == SCRIPTS["fish"].strip()
