"""deploy/Containerfile is built and run where a builder and its base image are at hand; building fetches packages.

CONTAINER_BASE names another image with Python 3.11 or newer and venv, such as one made with debootstrap.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.rules.source import ROOT

CONTAINERFILE = ROOT / "deploy" / "Containerfile"
BASE = os.environ.get("CONTAINER_BASE") or re.findall(r"^ARG BASE=(.*)$", CONTAINERFILE.read_text(), re.MULTILINE)[0]
TAG = "better-manager-under-test"
ANSWERS = {
    "docker": ("docker", "image", "inspect", BASE),
    "podman": ("podman", "image", "exists", BASE),
    "buildah": ("buildah", "inspect", "--type", "image", BASE),
}
"""What succeeds where an engine works and has the base image."""


def run(*command: str, check: bool = True, **environ: str) -> str:
    """What a command prints."""
    env = {**os.environ, **environ}
    return subprocess.run(command, check=check, cwd=ROOT, env=env, capture_output=True, text=True, timeout=600).stdout


@pytest.fixture(scope="module")
def engine() -> str:
    """The first engine that can build here."""
    for name, question in ANSWERS.items():
        if shutil.which(name) and subprocess.run(question, capture_output=True, check=False).returncode == 0:
            kept = [] if name == "docker" else ["--format", "docker"]
            run(name, "build", *kept, "-t", TAG, "--build-arg", f"BASE={BASE}", "-f", str(CONTAINERFILE), str(ROOT))
            return name
    pytest.skip(f"neither docker, podman nor buildah is here with the image {BASE}")


def wait_for(url: str) -> str:
    limit = time.monotonic() + 30
    while True:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5) as response:
            return str(response.read().decode())
        assert time.monotonic() < limit, f"{url} does not answer"
        time.sleep(0.2)


@contextlib.contextmanager
def contained(engine: str, port: int) -> Iterator[list[str]]:
    """A container that runs, as the words that run a command in it. Asked to stop, it ends with 0."""
    if engine == "buildah":  # shares the network of this machine, and keeps its files from one command to the next
        with in_chroot(port) as words:
            yield words
        return
    container = run(engine, "run", "--detach", "--publish", f"127.0.0.1:{port}:8094", TAG).strip()
    try:
        yield [engine, "exec", container]
        run(engine, "stop", container)
        assert run(engine, "inspect", "--format", "{{.State.ExitCode}}", container).strip() == "0"
    finally:
        run(engine, "rm", "--force", "--volumes", container)


@contextlib.contextmanager
def in_chroot(port: int) -> Iterator[list[str]]:
    container = run("buildah", "from", TAG).strip()
    words = ["buildah", "run", "--env", f"BM_SERVER_PORT={port}", container, "--"]
    image = json.loads(run("buildah", "inspect", "--type", "image", TAG))["Docker"]["config"]
    process = subprocess.Popen([*words, *image["Entrypoint"], *image["Cmd"]], stderr=subprocess.DEVNULL)
    try:
        wait_for(f"http://127.0.0.1:{port}/healthz")
        yield words
        below = psutil.Process(process.pid).children(recursive=True)
        (daemon,) = [each for each in below if "python" in each.cmdline()[0]]
        daemon.terminate()
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        run("buildah", "rm", container)


def test_the_image_runs_and_stops(engine: str, free_port: int) -> None:
    with contained(engine, free_port) as inside:
        assert json.loads(wait_for(f"http://127.0.0.1:{free_port}/healthz")) == {"status": "ok"}
        status = json.loads(run(*inside, "bm", "status", "--json"))
        assert status["running"] is True
        assert run(*inside, "id", "-u").strip() == "10001"
        assert run(*inside, "stat", "-c", "%U %a", "/data/accounts.toml").strip() == "bm 600"
        assert run(*inside, "sh", "-c", "touch /opt/bm/x 2>/dev/null || echo refused").strip() == "refused"


def test_its_health_is_asked_of_bm(engine: str) -> None:
    kind = {"docker": ("image", "inspect"), "podman": ("image", "inspect"), "buildah": ("inspect", "--type", "image")}
    text = run(engine, *kind[engine], TAG)
    assert re.search(r'"Test":\s*\[\s*"CMD",\s*"bm",\s*"status"\s*\]', text)


def test_the_files_fit_together() -> None:
    """Where nothing can be built: what the Containerfile copies exists; compose.one.yaml names it and its volume."""
    text = CONTAINERFILE.read_text()
    copied = [name for line in re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.MULTILINE) for name in line.split()]
    assert copied and [name for name in copied if not (ROOT / name).exists()] == []
    compose = (Path(ROOT) / "deploy" / "compose.one.yaml").read_text()
    assert "dockerfile: deploy/Containerfile" in compose
    assert re.search(r"^VOLUME (.*)$", text, re.MULTILINE).group(1) in compose  # type: ignore[union-attr]
