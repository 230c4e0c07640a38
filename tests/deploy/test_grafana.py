"""deploy/grafana.json asks only for metrics and labels that bm has."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC
from typing import Any

import pytest
from prometheus_client.metrics_core import Metric

from bm.chat.events import Usage
from bm.config.budget import Limit
from bm.dispatch.target import Target
from bm.gateway.record import AttemptRecord, Record
from bm.keys.spending import Budget, Scope
from bm.server.metrics import GAUGES, Metrics
from tests.rules.source import ROOT

DASHBOARD: dict[str, Any] = json.loads((ROOT / "deploy" / "grafana.json").read_text(encoding="utf-8"))
_FOREIGN = {"instance", "le", "node"}
"""Labels that Prometheus adds, and those of `bm_info`, which a query may take over."""


def panels() -> list[Any]:
    return [each for each in DASHBOARD["panels"] if each["type"] != "row"]


def expressions() -> Iterator[str]:
    for panel in panels():
        yield from (target["expr"] for target in panel["targets"])


def served() -> dict[str, set[str]]:
    """Every series that `/metrics` can show, with its labels."""
    budget = Budget(Scope("total"), Limit(amount=1.0, unit="money", period="day"), 0.0, UTC)
    metrics = Metrics(lambda: 1, lambda: {"usable": 1}, lambda: [budget], {"node": "a", "version": "1"})
    metrics.more.append(lambda: dict.fromkeys(GAUGES, 1.0))
    target = Target("gemini", "one", "m", "gemini")
    record = Record(id="r", at=0.0, protocol="gemini", model="m", stream=True, target=target, status=200)
    record.first_content, record.usage = 0.1, Usage(input=1, output=1)
    record.attempts.append(AttemptRecord(target=target, reason="", outcome="answered"))
    metrics.observe(record)
    families: list[Metric] = list(metrics.collect())
    return {sample.name: set(sample.labels) for family in families for sample in family.samples}


def test_every_panel_has_a_query_and_a_place() -> None:
    for panel in panels():
        assert panel["targets"] and panel["datasource"]["uid"] == "${datasource}", panel["title"]
    places = [tuple(panel["gridPos"][side] for side in "xy") for panel in DASHBOARD["panels"]]
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(places)) == len(places) and len(set(ids)) == len(ids)


@pytest.mark.parametrize("expression", sorted(expressions()))
def test_metrics_and_labels_exist(expression: str) -> None:
    series = served()
    names = set(
        re.findall(r"\b(?:bm|gen_ai)_\w+", re.sub(r"\{[^}]*\}|\b(?:by|on|group_left) \([^)]*\)", "", expression))
    )
    assert names and names <= set(series), names - set(series)
    labels = {
        name for group in re.findall(r"\b(?:by|on|group_left) \(([^)]*)\)", expression) for name in group.split(", ")
    }
    labels |= set(re.findall(r"(\w+)(?:=~|!=|=)\"", expression))
    known = set().union(*(series[name] for name in names), _FOREIGN)
    assert labels <= known, labels - known
    assert expression.count("(") == expression.count(")")


def test_legends_name_labels_of_their_query() -> None:
    for panel in panels():
        for target in panel["targets"]:
            assert all(name in target["expr"] for name in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))


def test_the_variable_reads_the_nodes() -> None:
    (nodes,) = [each for each in DASHBOARD["templating"]["list"] if each["name"] == "node"]
    assert nodes["query"] == "label_values(bm_info, node)" and "node" in served()["bm_info"]
