"""`bm completion`: print what makes a shell complete bm's commands, or put it where the shell reads it."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import typer

from bm.cli import render

Shell = Literal["bash", "zsh", "fish", "pwsh"]


class Place(NamedTuple):
    """Where a shell's script is kept, and the line in one of the shell's start files that reads it, if it needs one."""

    script: Path
    start_file: Path | None = None
    line: str = ""


def completion(
    shell: Annotated[Shell | None, typer.Argument(help="Default: yours.", show_default=False)] = None,
    install: Annotated[bool, typer.Option("--install", help="Let this shell complete from its next start on.")] = False,
    uninstall: Annotated[bool, typer.Option("--uninstall", help="Take that back.")] = False,
) -> None:
    """Print what makes a shell complete bm's commands, or install it.

    Completes commands, options, and the names of your providers, accounts, models and settings.
    """
    from bm.cli.exits import UsageError
    from bm.cli.shells import SCRIPTS

    name = shell or _yours()
    if name not in SCRIPTS:
        raise UsageError(f"bm cannot complete in {name}; it can in {', '.join(SCRIPTS)}")
    if not install and not uninstall:
        render.line(SCRIPTS[name].rstrip())
        return
    place = _place(name)
    if uninstall:
        _remove(place)
        return
    place.script.parent.mkdir(parents=True, exist_ok=True)
    place.script.write_text(SCRIPTS[name], encoding="utf-8")
    render.line(f"{place.script}: written")
    if place.start_file and place.line not in _lines(place.start_file):
        place.start_file.parent.mkdir(parents=True, exist_ok=True)
        before = place.start_file.read_text(encoding="utf-8") if place.start_file.exists() else ""
        with place.start_file.open("a", encoding="utf-8") as file:
            file.write(f"{'' if before.endswith(chr(10)) or not before else chr(10)}{place.line}\n")
        render.line(f"{place.start_file}: now has the line {place.line}")
    render.line(f"start {name} anew, and the Tab key completes bm (bm completion {name} --uninstall takes it back)")


def _remove(place: Place) -> None:
    found = place.script.exists()
    place.script.unlink(missing_ok=True)
    with suppress(OSError):
        place.script.parent.rmdir()
    if place.start_file and place.line in _lines(place.start_file):
        found = True
        text = place.start_file.read_text(encoding="utf-8")
        kept = [each for each in text.splitlines(keepends=True) if each.strip() != place.line]
        place.start_file.write_text("".join(kept), encoding="utf-8")
    render.line("completion is removed" if found else "completion is not installed")


def _lines(file: Path) -> list[str]:
    return [each.strip() for each in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []


def _yours() -> str:
    from bm.clients.environment import detect

    return detect(os.environ, windows=sys.platform == "win32")


def _place(shell: str) -> Place:
    from bm.config.paths import in_home

    data = in_home(os.environ.get("XDG_DATA_HOME") or "~/.local/share")
    if shell == "fish":
        return Place(in_home(os.environ.get("XDG_CONFIG_HOME") or "~/.config") / "fish" / "completions" / "bm.fish")
    if shell == "bash":
        script = data / "bash-completion" / "completions" / "bm"
        return Place(script, in_home("~/.bashrc"), f'source "{script}"')
    if shell == "zsh":
        script = data / "zsh" / "site-functions" / "_bm"
        return Place(script, in_home(os.environ.get("ZDOTDIR") or "~") / ".zshrc", f'source "{script}"')
    profile = _profile()
    script = profile.with_name("bm-completion.ps1")
    return Place(script, profile, f'. "{script}"')


def _profile() -> Path:
    """PowerShell's start file, whose place only PowerShell knows."""
    import shutil
    import subprocess

    from bm.cli.exits import UsageError

    program = shutil.which("pwsh") or shutil.which("powershell")
    if program is None:
        raise UsageError("PowerShell is not installed here (bm completion pwsh prints what belongs in its $PROFILE)")
    words = [program, "-NoProfile", "-NonInteractive", "-Command", "$PROFILE"]
    return Path(subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip())
