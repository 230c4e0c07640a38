"""`bm demo`: a simulator, a separate daemon, and requests that show which target answers them."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from bm.accounts.account import Account
from bm.accounts.credentials import Credentials, load, update
from bm.cli import admin, render
from bm.config.paths import Paths, make_folders
from bm.daemon.client import send
from bm.daemon.runtime import Daemon
from bm.daemon.start import start
from bm.daemon.stop import stop
from bm.errors import DaemonError

if TYPE_CHECKING:
    from bm.simulator import Simulator


class Question(NamedTuple):
    """A request in one protocol: its path, its body, and where the text is in the answer."""

    protocol: str
    path: str
    body: dict[str, Any]
    text: tuple[str | int, ...]


MODEL = "claude-sonnet-5-5"
QUESTIONS: tuple[Question, ...] = (
    Question(
        "Anthropic Messages",
        "/v1/messages",
        {"model": MODEL, "max_tokens": 64, "messages": [{"role": "user", "content": "hello"}]},
        ("content", 0, "text"),
    ),
    Question(
        "OpenAI Chat",
        "/v1/chat/completions",
        {"model": "gpt-5", "messages": [{"role": "user", "content": "hello"}]},
        ("choices", 0, "message", "content"),
    ),
    Question(
        "OpenAI Responses",
        "/v1/responses",
        {"model": "gpt-5", "input": "hello"},
        ("output", 0, "content", 0, "text"),
    ),
    Question(
        "Gemini",
        "/v1beta/models/gemini-3.8-flash:generateContent",
        {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]},
        ("candidates", 0, "content", "parts", 0, "text"),
    ),
)
"""One small request in each protocol."""
COOLDOWN = 3
"""Seconds that the simulated Gemini accounts are out of quota in the last step."""
_FOREIGN = re.compile(r"BM_.*|.*_(API_KEY|BASE_URL|API_BASE|AUTH_TOKEN|DISPATCH_MODE|ENABLED)|(HTTPS?|ALL)_PROXY", re.I)

_CONFIG = """\
# The configuration of `bm demo`: every provider is simulated.
[server]
port = 0

[gemini]
base_url = "{url}"

[providers.anthropic]
enabled = true
mode = "off"
base_url = "{url}"

[providers.groq]
enabled = true
mode = "off"
base_url = "{url}/groq/openai/v1"

