"""HTTPS by certificate paths: what is refused at the start, what is renewed, and that everything speaks it."""

from __future__ import annotations

import logging
import os
import ssl
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from bm.config.schema import Server
from bm.daemon.client import find
from bm.errors import ConfigError
from bm.server.tls import Certificate
from bm.simulator import Simulator
from tests.gateway.world import World
from tests.support.daemon import daemon
from tests.support.waiting import soon
from tests.upstream.certificates import Authority


def pair(folder: Path, name: str, authority: Authority) -> tuple[Path, Path]:
    """The files of a certificate and its key."""
    authority.server(name, "localhost")
    both = (authority.folder / f"{name}.pem").read_text()
    at = both.index("-----BEGIN CERTIFICATE")
    cert, key = folder / f"{name}.crt", folder / f"{name}.key"
    cert.write_text(both[at:])
    key.write_text(both[:at])
    return cert, key


def shown(url: str, authority: Authority) -> str:
    """The serial number of the certificate that a new connection gets."""
    context = ssl.create_default_context(cafile=str(authority.bundle))
    with httpx.Client(verify=context, trust_env=False) as http, http.stream("GET", url) as answer:
        found = answer.extensions["network_stream"].get_extra_info("ssl_object").getpeercert()
    return str(found["serialNumber"])


def test_what_cannot_be_used_is_refused_with_its_place(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    cert, key = pair(tmp_path, "one.example", authority)
    _, other = pair(tmp_path, "two.example", authority)
    broken = tmp_path / "broken.pem"
    broken.write_text("no PEM")
    for given, place, words in (
        ((tmp_path / "none.crt", key), "server.tls_cert", "none.crt: No such file"),
        ((cert, tmp_path / "none.key"), "server.tls_key", "none.key: No such file"),
        ((cert, other), "server.tls_cert", "another certificate"),
        ((broken, key), "server.tls_cert", "PEM"),
    ):
        with pytest.raises(ConfigError, match=words) as raised:
            Certificate(Server(tls_cert=str(given[0]), tls_key=str(given[1])))
        assert raised.value.key == place


def test_a_half_renewed_certificate_is_not_shown(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    authority = Authority(tmp_path)
    cert, key = pair(tmp_path, "one.example", authority)
    certificate = Certificate(Server(tls_cert=str(cert), tls_key=str(key)))
    new, its_key = pair(tmp_path, "two.example", authority)
    cert.write_bytes(new.read_bytes())
    with caplog.at_level(logging.INFO):
        certificate.renew()
        assert "is not used, the previous one stays" in caplog.text and "is in use" not in caplog.text
        key.write_bytes(its_key.read_bytes())
        certificate.renew()
    assert "is in use" in caplog.text


def test_everything_speaks_https(bm_home: Path, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    cert, key = pair(tmp_path, "localhost", authority)
    config = f'[server]\nhost = "localhost"\ntls_cert = "{cert}"\ntls_key = "{key}"\n[gemini]\nbase_url = '
    with Simulator() as simulator, daemon(bm_home, f'{config}"{simulator.url}"\n', {"one": "key-one-one"}) as running:
        assert running.url.startswith("https://localhost:")
        found = find(running.paths)
        assert found is not None and found.answers, "the command line knows it by its token"
        context = ssl.create_default_context(cafile=str(authority.bundle))
        with httpx.Client(base_url=running.url, headers=running.headers, verify=context, trust_env=False) as http:
            for stream in (True, False):
                assert World(simulator, running, http).ask("anthropic", stream=stream).complete
        environ = {**os.environ, "BM_HOME": str(bm_home)}
        ran = subprocess.run([sys.executable, "-m", "bm", "env"], env=environ, capture_output=True, text=True)
        assert f"ANTHROPIC_BASE_URL={running.url}" in ran.stdout.replace("'", "").replace('"', "")
        before = shown(f"{running.url}/healthz", authority)
        (renewals := tmp_path / "renewals").mkdir()
        renewed, its_key = pair(renewals, "localhost", authority)
        cert.write_bytes(renewed.read_bytes())
        key.write_bytes(its_key.read_bytes())
        assert soon(lambda: shown(f"{running.url}/healthz", authority) != before)
        cert.unlink()
        ran = subprocess.run([sys.executable, "-m", "bm", "restart"], env=environ, capture_output=True, text=True)
        assert ran.returncode == 2 and "server.tls_cert" in ran.stderr
        assert find(running.paths).answers, "it serves on"  # type: ignore[union-attr]
