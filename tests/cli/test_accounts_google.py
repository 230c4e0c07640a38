"""`bm accounts` for Google's credentials: sign-in, key files, default credentials."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from bm.accounts.credentials import load
from bm.cli import terminal
from bm.config.paths import Paths
from bm.simulator import OAuth, Simulator
from tests.accounts.test_sign_in import Browser
from tests.cli.conftest import Bm
from tests.support.google import CLIENT_SECRET, client_file, key_file, key_pair


@pytest.fixture
def vertex(simulator: Simulator, paths: Paths) -> Simulator:
    """A simulator that plays Vertex AI too."""
    text = paths.config.read_text().replace("[gemini]", f'[gemini]\nvertex_base_url = "{simulator.url}"')
    paths.config.write_text(text)
    return simulator


def test_sign_in_through_the_browser_is_tested(
    bm: Bm, paths: Paths, simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webbrowser.open", Browser())
    file = client_file(tmp_path / "client_secret.json", simulator)
    ran = bm("accounts", "login", "me", "--client", str(file), "--project", "project-one")
    assert ran.code == 0, ran.err
    assert ran.out.startswith("me: signed in\n")
    (account,) = load(paths.accounts).accounts
    assert (account.kind, account.project, account.enabled) == ("google_oauth", "project-one", True)
    shown = ran.out + ran.err + bm("accounts").out + bm("accounts", "--json").out
    for secret in (account.key, CLIENT_SECRET, "sim-access"):
        assert secret not in shown
    assert {each.headers.get("x-goog-user-project") for each in simulator.log() if each.api} == {"project-one"}


def pasting(monkeypatch: pytest.MonkeyPatch, shown: list[str]) -> None:
    """A user who opens the printed address and pastes where it led."""
    monkeypatch.setattr("bm.cli.render.note", shown.append)

    def answer(_: str) -> str:
        address = next(word for text in reversed(shown) for word in text.split() if "state=" in word)
        return httpx.get(address, trust_env=False).headers["location"]

    monkeypatch.setattr(terminal, "answer", answer)


def test_sign_in_by_pasting_and_renewal_with_the_same_client(
    bm: Bm, paths: Paths, simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pasting(monkeypatch, [])
    file = client_file(tmp_path / "client_secret.json", simulator)
    words = ("accounts", "login", "me", "--no-browser")
    assert bm(*words, "--client", str(file), "--project", "project-one").code == 0
    first = load(paths.accounts).accounts[0]
    simulator.script(oauth=OAuth(revoke=True))
    ran = bm("test", "me")
    assert ran.code == 1 and "bm accounts login me" in ran.out
    assert bm(*words).code == 0
    second = load(paths.accounts).accounts[0]
    assert (second.key != first.key, second.client, second.project) == (True, first.client, "project-one")


def test_denied_consent_changes_nothing(
    bm: Bm, paths: Paths, simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pasting(monkeypatch, [])
    simulator.script(oauth=OAuth(deny=True))
    file = client_file(tmp_path / "client_secret.json", simulator)
    ran = bm("accounts", "login", "me", "--no-browser", "--client", str(file))
    assert ran.code == 2 and "access was not granted" in ran.err
    assert load(paths.accounts).accounts == ()


def test_sign_in_needs_a_client(bm: Bm) -> None:
    ran = bm("accounts", "login", "me")
    assert ran.code == 2 and "--client client_secret.json" in ran.err


def test_vertex_with_a_reference_to_a_key_file(bm: Bm, paths: Paths, vertex: Simulator, tmp_path: Path) -> None:
    file = key_file(tmp_path / "key.json", vertex)
    ran = bm("accounts", "add", "robot", "--vertex", str(file), "--location", "europe-west4")
    assert ran.code == 0, ran.err
    (account,) = load(paths.accounts).accounts
    assert (account.key, account.project, account.location) == (f"file:{file}", "project-one", "europe-west4")
    assert next(each.path for each in vertex.log() if each.operation == "generate").startswith(
        "/v1beta1/projects/project-one/locations/europe-west4/publishers/google/models/gemini"
    )
    (row,) = bm("accounts", "--json").json["accounts"]
    assert row["key_hint"] == "robot@project-one.iam.gserviceaccount.com"


def test_a_key_file_is_copied_on_request(bm: Bm, paths: Paths, vertex: Simulator, tmp_path: Path) -> None:
    file = key_file(tmp_path / "key.json", vertex)
    assert bm("accounts", "add", "robot", "--vertex", str(file), "--copy", "--no-verify").code == 0
    file.unlink()
    assert load(paths.accounts).accounts[0].location == "global"
    assert bm("test", "robot").code == 0
    assert key_pair()[0].splitlines()[1] not in bm("accounts", "--json").out


def test_the_gemini_api_with_a_key_file(bm: Bm, paths: Paths, simulator: Simulator, tmp_path: Path) -> None:
    file = key_file(tmp_path / "key.json", simulator)
    assert bm("accounts", "add", "robot", "--service-account", str(file)).code == 0
    assert load(paths.accounts).accounts[0].location == ""


def test_default_credentials(bm: Bm, vertex: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key_file(tmp_path / "key.json", vertex)))
    assert bm("accounts", "add", "here", "--adc", "--location", "us").code == 0
    assert bm("test", "here").code == 0


def test_an_unreadable_key_file_is_reported_until_verify_succeeds(bm: Bm, vertex: Simulator, tmp_path: Path) -> None:
    file = key_file(tmp_path / "key.json", vertex)
    assert bm("accounts", "add", "none", "--vertex", str(tmp_path / "no.json")).code == 2
    bm("accounts", "add", "robot", "--vertex", str(file), "--no-verify")
    content = file.read_text()
    file.write_text("{")
    (row,) = bm("accounts", "--json").json["accounts"]
    assert row["state"] == "disabled" and "key.json: is not JSON" in row["reason"]
    file.write_text(content)
    assert bm("accounts", "verify", "robot").code == 0


def test_a_wrong_project_is_named(bm: Bm, vertex: Simulator, tmp_path: Path) -> None:
    vertex.script(oauth=OAuth(projects=("project-one",)))
    file = key_file(tmp_path / "key.json", vertex)
    ran = bm("accounts", "add", "robot", "--vertex", str(file), "--project", "project-two")
    assert ran.code == 2
    assert "project-two" in ran.err


def test_conflicting_options_are_refused(bm: Bm, tmp_path: Path) -> None:
    assert bm("accounts", "add", "a", "--adc", "--vertex", str(tmp_path / "k")).code == 2
    assert bm("accounts", "add", "a", "--location", "global", "--no-verify", stdin="k").code == 2


def test_the_sign_in_redirects_to_this_machine(simulator: Simulator) -> None:
    from bm.accounts.sign_in import new_sign_in
    from tests.support.google import oauth_client

    address = new_sign_in(oauth_client(simulator), "", 4321).address
    assert parse_qs(urlsplit(address).query)["redirect_uri"] == ["http://127.0.0.1:4321"]