[providers.together]
enabled = true
mode = "off"
base_url = "{url}/together/v1"
"""


class Served(NamedTuple):
    """Which target answered a request, from the response headers."""

    provider: str
    account: str
    model: str
    attempts: str


class Step(NamedTuple):
    """A mode to set, how many requests to send in it, and what to look for."""

    mode: str
    requests: int
    words: str
    spent: bool = False


STEPS = (
    Step("off", 4, "anthropic is never used: the Gemini accounts take turns"),
    Step("exclusive", 3, "anthropic alone serves what it matches"),
    Step("pooled", 12, "anthropic is one slot beside three accounts: on average one request in four"),
    Step("fallback", 3, "Gemini accounts first; anthropic is not needed"),
    Step("fallback", 3, f"the same with all Gemini accounts out of quota for {COOLDOWN} s", spent=True),
)


def walk(*, once: bool) -> None:
    """Show the modes, then wait for Ctrl-C unless `once`. Daemon, simulator and home are always removed.

    Raises:
        DaemonError: the daemon of the demo does not start, or a request fails.
    """
    from bm.simulator import Simulator

    with _signals() as ended, tempfile.TemporaryDirectory(prefix="bm-demo-") as folder, Simulator() as simulator:
        environ = _environment(Path(folder))
        paths = Paths.default(environ)
        _furnish(paths, simulator.url)
        try:
            daemon = start(paths, environ).daemon
            key = load(paths.accounts).local_key
            render.line(f"bm is running at {daemon.url} on simulated providers ({simulator.url}); home: {folder}")
            for step in STEPS:
                if not ended.is_set():
                    _show(step, daemon, key, simulator, paths)
            if not ended.is_set():
                _show_protocols(daemon, key)
            if not once and not ended.is_set():
                _invite(paths)
                _wait(ended)
        finally:
            stop(paths, 0, now=True)
    render.line("the demo is over; everything it created is removed")


def _environment(folder: Path) -> dict[str, str]:
    """This process's environment without the user's settings for bm, tools and proxies."""
    kept = {name: value for name, value in os.environ.items() if not _FOREIGN.fullmatch(name)}
    return {**kept, "BM_HOME": str(folder)}


def _furnish(paths: Paths, url: str) -> None:
    make_folders(paths)
    paths.config.write_text(_CONFIG.format(url=url), encoding="utf-8")
    owners = [*(("gemini", name) for name in ("ann", "ben", "cat")), *((p, "main") for p in ("anthropic", "groq"))]
    owners.append(("together", "main"))

    def fill(stored: Credentials) -> Credentials:
        for provider, name in owners:
            stored = stored.add(Account(name=name, provider=provider, key=f"demo-key-of-{provider}-{name}"))
        return stored

    update(paths.accounts, fill)


def _show(step: Step, daemon: Daemon, key: str, simulator: Simulator, paths: Paths) -> None:
    """Set the mode as the printed command would, then send the requests and print each answer."""
    render.line()
    render.line(f"$ bm providers mode anthropic {step.mode}")
    admin.change_settings(paths, {"providers.anthropic.mode": step.mode})
    render.line(step.words)
    if step.spent:
        rule = {"api": "gemini", "operation": "generate", "error": "rate_limit", "retry_after": COOLDOWN, "times": None}
        simulator.script(rule)
    count: Counter[str] = Counter()
    render.line(f"  {'request':<9}{'provider':<11}{'account':<9}{'attempts':<10}model")
    for number in range(1, step.requests + 1):
        messages = [{"role": "user", "content": f"request {number}"}]
        body = {"model": MODEL, "max_tokens": 64, "stream": True, "messages": messages}
        served, _ = _post(daemon, key, "/v1/messages", body)
        count[served.provider] += 1
        row = f"  {number:<9}{served.provider:<11}{served.account:<9}{served.attempts:<10}{served.model}"
        render.line(row)
    render.line("  " + ", ".join(f"{name} {times} of {step.requests}" for name, times in sorted(count.items())))
    if step.spent:
        simulator.reset()


def _post(daemon: Daemon, key: str, path: str, body: dict[str, Any]) -> tuple[Served, bytes]:
    """Send a request as a tool would.

    Raises:
        DaemonError: it does not succeed.
    """
    headers = {"content-type": "application/json", "anthropic-version": "2023-06-01"}
    status, found, answer = send(daemon, "POST", path, msgspec.json.encode(body), headers, key=key, timeout=60.0)
    if status != 200:
        raise DaemonError(f"a request to {path} got status {status}")
    return Served(*(found.get(f"x-bm-{name}", "-") for name in Served._fields)), answer


def _show_protocols(daemon: Daemon, key: str) -> None:
    """Send one request in each protocol and print the answer.

    Raises:
        DaemonError: a request fails.
    """
    render.line()
    render.line("one request in each protocol, answered in the same protocol")
    render.line(f"  {'protocol':<20}{'provider':<11}{'account':<9}answer")
    for question in QUESTIONS:
        served, answer = _post(daemon, key, question.path, question.body)
        text = msgspec.json.decode(answer)
        for step in question.text:
            text = text[step]
        render.line(f"  {question.protocol:<20}{served.provider:<11}{served.account:<9}{text}")


def _invite(paths: Paths) -> None:
    """Print lines to paste. They work without `bm` on PATH: a fresh clone has it only in its .venv."""
    home, command = str(paths.config.parent), _command()
    body = msgspec.json.encode(QUESTIONS[0].body).decode()
    render.line()
    if os.name == "nt":
        render.line("Try it from another PowerShell:")
        render.line(f"  $env:BM_HOME = '{home}'")
        render.line(f"  Set-Alias bm '{command}'")
        render.line("  bm env --shell pwsh | Out-String | Invoke-Expression")
    else:
        render.line("Try it from another terminal (bash, zsh):")
        render.line(f"  export BM_HOME={shlex.quote(home)}")
        render.line(f'  bm() {{ {shlex.quote(command)} "$@"; }}')
        render.line('  eval "$(bm env --shell bash)"')
        render.line('  curl -i --noproxy "*" "$ANTHROPIC_BASE_URL/v1/messages" \\')
        render.line("       -H \"authorization: Bearer $ANTHROPIC_AUTH_TOKEN\" -H 'content-type: application/json' \\")
        render.line(f"       -d '{body}'")
    render.line("  bm providers; bm accounts; bm route opus; bm test; bm providers mode groq exclusive")


def _command() -> str:
    """The path of this bm: as it was called, else next to this Python."""
    called = Path(sys.argv[0]).absolute()
    beside = Path(sys.executable).with_name("bm.exe" if os.name == "nt" else "bm")
    return str(called if called.stem == "bm" and called.is_file() else beside)


def _wait(ended: threading.Event) -> None:
    render.line()
    render.line("Ctrl-C ends the demo.")
    while not ended.wait(1.0):  # Windows handles signals only between waits
        pass


@contextlib.contextmanager
def _signals() -> Iterator[threading.Event]:
    """An event that Ctrl-C or SIGTERM sets. An exception instead could hit just after a process was started and leave
    it running."""
    ended = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        ended.set()

    previous = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield ended
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
