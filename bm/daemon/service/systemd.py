"""User units of systemd: systemd.unit(5), systemd.service(5), systemd.exec(5), loginctl(1)."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import socket
from collections.abc import Collection
from pathlib import Path

from bm.config.paths import in_home
from bm.daemon.service.manager import DESCRIPTION, Manager, State, Unavailable, Unit, run_checked, run_tool

TEMPLATE = """\
[Unit]
Description={description}
StartLimitIntervalSec=60
StartLimitBurst=5

[Service]
Type=exec
ExecStart={command}
ExecReload={reload}
NotifyAccess=all
WorkingDirectory=-{folder}
{environment}EnvironmentFile=-{variables}
UMask=0077
KillMode=mixed
TimeoutStopSec={grace}
Restart=on-failure
RestartSec=2
RestartPreventExitStatus=2

[Install]
WantedBy=default.target
"""
"""A daemon that was stopped exits with 0, one with invalid settings with 2; neither is restarted. Five failures within
a minute end the attempts. Reloading starts the next daemon, which reports itself as the main process."""

WANTED_BY = "default.target.wants"
_ENV = "/usr/bin/env"
_BOOTED = Path("/run/systemd/system")
_LINGER = Path("/var/lib/systemd/linger")
_PLAIN = re.compile(r"[\w@./+:=,-]+", re.ASCII)
_SHOWN = "LoadState,UnitFileState,ActiveState,SubState,MainPID,ExecMainStatus"


class Systemd(Manager):
    """Runs the daemon as a unit of the user's systemd instance."""

    title = "systemd"
    supervises = True
    remedy = "a line NAME=value in {variables}, readable only by you; then bm restart"

    def file(self, unit: Unit) -> Path:
        return _folder() / _unit(unit)

    def definition(self, unit: Unit) -> bytes:
        """The text of the unit. Paths are unquoted where systemd does not interpret quotes."""
        folder, variables = (str(path).replace("%", "%%") for path in (unit.folder, unit.variables))
        lines = [f"Environment={_quoted(f'{name}={value}')}\n" for name, value in unit.environment.items()]
        text = TEMPLATE.format(
            description=DESCRIPTION,
            command=_command(unit.command),
            reload=_command((unit.interpreter, "-P", "-m", "bm.daemon.restart")),
            folder=folder,
            environment="".join(lines),
            # systemd interprets it as a glob pattern.
            variables=re.sub(r"([*?\[\\])", r"\\\1", variables),
            grace=unit.grace,
        )
        return text.encode()

    def interpreter(self, content: bytes) -> str:
        found = re.search(r"^ExecStart=(.*)$", content.decode(errors="replace"), re.MULTILINE)
        try:
            words = shlex.split(found[1].replace("%%", "%")) if found else []
        except ValueError:
            return ""
        if words[:1] == [_ENV]:
            return words[1].replace("$$", "$") if len(words) > 1 else ""
        return words[0] if words else ""

    def check(self) -> None:
        """Check that this login has a systemd instance."""
        try:
            ran = run_tool("systemctl", "--user", "show-environment")
        except Unavailable:
            raise Unavailable(f"this system has no systemd: {_INSTEAD}") from None
        if ran.code == 0:
            return
        if not _BOOTED.is_dir():
            raise Unavailable(f"systemd is not running here: {_WSL if _is_wsl() else _INSTEAD}")
        raise Unavailable(f"systemd has no instance for this login ({ran.words}): {_NO_INSTANCE.format(user=_user())}")

    def register(self, unit: Unit) -> None:
        """Read the unit file and enable it at login."""
        run_checked("systemctl", "--user", "daemon-reload")
        run_checked("systemctl", "--user", "enable", _unit(unit))

    def forget(self, unit: Unit) -> list[Path]:
        """Remove the unit file and its link; reset the unit's state if there is an instance."""
        removed = []
        for file in (_folder() / WANTED_BY / _unit(unit), self.file(unit)):
            if file.is_symlink() or file.exists():
                file.unlink()
                removed.append(file)
        if run_tool("systemctl", "--user", "daemon-reload").code == 0:
            run_tool("systemctl", "--user", "reset-failed", _unit(unit))
        return removed

    def start(self, unit: Unit) -> None:
        """Start the unit and reset its failure count."""
        run_tool("systemctl", "--user", "reset-failed", _unit(unit))
        run_checked("systemctl", "--user", "start", _unit(unit))

    def stop(self, unit: Unit) -> None:
        """Stop the unit, also between two start attempts."""
        run_checked("systemctl", "--user", "stop", _unit(unit))

    def can_hand_over(self, content: bytes) -> bool:
        return b"\nExecReload=" in content

    def hand_over(self, unit: Unit) -> None:
        """Run the unit's reload command, with its present environment."""
        run_checked("systemctl", "--user", "reload", _unit(unit))

    def state(self, unit: Unit) -> State:
        ran = run_tool("systemctl", "--user", "show", _unit(unit), f"--property={_SHOWN}")
        if ran.code:
            return State(words=ran.words or "unknown")
        facts = dict(line.split("=", 1) for line in ran.out.splitlines() if "=" in line)
        active, sub = facts.get("ActiveState", "unknown"), facts.get("SubState", "")
        pid, code = (int(facts.get(name) or 0) for name in ("MainPID", "ExecMainStatus"))
        return State(
            words=f"{active} ({sub})" if sub and sub != active else active,
            known=facts.get("LoadState") == "loaded",
            enabled=facts.get("UnitFileState") == "enabled",
            running=active == "active",
            failed=active == "failed" or sub == "auto-restart",
            pid=pid or None,
            exit_code=None if pid else code,
        )

    def when(self) -> str:
        """At boot for a lingering user, else at login."""
        if (_LINGER / _user()).exists():
            return "when the machine starts"
        linger = f"loginctl enable-linger {_user()}"
        return f"when you log in, and ends when you have logged out ({linger} lets it run from boot on)"

    def knows(self, unit: Unit, variables: Collection[str]) -> set[str]:
        lines = run_tool("systemctl", "--user", "show-environment").out.splitlines()
        with contextlib.suppress(OSError):
            lines += unit.variables.read_text(encoding="utf-8", errors="replace").splitlines()
        return {line.partition("=")[0].strip() for line in lines}.intersection(variables)


