"""Keys are in accounts.toml and config.toml, and nowhere else in what bm writes, sends or shows."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import httpx
import psutil
import pytest

from bm.accounts.account import Account
from bm.accounts.credentials import update
from bm.simulator import Rule, Simulator
from tests.attacks.stage import Stage, answered
from tests.gateway.world import PROTOCOLS, World
from tests.support.daemon import Daemon, daemon

POOL = ("planted-key-of-the-first-account-7Qx", "planted-key-of-the-second-account-9Zp")
STORED = "planted-key-of-a-stored-groq-account-3Rt"
CONFIGURED = "planted-key-of-the-configuration-5Mn"
HEADER = "planted-secret-of-a-header-8Yv"
PROXY = "planted-password-of-a-proxy-2Lk"
ENVIRONMENT = "planted-key-of-the-environment-4Wd"
COMMAND = "planted-key-of-a-command-6Hs"
FILE = "planted-key-of-a-file-1Bg"
URL = "planted-password-in-an-address-8Tc"
KEYS = (*POOL, STORED, CONFIGURED, ENVIRONMENT, COMMAND, FILE)
PLANTED = (*KEYS, HEADER, PROXY, URL)


def config(simulator: Simulator, folder: Path) -> str:
    (folder / "key.txt").write_text(f"{FILE}\n")
    return f"""
[record]
enabled = true
[log]
level = "debug"
[pool]
max_wait = 0
[upstream_proxy]
url = "http://user:{PROXY}@127.0.0.1:9"
no_proxy = ["*"]
[gemini]
base_url = "{simulator.url}"
[providers.anthropic]
enabled = true
mode = "fallback"
base_url = "{simulator.url}"
api_key = "{CONFIGURED}"
headers = {{ X-Team-Secret = "{HEADER}" }}
[providers.groq]
enabled = true
mode = "fallback"
base_url = "{simulator.url}/groq/openai/v1"
[providers.together]
enabled = true
mode = "fallback"
base_url = "{simulator.url}/together/v1"
api_key = "env:PLANTED_TOGETHER_KEY"
[providers.mistral]
enabled = true
mode = "fallback"
match_models = ["only-by-its-prefix"]
base_url = "{simulator.url}/mistral/v1"
api_key = "cmd:echo {COMMAND}"
[providers.deepseek]
enabled = true
mode = "fallback"
match_models = ["only-by-its-prefix"]
base_url = "{simulator.url}/deepseek"
api_key = "file:{folder / "key.txt"}"
[providers.xai]
enabled = true
mode = "fallback"
match_models = ["only-by-its-prefix"]
base_url = "http://user:{URL}@127.0.0.1:1/v1"
api_key = "a-key-that-is-not-used"
"""


def misuse(running: Daemon, simulator: Simulator, http: httpx.Client) -> str:
    """Cause everything that may quote a key; returns all answers."""
    world = World(simulator, running, http)
    answers = []
    for key in KEYS:
        # Upstreams quote keys in their errors, as words and within a stream.
        words = f"Incorrect API key provided: {key}. You can find your API key in the console."
        simulator.script(Rule(account=key, status=400, message=words), Rule(account=key, status=500, message=words))
        simulator.script(Rule(account=key, status=401, message=words), Rule(account=key, status=429, message=words))
    for _ in range(5):
        for protocol in PROTOCOLS:
            for stream in (True, False):
                answers.append(world.ask(protocol, stream=stream))
        answers.append(world.send("openai-chat", "/v1/chat/completions", b"{"))
        answers += [world.ask("openai-chat", f"{name}:x") for name in ("groq", "mistral", "deepseek", "xai")]
    reported = [str(answer.headers.raw) + answer.body.decode("utf-8", "replace") for answer in answers]
    assert any("does not accept the key" in text for text in reported), "the errors came through"
    for path in ("status", "accounts", "providers", "models", "usage", "requests", "why/last"):
        reported.append(http.get(f"/admin/{path}").text)
    for path, body in (("probe", {}), ("route", {"model": "opus"}), ("reload", {})):
        reported.append(http.post(f"/admin/{path}", json=body).text)
    reported += [http.get(path).text for path in ("/", "/metrics", "/healthz", "/readyz", "/v1/models")]
    running.paths.config.write_text(running.paths.config.read_text() + "\nbroken = [\n")
    reported.append(http.post("/admin/reload", json={}).text)
    return "\n".join(reported)


def written(home: Path, but: set[str]) -> dict[str, bytes]:
    """Every file under bm's folder, and what is in its databases."""
    found = {str(file): file.read_bytes() for file in home.rglob("*") if file.is_file() and file.name not in but}
    for file in [Path(name) for name in found if name.endswith(".db")]:
        with closing(sqlite3.connect(file)) as database:
            found[f"{file} as text"] = "\n".join(database.iterdump()).encode()
    return found


