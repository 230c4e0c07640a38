"""What the files of deploy/ for several nodes name exists: settings, ports, paths, images, services."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from bm.config import environment
from bm.config.load import load
from bm.config.schema import Config, Server, Shared
from bm.daemon.stop import MARGIN
from bm.providers.catalog import KNOWN
from tests.rules.source import ROOT
from tests.support.nginx import adapted

DEPLOY = ROOT / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
ONE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.one.yaml").read_text(encoding="utf-8"))
KUBERNETES: list[Any] = list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text(encoding="utf-8")))
NODES = {name: row for name, row in COMPOSE["services"].items() if name.startswith("bm-")}


def kind(name: str) -> dict[str, Any]:
    (found,) = [each for each in KUBERNETES if each["kind"] == name]
    return dict(found)


def pod() -> dict[str, Any]:
    return dict(kind("StatefulSet")["spec"]["template"]["spec"])


def settings(given: dict[str, str], tmp_path: Path) -> Config:
    """The configuration that these variables make, with the secrets that a person fills in."""
    filled = {name: re.sub(r"\$\{\w+:-([^}]*)\}|\$\{\w+[^}]*\}", r"\1", value) for name, value in given.items()}
    filled["BM_SEAL"] = "c2VhbC1vZi0zMi1ieXRlcy1mb3ItdGhlLXRlc3RzLi4="
    named = {name: value for name, value in filled.items() if name != "BM_SEAL"}
    found = environment.named(named, {}, KNOWN)
    assert not found.problems and not found.warnings and len(found.values) == len(named)
    return load(tmp_path / "config.toml", filled, known=KNOWN).config


@pytest.mark.parametrize("node", sorted(NODES))
def test_the_nodes_of_compose(node: str, tmp_path: Path) -> None:
    row = NODES[node]
    config = settings(row["environment"], tmp_path)
    assert config.shared.url and config.shared.seal == "env:BM_SEAL" and config.ledger.url
    grace = float(row["stop_grace_period"].removesuffix("s"))
    assert grace > config.server.longest_stop + MARGIN
    assert row["hostname"] == node and row["volumes"] == [f"{node}:/data"] and node in COMPOSE["volumes"]
    assert (DEPLOY.parent / row["build"]["dockerfile"]).exists()
    lock = row["build"]["args"]["LOCK"]
    assert lock in (DEPLOY / "Containerfile").read_text() and "redis==" in (ROOT / lock).read_text()
    for store, kept in (("valkey", config.shared.url), ("postgres", config.ledger.url)):
        assert f"@{store}:" in kept and row["depends_on"][store]["condition"] == "service_healthy"
        assert "healthcheck" in COMPOSE["services"][store]


def test_all_nodes_have_the_same_settings_and_only_they_differ_in_name_and_place() -> None:
    first, *others = NODES.values()
    for other in others:
        assert {key for key in first if first[key] != other[key]} == {"hostname", "volumes"}
    assert len(NODES) == 2


def test_nginx_is_given_the_nodes() -> None:
    text = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
    assert re.findall(r"^    server (\S+) ", text, re.MULTILINE) == [f"{name}:{Server().port}" for name in NODES]
    service = COMPOSE["services"]["nginx"]
    assert "./nginx.conf:/etc/nginx/conf.d/default.conf:ro" in service["volumes"]
    assert set(service["depends_on"]) == set(NODES) and service["ports"] == ["127.0.0.1:8080:80"]
    assert f"client_max_body_size {Server().max_body_mb}m;" in text
    patience = re.search(r"proxy_read_timeout (\d+)s;", text)
    assert patience and int(patience[1]) > Config().timeouts.whole
    assert "127.0.0.1:1 " in adapted(["127.0.0.1:1", "127.0.0.1:2"], 3)


def test_volumes_and_variables_of_compose_are_declared_or_explained() -> None:
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    used = {each.split(":")[0] for row in COMPOSE["services"].values() for each in row.get("volumes", ())}
    assert used - {"./nginx.conf"} == set(COMPOSE["volumes"])
    page = (ROOT / "docs" / "team.md").read_text(encoding="utf-8")
    assert all(name in page for name in re.findall(r"\$\{(\w+)", text))


def test_the_pods_of_kubernetes(tmp_path: Path) -> None:
    given = {**kind("ConfigMap")["data"], **kind("Secret")["stringData"]}
    config = settings(given, tmp_path)
    assert config.shared.url and config.shared.seal == "env:BM_SEAL" and config.shared.node == Shared().node
    assert pod()["terminationGracePeriodSeconds"] > config.server.longest_stop + MARGIN
    (container,) = pod()["containers"]
    assert [each["containerPort"] for each in container["ports"]] == [Server().port]
    readiness = container["readinessProbe"]
    assert readiness["httpGet"]["path"] == "/readyz" and container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert config.server.drain_delay > 2 * readiness["periodSeconds"] * readiness["failureThreshold"]
    named = {next(iter(each.values()))["name"] for each in container["envFrom"]}
    assert named == {kind("Secret")["metadata"]["name"], kind("ConfigMap")["metadata"]["name"]}
    user = re.search(r"useradd --uid (\d+)", (DEPLOY / "Containerfile").read_text())
    assert user and {pod()["securityContext"][name] for name in ("runAsUser", "fsGroup")} == {int(user[1])}
    assert container["volumeMounts"][0]["mountPath"] == "/data"


def test_the_objects_of_kubernetes_find_each_other() -> None:
    labels = kind("StatefulSet")["spec"]["template"]["metadata"]["labels"]
    assert kind("StatefulSet")["spec"]["selector"]["matchLabels"] == labels
    assert kind("Service")["spec"]["selector"] == labels
    assert kind("PodDisruptionBudget")["spec"]["selector"]["matchLabels"] == labels
    (rule,) = kind("Ingress")["spec"]["rules"]
    backend = rule["http"]["paths"][0]["backend"]["service"]
    assert backend["name"] == kind("Service")["metadata"]["name"]
    assert backend["port"]["name"] == kind("Service")["spec"]["ports"][0]["name"]
    assert kind("ConfigMap")["data"]["BM_SERVER_URL"] == f"https://{rule['host']}"


def test_one_container_for_one_machine(tmp_path: Path) -> None:
    (service,) = ONE["services"].values()
    assert settings(service["environment"], tmp_path).server.allowed_hosts == ("bm",)
    port = Server().port
    assert service["ports"] == [f"127.0.0.1:{port}:{port}"] and service["volumes"] == ["data:/data"]
