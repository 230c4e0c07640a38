"""State that survives a restart."""

from __future__ import annotations

import stat
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from bm import tasks
from bm.accounts.state_file import state_path
from bm.chat.signature import Signature
from bm.config.paths import Paths, make_folders
from bm.gateway.allowance import catch_up
from bm.gateway.services import Services
from bm.gateway.settings import read_settings
from bm.gateway.stores import Kept
from bm.server import state
from bm.server.state import (
    INTERVAL,
    SavedState,
    append_signatures,
    read_signatures,
    rewrite_signatures,
    signatures_path,
)
from bm.simulator import Rule, Simulator
from bm.simulator.rules import Usage
from tests.support.daemon import Daemon, daemon
from tests.support.postgres import Server


def ask(running: Daemon) -> httpx.Response:
    """Send a request of one conversation."""
    headers = {**running.headers, "x-session-id": "the session"}
    body = {"contents": [{"parts": [{"text": "hello"}]}]}
    with httpx.Client(base_url=running.url, timeout=60, trust_env=False, verify=False) as http:
        return http.post("/v1beta/models/gemini-2.5-flash:generateContent", json=body, headers=headers)


def test_cooldowns_and_conversations_survive_a_restart(bm_home: Path) -> None:
    accounts = {"one": "key-of-the-account-one", "two": "key-of-the-account-two"}
    with Simulator() as simulator:
        config = f'[gemini]\nbase_url = "{simulator.url}"\n'
        simulator.script(Rule(status=429, retry_info="600s"))
        with daemon(bm_home, config, accounts) as running:
            served = ask(running).headers["x-bm-account"]
        with daemon(bm_home, config) as running:
            again = ask(running)
        assert (again.headers["x-bm-account"], again.headers["x-bm-attempts"]) == (served, "1")
    file = state_path(Paths.under(bm_home))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert not [key for key in accounts.values() if key in file.read_text()]


def test_a_remedy_survives_a_restart(bm_home: Path) -> None:
    headers = {"content-type": "application/json"}
    body = {"model": "acme:small", "messages": [{"role": "user", "content": "hi"}], "top_k": 64, "max_tokens": 9}
    with Simulator() as simulator:
        provider = f'[providers.acme]\nprotocol = "openai-chat"\nbase_url = "{simulator.url}/acme"\napi_key = "the-key"'
        config = f'{provider}\nenabled = true\nmode = "fallback"\n'
        simulator.script(Rule(status=400, message="top_k: Input should be less than or equal to 40"))
        for attempts in ("2", "1"):
            with daemon(bm_home, config) as running:
                with httpx.Client(base_url=running.url, timeout=60, trust_env=False) as http:
                    answer = http.post("/v1/chat/completions", json=body, headers=headers | running.headers)
                assert (answer.status_code, answer.headers["x-bm-attempts"]) == (200, attempts)
        assert [call.body["top_k"] for call in simulator.log() if call.operation == "generate"] == [64, 40, 40]


def test_a_context_limit_learned_from_an_error_survives_a_restart(bm_home: Path) -> None:
    """A request beyond the limit is not sent again, and the client gets the reason."""
    headers = {"content-type": "application/json"}
    body = {"model": "acme:small", "messages": [{"role": "user", "content": "word " * 20_000}]}
    words = "This model's maximum context length is 8192 tokens. However, your messages resulted in 20013 tokens."
    with Simulator() as simulator:
        provider = f'[providers.acme]\nprotocol = "openai-chat"\nbase_url = "{simulator.url}/acme"\napi_key = "the-key"'
        config = f'{provider}\nenabled = true\nmode = "fallback"\n'
        simulator.script(Rule(path="/acme", error="context_too_long", message=words))
        answers = []
        for _ in range(2):
            with daemon(bm_home, config) as running:
                url = f"{running.url}/v1/chat/completions"
                answers.append(
                    httpx.post(url, json=body, headers=headers | running.headers, timeout=10, trust_env=False)
                )
        sent = [exchange for exchange in simulator.log() if exchange.path.endswith("/chat/completions")]
    assert [answer.status_code for answer in answers] == [400, 400]
    assert [answer.json()["error"]["code"] for answer in answers] == ["context_length_exceeded"] * 2
    assert "8192" in answers[1].json()["error"]["message"]
    assert len(sent) == 1


def test_outcomes_of_a_request_in_progress_survive_a_kill(bm_home: Path) -> None:
    accounts = {"one": "key-of-the-account-one", "two": "key-of-the-account-two"}
    with Simulator() as simulator:
        config = f'[gemini]\nbase_url = "{simulator.url}"\n'
        refusal = Rule(status=429, retry_info="600s", head_delay=INTERVAL + 1.0)
        simulator.script(refusal, Rule(first_token_delay=60))
        with daemon(bm_home, config, accounts) as running, ThreadPoolExecutor(1) as client:
            lost = client.submit(ask, running)
            simulator.wait(lambda log: len(log) == 2, 3 * INTERVAL)
            refused = simulator.log()[0].account
            file, limit = state_path(Paths.under(bm_home)), time.monotonic() + 4 * INTERVAL
            while b"600" not in (file.read_bytes() if file.exists() else b""):
                assert time.monotonic() < limit, "never written"
                time.sleep(0.1)
            running.process.kill()
            assert isinstance(lost.exception(), httpx.HTTPError)
        with daemon(bm_home, config) as running:
            assert {ask(running).headers["x-bm-attempts"] for _ in range(2)} == {"1"}
        assert [record.account for record in simulator.log()].count(refused) == 1


