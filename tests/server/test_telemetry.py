"""Traces and metrics, as a real collector receives them; where there is none, they cost nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from bm.errors import ConfigError
from bm.gateway.record import Record
from bm.server.telemetry import MOST_WAITING, Telemetry
from bm.simulator import Rule, Simulator
from tests.gateway.world import World
from tests.support.collector import Collector, attributes, collector
from tests.support.daemon import Daemon, daemon
from tests.support.waiting import soon

SECRET = "sk-ant-api03-that-a-client-wrote-into-the-name-of-a-model-0123456789abcdefghijklmnop"

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "50")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.3")


def settings(simulator: Simulator, endpoint: str) -> str:
    shared = '[shared]\nnode = "node-a"\n'
    return f'{shared}[gemini]\nbase_url = "{simulator.url}"\n[telemetry]\nendpoint = "{endpoint}"\n'


def client(running: Daemon) -> httpx.Client:
    return httpx.Client(base_url=running.url, headers=running.headers, trust_env=False)


def by_kind(found: Collector) -> tuple[list[Any], list[Any]]:
    """The spans of requests, and those of upstream calls, in the order of their starts."""
    spans = sorted(found.spans(), key=lambda each: each.start_time_unix_nano)
    return [each for each in spans if each.kind == 2], [each for each in spans if each.kind == 3]


def test_a_request_and_its_attempts_are_spans(bm_home: Path) -> None:
    accounts = {"one": "key-of-the-account-one", "two": "key-of-the-account-two"}
    with Simulator() as simulator, collector() as found:
        simulator.script(Rule(error="rate_limit"), Rule(text="the answer"))
        with daemon(bm_home, settings(simulator, found.url), accounts) as running, client(running) as http:
            world = World(simulator, running, http)
            assert world.ask("anthropic", text="the prompt", headers={"traceparent": TRACE}).complete
            assert world.ask("gemini", model=SECRET).status != 500
        requests, calls = by_kind(found)
        request, second = requests
        facts = attributes(request)
        assert request.name == "POST /v1/messages" and request.status.code == 0
        assert (facts["http.response.status_code"], facts["bm.attempts"], facts["bm.key"]) == (200, 2, "main")
        assert facts["gen_ai.provider.name"] == "gcp.gemini" and facts["bm.request.id"].startswith("req_")
        refused, answered = calls[:2]
        assert f"00-{request.trace_id.hex()}-{request.parent_span_id.hex()}-01" == TRACE, "the client's trace goes on"
        for call in (refused, answered):
            assert (call.trace_id, call.parent_span_id) == (request.trace_id, request.span_id)
            assert request.start_time_unix_nano <= call.start_time_unix_nano <= call.end_time_unix_nano
            assert attributes(call)["gen_ai.operation.name"] == "generate_content"
        assert answered.name == f"generate_content {attributes(answered)['gen_ai.request.model']}"
        assert refused.status.code == 2 and attributes(refused)["error.type"] == "rate_limited"
        assert answered.status.code == 0 and attributes(answered)["gen_ai.usage.input_tokens"] > 0
        assert "gen_ai.usage.input_tokens" not in attributes(refused)
        assert attributes(answered)["gen_ai.response.finish_reasons"] == ["stop"]
        assert second.trace_id != request.trace_id
        metrics = found.metrics()
        (served, _) = metrics["gen_ai.server.request.duration"].histogram.data_points
        assert served.count == 1 and attributes(served)["http.response.status_code"] == 200
        used = {attributes(each)["gen_ai.token.type"] for each in points(metrics["gen_ai.client.token.usage"])}
        assert used == {"input", "output"} and "gen_ai.client.operation.duration" in metrics
        for resource in found.resources():
            assert (resource["service.name"], resource["service.instance.id"]) == ("better-manager", "node-a")
        for secret in (b"the prompt", b"the answer", b"key-of-the-account", running.key.encode(), SECRET.encode()):
            assert not any(secret in body for body in found.raw), secret


def points(metric: Any) -> list[Any]:
    return list(metric.histogram.data_points)


def test_a_collector_that_is_away_costs_nothing_and_is_named_once(bm_home: Path, free_port: int) -> None:
    with Simulator() as simulator:
        config = settings(simulator, f"http://user:hidden@127.0.0.1:{free_port}")
        with daemon(bm_home, config, {"one": "key-one"}) as running, client(running) as http:
            world = World(simulator, running, http)
            for _ in range(3):
                assert world.ask("gemini").complete
            assert running.logs("cannot be sent to")
            with collector(free_port) as found:
                assert world.ask("gemini").complete
                assert running.logs("again") and soon(lambda: bool(found.spans()))
                log = running.log()
        assert log.count("cannot be sent to") == 1 and log.count("[telemetry] endpoint") == 1
        assert "hidden" not in log and "Traceback" not in log
        assert running.process.returncode == 0


def test_nothing_of_the_library_is_imported_without_an_endpoint() -> None:
    code = (
        "import sys, bm.server.serve, bm.daemon.main; print([each for each in sys.modules if 'opentelemetry' in each])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_the_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.resources", None)
    with pytest.raises(ConfigError, match="not installed") as raised:
        Telemetry("http://127.0.0.1:1", "node", "1", str)
    assert raised.value.key == "telemetry.endpoint" and "better-manager[telemetry]" in str(raised.value)


def test_more_than_can_wait_is_dropped_and_said_once(free_port: int, caplog: pytest.LogCaptureFixture) -> None:
    telemetry = Telemetry(f"http://127.0.0.1:{free_port}", "node", "1", str)
    telemetry._waiting.put(None)
    telemetry._thread.join()
    for _ in range(MOST_WAITING + 3):
        telemetry.observe(Record(id="r", at=0.0, protocol="gemini", model="m", stream=True))
    assert telemetry.dropped == 3
    assert caplog.text.count("some are missing from traces and metrics") == 1
    while not telemetry._waiting.empty():
        telemetry._waiting.get()
    telemetry.close()
