"""The checks of `bm doctor`, and the command."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bm.accounts.account import Account
from bm.accounts.credentials import ensure_local_key, update
from bm.cli.doctor import Finding, examine
from bm.config.paths import Paths
from bm.daemon.start import start
from tests.cli.conftest import Bm
from tests.clients.conftest import home
from tests.daemon.support import foreign_process
from tests.support.postgres import PASSWORD
from tests.support.valkey import Valkey

__all__ = ["home"]


def found(paths: Paths, check: str) -> list[Finding]:
    return [each for each in examine(paths, os.environ) if each.check == check]


def with_account(paths: Paths, key: str = "a-key-of-some-kind") -> None:
    update(paths.accounts, lambda stored: stored.add(Account(name="one", key=key)))


def test_no_daemon_is_running(paths: Paths) -> None:
    assert found(paths, "daemon") == [Finding("daemon", "warning", "bm is not running", "bm start")]


def test_another_process_has_the_port(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    with foreign_process() as (pid, port):
        monkeypatch.setenv("BM_SERVER_PORT", str(port))
        (finding,) = found(paths, "daemon")
    assert finding.result == "failed"
    assert f"(pid {pid})" in finding.detail


def test_a_daemon_with_old_settings(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    started = start(paths).daemon
    assert found(paths, "daemon") == [Finding("daemon", "ok", f"{started.url}, pid {started.pid}")]
    monkeypatch.setattr("bm.__version__", "9.9.9")
    assert found(paths, "daemon")[1].remedy == "bm restart"


def test_unusable_files_end_the_checks(paths: Paths) -> None:
    paths.accounts.write_text("[[[")
    assert [each.result for each in examine(paths, os.environ)] == ["ok", "failed"]
    paths.config.write_text("[[[")
    assert [each.result for each in examine(paths, os.environ)] == ["failed"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_an_accounts_file_that_others_could_read(paths: Paths) -> None:
    with_account(paths)
    paths.accounts.chmod(0o644)
    assert [each.result for each in found(paths, "accounts file")] == ["warning", "ok"]


@pytest.mark.parametrize("reference", ["env:NO_SUCH_NAME", "file:no-such-file", "cmd:false"])
def test_a_reference_that_cannot_be_resolved(paths: Paths, reference: str) -> None:
    with_account(paths, reference)
    (finding,) = found(paths, "keys")
    assert finding.result == "failed"
    assert finding.detail.startswith(f"account one of gemini: {reference}")


def test_an_account_with_bms_own_key(paths: Paths) -> None:
    with_account(paths, ensure_local_key(paths.accounts))
    details = [each.detail for each in found(paths, "keys") if each.result == "failed"]
    assert details == ["account one of gemini holds bm's own key, which no provider accepts"]


@pytest.mark.parametrize(
    ("settings", "remedy"),
    [
        ("enabled = true", "bm providers use groq"),
        ('mode = "pooled"', "bm providers use groq"),
        ('enabled = true\nmode = "pooled"', "bm providers key groq"),
    ],
)
def test_a_provider_that_is_not_complete(paths: Paths, settings: str, remedy: str) -> None:
    paths.config.write_text(f"[providers.groq]\n{settings}\n")
    assert remedy in [each.remedy for each in found(paths, "providers")]


def test_a_provider_that_is_bm_itself_on_a_port_chosen_by_the_system(paths: Paths) -> None:
    started = start(paths).daemon
    paths.config.write_text(f'[providers.groq]\nbase_url = "{started.url}/v1"\n')
    (finding,) = found(paths, "loops")
    assert (finding.result, finding.remedy) == ("failed", "bm config unset providers.groq.base_url")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_a_folder_that_cannot_be_written_to(paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    (finding,) = found(Paths.under(tmp_path / "file"), "files")
    assert (finding.result, finding.detail) == ("failed", f"{tmp_path / 'file'} is not writable")
    assert "BM_HOME" in finding.remedy
    assert found(Paths.under(tmp_path / "not" / "there" / "yet"), "files") == []
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert [each.detail for each in found(paths, "files")] == [f"{paths.config.parent} is not writable"]


def test_certificates(paths: Paths, tmp_path: Path) -> None:
    import certifi

    (tmp_path / "not.pem").write_text("no certificate")
    bundles = {"gemini": certifi.where(), "providers.groq": tmp_path / "not.pem", "providers.together": "/no/such.pem"}
    tables = [f'[{name}]\nproxy = {{ ca_bundle = "{path}" }}\n' for name, path in bundles.items()]
    paths.config.write_text("".join(tables))
    findings = found(paths, "certificates")
    assert [each.result for each in findings] == ["ok", "failed", "failed"]
    assert "holds no PEM certificates" in findings[1].detail
    assert "/no/such.pem: No such file" in findings[2].detail


def test_a_shell_of_bm_env(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", ensure_local_key(paths.accounts))
    details = [each.detail for each in found(paths, "configuration") if each.result == "warning"]
    assert details == ["OPENAI_API_KEY: ignored, because it holds bm's own key"]


@pytest.mark.parametrize(
    ("environ", "warned"),
    [
        ({"HTTP_PROXY": "http://proxy:3128"}, True),
        ({"http_proxy": "http://proxy:3128", "no_proxy": "example.com"}, True),
        ({"HTTP_PROXY": "http://proxy:3128", "NO_PROXY": "localhost,127.0.0.1"}, False),
        ({}, False),
    ],
)
def test_a_proxy_in_front_of_bm(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], warned: bool
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert ("warning" in [each.result for each in found(paths, "environment")]) is warned


def test_a_healthy_home(bm: Bm) -> None:
    bm("accounts", "add", "one", "--no-verify", stdin="key-one")
    bm("start")
    ran = bm("doctor")
    assert ran.code == 0
    assert {line.split()[0] for line in ran.out.splitlines()[1:]} == {"ok"}


def test_a_failed_check_exits_with_1_and_has_a_remedy(bm: Bm, paths: Paths) -> None:
    ran = bm("doctor")
    assert ran.code == 1
    assert "keys: bm accounts add NAME\n" in ran.out
    paths.config.write_text("[server]\nprot = 1\n")
    assert bm("doctor").code == 1
    (check,) = bm("doctor", "--json").json["checks"]
    assert (check["check"], check["result"], check["remedy"]) == ("configuration", "failed", "bm config edit")


def test_every_problem_of_the_configuration_is_listed_and_a_remedy_once(bm: Bm, paths: Paths) -> None:
    paths.config.write_text("[server]\nprot = 1\n[pool]\nstrickt = true\n")
    ran = bm("doctor")
    assert [line.split()[:2] for line in ran.out.splitlines()[1:3]] == [["failed", "configuration"]] * 2
    assert ran.out.splitlines()[3:] == ["", "configuration: bm config edit"]


def test_an_address_that_other_machines_reach_is_reported_by_doctor_and_status(bm: Bm, paths: Paths) -> None:
    paths.config.write_text('[server]\nhost = "0.0.0.0"\n')
    bm("start")
    remedy = "put a proxy with TLS before it, or: bm config set server.host 127.0.0.1"
    assert remedy in [each.remedy for each in found(paths, "daemon")]
    assert remedy in bm("status").err


def test_a_fallback_that_does_not_serve_a_tool_in_use(bm: Bm, paths: Paths, home: Path) -> None:
    with_account(paths)
    bm("start")
    paths.config.write_text('[providers.groq]\nenabled = true\nmode = "fallback"\nprotocols = ["openai-chat"]\n')
    words = "the fallback groq does not serve Claude Code, whose protocol is another"
    assert words not in [each.detail for each in found(paths, "providers")]
    bm("setup", "claude")
    assert words in [each.detail for each in found(paths, "providers")]
    bm("config", "unset", "providers.groq.protocols")
    assert words not in [each.detail for each in found(paths, "providers")]


def test_a_route_to_a_provider_that_is_off_is_a_warning(paths: Paths) -> None:
    paths.config.write_text('[routes.codex]\nthink = ["gemini:pro", "groq:x"]\n')
    findings = [each for each in found(paths, "models") if "groq" in each.detail]
    assert [(each.result, each.detail, each.remedy) for each in findings] == [
        ("warning", "routes.codex.think names groq:x, but groq is off", "bm providers mode groq fallback")
    ]


def test_an_alias_to_a_misspelt_provider_is_a_failure(paths: Paths) -> None:
    paths.config.write_text('[aliases]\nfast = "gorq:llama"\n')
    assert "failed" in [each.result for each in found(paths, "configuration")]


def test_a_store_that_nodes_share(paths: Paths, valkey: Valkey) -> None:
    paths.config.write_text(f'[shared]\nurl = "{valkey.url}"\n', encoding="utf-8")
    (finding,) = found(paths, "shared store")
    assert finding.result == "ok"
    paths.config.write_text(f'[shared]\nurl = "{valkey.url.replace("//", "//other:secret-word@")}"\n', encoding="utf-8")
    (finding,) = found(paths, "shared store")
    assert finding.result == "failed"
    assert "shared.url: the store refuses the user or the password" in finding.detail
    assert "secret-word" not in finding.detail


def test_the_database_of_the_ledger(paths: Paths, database: str) -> None:
    paths.config.write_text(f'[ledger]\nurl = "{database}"\n', encoding="utf-8")
    assert [each.result for each in found(paths, "ledger")] == ["ok"]
    paths.config.write_text(f'[ledger]\nurl = "{database}-that-is-not-there"\n', encoding="utf-8")
    (finding,) = found(paths, "ledger")
    assert finding.result == "failed" and finding.remedy
    assert finding.detail.startswith("ledger.url: the database refuses: ")
    assert PASSWORD not in finding.detail