def test_what_was_spent_is_known_after_a_restart_without_the_database(bm_home: Path, postgres: Server) -> None:
    with Simulator() as simulator:
        config = f"""
[gemini]
base_url = "{simulator.url}"
[ledger]
url = "{postgres.new_database()}"
[budgets]
total = "1k tokens/day"
"""
        simulator.script(Rule(usage=Usage(input=1500, output=20), times=None))
        with daemon(bm_home, config, {"one": "key-of-the-account-one"}) as running:
            assert ask(running).status_code == 200
        postgres.kill()
        try:
            with daemon(bm_home, config) as running:
                refused = ask(running)
                status = httpx.get(f"{running.url}/admin/status", headers=running.headers).json()
        finally:
            postgres.start()
    assert refused.status_code == 400 and "1k tokens/day, is spent (1,520 tokens)" in refused.text
    assert any("budgets count from what this node has saved" in each for each in status["failures"])


async def test_budgets_follow_the_ledger_once_it_can_be_read(bm_home: Path, free_port: int) -> None:
    paths = Paths.under(bm_home)
    make_folders(paths)
    paths.config.write_text('[budgets]\ntotal = "9/day"\n', encoding="utf-8")
    services = Services(read_settings(paths))
    saved = SavedState(paths, services)
    try:
        (budget,) = services.spending
        budget.use(2.0)
        await saved.save()
        later = Services(read_settings(paths))
        SavedState(paths, later).restore()
        (again,) = later.spending
        await catch_up(later, f"postgresql://bm@127.0.0.1:{free_port}/bm")
        assert (again.spent, later.spending.unread) == (2.0, [again])
        assert any("until the ledger can be read" in each for each in tasks.failures())
        await catch_up(later, paths.ledger)
        assert (again.spent, later.spending.unread) == (0.0, [])
        assert not any("until the ledger can be read" in each for each in tasks.failures())
        await later.close()
    finally:
        await services.close()


async def test_state_that_cannot_be_written_is_logged(bm_home: Path, caplog: pytest.LogCaptureFixture) -> None:
    paths = Paths.under(bm_home)
    make_folders(paths)
    services = Services(read_settings(paths))
    saved = SavedState(paths, services)
    state_path(paths).mkdir()
    try:
        await saved.save()
        saved.restore()
    finally:
        await services.close()
    assert "cannot be written" in caplog.text


ONE = Kept("one", Signature("gemini", "c2ln", "gemini"))
TWO = Kept("two", Signature("anthropic", "EqQB"))


def test_signatures_are_read_in_order(tmp_path: Path) -> None:
    path = tmp_path / "new" / "signatures.jsonl"
    assert read_signatures(path) == ([], 0)
    append_signatures(path, [ONE])
    size = append_signatures(path, [TWO])
    assert read_signatures(path) == ([ONE, TWO], 0) and size == path.stat().st_size
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_incomplete_line_is_skipped_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "signatures.jsonl"
    append_signatures(path, [ONE, TWO])
    whole = path.read_bytes()
    path.write_bytes(whole[:-9] + b"\n" + whole)
    assert read_signatures(path) == ([ONE, ONE, TWO], 1)


@pytest.mark.parametrize("content", [b"", b'{"version": 2, "acc', b"\0" * 300, b"\xff\xfe"])
@pytest.mark.parametrize("name", ["state.json", "models.json", "budgets.json", "signatures.jsonl"])
async def test_a_damaged_file_is_reported_and_kept(bm_home: Path, name: str, content: bytes) -> None:
    paths = Paths.under(bm_home)
    make_folders(paths)
    file = paths.ledger.with_name(name)
    file.write_bytes(content)
    services = Services(read_settings(paths))
    SavedState(paths, services).restore()
    await services.close()
    empty = name == "signatures.jsonl" and not content
    assert [str(file) in each for each in tasks.failures()] == [True] * (not empty)
    if name == "signatures.jsonl":
        assert read_signatures(file) == ([], 0)
    else:
        assert file.with_name(f"{name}.damaged").read_bytes() == content and not file.exists()


def test_rewriting_replaces_all_signatures(tmp_path: Path) -> None:
    path = tmp_path / "signatures.jsonl"
    append_signatures(path, [ONE, ONE, ONE])
    rewrite_signatures(path, [TWO])
    assert read_signatures(path) == ([TWO], 0)


async def test_signatures_survive_a_restart_within_bounds(bm_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = Paths.under(bm_home)
    make_folders(paths)
    settings = read_settings(paths)
    first, second = Services(settings), Services(settings)
    try:
        first.signatures.keep({"one": ONE.signature})
        saved = SavedState(paths, first)
        await saved.save()
        monkeypatch.setattr(state, "SIGNATURES_BYTES", 10)
        first.signatures.keep({"two": TWO.signature})
        await saved.save()
        assert read_signatures(signatures_path(paths)) == ([TWO], 0), "the younger half of what fits"
        SavedState(paths, second).restore()
        assert second.signatures.latest(100) == [TWO]
    finally:
        await first.close()
        await second.close()


def test_a_torn_line_does_not_eat_the_next_one(tmp_path: Path) -> None:
    path = tmp_path / "signatures.jsonl"
    path.write_bytes(b'{"torn": 1')
    size = append_signatures(path, [])
    assert path.read_bytes() == b'{"torn": 1\n'
    assert size == path.stat().st_size == append_signatures(path, [])