def become_main_process() -> None:
    """Report this process as the main one of its service, if systemd runs it: sd_notify(3). Must come before the
    present main process ends, which would end the service."""
    place = os.environ.get("NOTIFY_SOCKET", "")
    if not place:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender, contextlib.suppress(OSError):
        sender.sendto(f"MAINPID={os.getpid()}".encode(), place.replace("@", "\0", 1) if place[0] == "@" else place)


_INSTEAD = "let another supervisor run `bm start --foreground`, or run `bm start` after each login"
_WSL = "put `[boot] systemd=true` into /etc/wsl.conf, run `wsl --shutdown` on Windows and try again"
_NO_INSTANCE = (
    "log in as {user} directly, not with su or sudo; over ssh, `sudo loginctl enable-linger {user}` and a new login"
)


def _folder() -> Path:
    home = os.environ.get("XDG_CONFIG_HOME")
    return (Path(home) if home else in_home("~/.config")) / "systemd" / "user"


def _unit(unit: Unit) -> str:
    return f"{unit.name}.service"


def _command(words: tuple[str, ...]) -> str:
    """A command line. systemd refuses quotes and backslashes in the program's path, and expands variables in all other
    words."""
    program, *arguments = (_ENV, *words) if set(words[0]) & set("\"'\\") else words
    return " ".join([_quoted(program), *(_quoted(word).replace("$", "$$") for word in arguments)])


def _quoted(word: str) -> str:
    """A word of a unit file, quoted where necessary, with specifiers escaped."""
    escaped = word.replace("%", "%%")
    if _PLAIN.fullmatch(word):
        return escaped
    escaped = escaped.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _user() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def _is_wsl() -> bool:
    try:
        return "microsoft" in Path("/proc/version").read_text(encoding="utf-8", errors="replace").lower()
    except OSError:
        return False