def test_no_key_is_written_shown_or_sent(bm_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTED_TOGETHER_KEY", ENVIRONMENT)
    accounts = {f"account-{number}": key for number, key in enumerate(POOL)}
    with Simulator() as simulator, daemon(bm_home, config(simulator, tmp_path), accounts) as running:
        stored = Account(name="spare", provider="groq", key=STORED)
        update(running.paths.accounts, lambda old: old.add(stored))
        local = running.key
        with httpx.Client(
            base_url=running.url, headers=running.headers, timeout=30, trust_env=False, verify=False
        ) as http:
            assert http.post("/admin/reload", json={}).json()["ok"]
            answered = misuse(running, simulator, http)
        process = psutil.Process(running.process.pid)
        arguments = json.dumps(process.cmdline())
        runtime = running.paths.runtime.read_text()
        asked = {record.account for record in simulator.log()}
    assert {key[-6:] for key in KEYS} <= asked, "every key was in use"
    places = written(bm_home, {"accounts.toml", "config.toml"})
    assert any(name.endswith("daemon.log") for name in places) and any("state.json" in name for name in places)
    texts = {"answers": answered, "arguments": arguments, "daemon.json": runtime}
    texts |= {name: content.decode("utf-8", "replace") for name, content in places.items()}
    leaks = [(name, secret) for name, text in texts.items() for secret in (local, *PLANTED) if secret in text]
    assert leaks == []


def quoting(key: str) -> dict[str, bytes]:
    """Answers of a hostile upstream in which the key of its request stands."""
    words = key.encode()
    return {
        "a page": answered(b"<title>key " + words + b"</title>" + words, "text/html", "403 Forbidden"),
        "a redirect": answered(words, "text/plain", "302 Found", f"location: http://127.0.0.1:1/?key={key}"),
        "a header": answered(
            b'{"error": "no"}', "application/json", "400 Bad", f"request-id: {key}", f"retry-after: {key}"
        ),
        "a reason": answered(b"{}", "application/json", f"500 {key}"),
        "an error under 200": answered(b'{"error": {"message": "%s", "code": "%s"}}' % (words, words)),
        "an error in JSON's escapes": answered(b'{"error": "\\u006b%s"}' % words[1:], status="400 Bad"),
        "an odd status": answered(words, "text/plain", "999 Denied"),
        "garbage": answered(b"data: {oh " + words + b"\n\n", "text/event-stream"),
        "an error event": answered(b'data: {"error": {"message": "%s"}}\n\n' % words, "text/event-stream"),
        "a trailer": b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        b"3\r\n{}\n\r\n0\r\nx-key: " + words + b"\r\n\r\n",
        "no HTTP": words,
        **escaping(key),
    }


def escaping(key: str) -> dict[str, bytes]:
    """Answers in which the key stands escaped, in JSON that is quoted in an error."""
    escaped = "".join(f"\\u{ord(character):04x}" for character in key)
    slashes = key.replace("/", "\\/")
    raw = json.dumps(f'{{"key": "{escaped}"}}')
    twice = json.dumps(json.dumps({"raw": f'{{"key": "{slashes}"}}'}))
    return {
        "escapes in a code": answered(
            f'{{"error": {{"message": "no", "code": "{escaped}"}}}}'.encode(), status="400 Bad"
        ),
        "escapes in quoted JSON": answered(
            f'{{"error": {{"message": {raw}, "metadata": {{"raw": {raw}}}}}}}'.encode(), status="500 Oh"
        ),
        "escapes in JSON quoted twice": answered(f'{{"error": {{"message": {twice}}}}}'.encode(), status="403 No"),
        "escapes in an error event": answered(
            f'data: {{"error": {{"message": {raw}}}}}\n\n'.encode(), "text/event-stream"
        ),
        "escapes in a page": answered(
            f"<title>{key.replace('-', '&#45;')}</title>{key.replace('-', '%2d')}".encode(), "text/html", "502 Oh"
        ),
    }


def meant(text: str) -> str:
    """The text without escapes."""
    text = re.sub(r"\\+u([0-9a-fA-F]{4})", lambda found: chr(int(found[1], 16)), text)
    return re.sub(r"\\+/", "/", text).replace("&#45;", "-").replace("%2d", "-")


@pytest.mark.parametrize("name", quoting(""))
@pytest.mark.parametrize("upstream", ["anthropic", "openai-chat"])
def test_a_key_that_an_upstream_quotes_comes_nowhere(stage: Stage, upstream: str, name: str) -> None:
    at = list(quoting("")).index(name)
    stage.set_up(upstream, rescued=False, secret=f"key-of-the/hostile-account-{at:04d}")
    stage.hostile.says = lambda asked: quoting(asked.key)[name]
    # Once in the client's own protocol, whose errors pass through, and once in another.
    answers = [stage.ask(client, stream=bool(at % 2)) for client in (PROTOCOLS[at % 4], upstream)]
    assert stage.hostile.asked and {asked.key for asked in stage.hostile.asked} == {stage.key}
    shown = [str(answer.headers.raw) + answer.body.decode("utf-8", "replace") for answer in answers]
    shown += [stage.http.get("/admin/why/last").text, stage.daemon.log()]
    recorded = written(stage.daemon.paths.config.parent, {"accounts.toml", "config.toml"})
    shown += [content.decode("utf-8", "replace") for content in recorded.values()]
    assert not [text for text in shown if stage.key in meant(text)]
