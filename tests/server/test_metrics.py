"""Metrics, parsed by the Prometheus library."""

from __future__ import annotations

from datetime import UTC

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from bm.chat.events import Usage
from bm.config.budget import Limit
from bm.dispatch.target import Target
from bm.errors import Failure
from bm.gateway.record import AttemptRecord, Record
from bm.keys.spending import Budget, Scope
from bm.server.metrics import DURATION, Histogram, Metrics

TARGET = Target("gemini", "one", "gemini-3-flash", "gemini")
OTHER = Target("groq", "two", "gpt-oss", "openai-chat")


def record(**changes: object) -> Record:
    facts: dict[str, object] = {"id": "req_1", "at": 0.0, "protocol": "anthropic", "model": "unknown", "stream": True}
    return Record(**{**facts, **changes})  # type: ignore[arg-type]


ANSWERED = record(
    target=TARGET,
    status=200,
    took=0.5,
    first_content=0.05,
    usage=Usage(input=10, cache_read=20, output=7, thinking=3),
    attempts=[
        AttemptRecord(target=OTHER, reason="", outcome="rate_limited"),
        AttemptRecord(target=TARGET, reason="", outcome="answered"),
    ],
)
REFUSED = record(status=503, took=0.1, failure=Failure(kind="unavailable", message="no account"))
LEFT = record(took=3.0, client_left=True, attempts=[AttemptRecord(target=TARGET, reason="")])


def test_one_metric_tells_the_node_and_its_version() -> None:
    about = Metrics(lambda: 0, dict, about={"node": "node-a", "version": "1.2"})
    found = {name: dict(labels) for (name, labels), value in samples(about).items() if name == "bm_info" and value == 1}
    assert found == {"bm_info": {"node": "node-a", "version": "1.2"}}


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(active=lambda: 3, accounts=lambda: {"usable": 2, "cooling down": 1})


def samples(metrics: Metrics) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    families = text_string_to_metric_families(metrics.text().decode())
    found = [sample for family in families for sample in family.samples]
    return {(sample.name, frozenset(sample.labels.items())): sample.value for sample in found}


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return samples(metrics).get((name, frozenset(labels.items())))


def test_requests_are_counted_by_protocol_provider_and_status(metrics: Metrics) -> None:
    for each in (ANSWERED, ANSWERED, REFUSED, LEFT):
        metrics.observe(each)
    name = "gen_ai_server_request_duration_seconds_count"
    labels = {"bm_protocol": "anthropic", "gen_ai_operation_name": "generate"}
    ok = {"gen_ai_provider_name": "gemini", "http_response_status_code": "200", "error_type": ""}
    assert value(metrics, name, **labels, **ok) == 2
    none = {"gen_ai_provider_name": "", "http_response_status_code": "503", "error_type": "unavailable"}
    assert value(metrics, name, **labels, **none) == 1
    left = {"gen_ai_provider_name": "", "http_response_status_code": "499", "error_type": "client_left"}
    assert value(metrics, name, **labels, **left) == 1


@pytest.mark.parametrize(
    ("kind", "tokens"), [("input", 10), ("cache_read", 20), ("cache_write", None), ("output", 4), ("thinking", 3)]
)
def test_token_types_do_not_overlap(metrics: Metrics, kind: str, tokens: float | None) -> None:
    metrics.observe(ANSWERED)
    labels = {"gen_ai_provider_name": "gemini", "gen_ai_response_model": "gemini-3-flash"}
    assert value(metrics, "gen_ai_client_token_usage_total", **labels, gen_ai_token_type=kind) == tokens


def test_attempts_are_counted_by_outcome(metrics: Metrics) -> None:
    metrics.observe(ANSWERED)
    metrics.observe(LEFT)
    for provider, outcome in (("groq", "rate_limited"), ("gemini", "answered"), ("gemini", "unfinished")):
        assert value(metrics, "bm_attempts_total", gen_ai_provider_name=provider, bm_outcome=outcome) == 1


def test_requests_and_tokens_are_counted_by_key(metrics: Metrics) -> None:
    for each in (ANSWERED, msgspec.structs.replace(ANSWERED, key="ci"), msgspec.structs.replace(REFUSED, key="ci")):
        metrics.observe(each)
    counted = {
        error: value(metrics, "bm_key_requests_total", bm_key="ci", error_type=error) for error in ("", "unavailable")
    }
    assert counted == {"": 1, "unavailable": 1}
    tokens = [
        value(metrics, "bm_key_tokens_total", bm_key="ci", gen_ai_token_type=kind) for kind in ("input", "output")
    ]
    assert tokens == [30, 7]
    assert value(metrics, "bm_key_requests_total", bm_key="main", error_type="") == 1


def test_budgets_are_gauges() -> None:
    budget = Budget(Scope("key", "ci"), Limit(20, "money", "day"), 0.0, UTC)
    budget.spent = 7.5
    metrics = Metrics(lambda: 0, dict, lambda: [budget])
    labels = {"bm_scope": "key", "bm_name": "ci", "bm_unit": "money", "bm_period": "day"}
    assert value(metrics, "bm_budget_spent", **labels) == 7.5
    assert value(metrics, "bm_budget_limit", **labels) == 20


def test_time_to_first_token_and_gauges(metrics: Metrics) -> None:
    metrics.observe(ANSWERED)
    name = "gen_ai_server_time_to_first_token_seconds"
    assert value(metrics, f"{name}_bucket", gen_ai_provider_name="gemini", le="0.04") == 0
    assert value(metrics, f"{name}_bucket", gen_ai_provider_name="gemini", le="0.06") == 1
    assert value(metrics, "bm_requests_active") == 3
    assert value(metrics, "bm_accounts", bm_state="cooling down") == 1


def test_no_label_contains_a_value_chosen_by_the_client(metrics: Metrics) -> None:
    for number in range(50):
        metrics.observe(record(model=f"unknown-{number}", status=404))
    assert b"unknown" not in metrics.text()


def test_metrics_before_the_first_request(metrics: Metrics) -> None:
    assert value(metrics, "bm_requests_active") == 3


def test_a_value_equal_to_a_bound_belongs_below_it() -> None:
    histogram = Histogram((1.0, 2.0))
    for each in (0.5, 1.0, 1.5, 2.0, 9.0):
        histogram.observe(each)
    assert histogram.cumulative() == ([("1", 2.0), ("2", 4.0), ("+Inf", 5.0)], 14.0)
    assert list(DURATION) == sorted(DURATION)
