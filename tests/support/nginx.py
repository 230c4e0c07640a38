"""A real nginx with the configuration of deploy/, where it is installed."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.rules.source import ROOT

CONFIGURATION = ROOT / "deploy" / "nginx.conf"
needs_nginx = pytest.mark.skipif(shutil.which("nginx", path="/usr/sbin:/usr/bin") is None, reason="nginx is not here")
_MAIN = """
daemon off;
{user}
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/default.conf;
}}
"""


def adapted(nodes: Sequence[str], port: int) -> str:
    """The configuration with other nodes (`HOST:PORT`), and the port on which nginx listens."""
    text = CONFIGURATION.read_text(encoding="utf-8")
    named = re.findall(r"^    server (\S+:\d+) ", text, re.MULTILINE)
    assert len(named) == len(nodes), "as many nodes as it names"
    for name, node in zip(named, nodes, strict=True):
        text = text.replace(f"server {name} ", f"server {node} ")
    assert "    listen 80;" in text
    return text.replace("    listen 80;", f"    listen 127.0.0.1:{port};")


@contextmanager
def nginx(folder: Path, configuration: str, port: int) -> Iterator[str]:
    """Run it in front of nodes, listening on a port of 127.0.0.1; yields its address."""
    (folder / "default.conf").write_text(configuration, encoding="utf-8")
    # Root's nginx would give its workers to another user, who cannot write below the folder.
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(_MAIN.format(folder=folder, user=user), encoding="utf-8")
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin")
    assert program is not None
    with (folder / "output.txt").open("wb") as output:
        command = [program, "-p", str(folder), "-e", f"{folder}/error.log", "-c", f"{folder}/nginx.conf"]
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        limit = time.monotonic() + 20
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            assert process.poll() is None, (folder / "output.txt").read_text() + (folder / "error.log").read_text()
            assert time.monotonic() < limit, "nginx does not listen"
            time.sleep(0.02)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)
