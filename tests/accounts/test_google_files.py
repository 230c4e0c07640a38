"""Key files and OAuth clients: read in place, refused with messages that quote nothing of them."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from bm.accounts.google_files import is_safe, read_client, read_key_file
from bm.errors import AccountError
from bm.simulator import Simulator
from tests.support.google import CLIENT_SECRET, ROBOT, client_file, key_file, oauth_client

SECRET = "planted-private-key"
WHOLE = {"type": "service_account", "client_email": "r@p", "private_key": SECRET, "project_id": "p", "more": 1}


def test_by_reference_or_as_a_copy(tmp_path: Path, sim: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    path = key_file(tmp_path / "key.json", sim)
    found = read_key_file(f"file:{path}", {})
    assert (found.client_email, found.project_id, found.token_uri) == (ROBOT, "project-one", f"{sim.url}/oauth/token")
    copied = msgspec.json.encode(found).decode()
    assert read_key_file(copied, {}) == found
    assert read_key_file("env:ROBOT", {"ROBOT": copied}) == found
    monkeypatch.setenv("HOME", str(tmp_path))
    assert read_key_file("file:~/key.json", {}) == found
    assert found.private_key not in repr(found)


BAD = {
    "no JSON": (SECRET.encode(), "is not JSON"),
    "no text": (b"\xff\xfe\x00", "not a readable text file"),
    "a member is missing": (msgspec.json.encode({"type": "service_account", "private_key": SECRET}), "client_email"),
    "another credential": (msgspec.json.encode(WHOLE | {"type": "authorized_user"}), "bm accounts add NAME --adc"),
    "default credentials": (msgspec.json.encode({"type": "authorized_user", "refresh_token": SECRET}), "--adc"),
    "a credential of some kind": (msgspec.json.encode({"type": "external_account"}), "of the type 'external_account'"),
    "an OAuth client": (msgspec.json.encode({"installed": {"client_secret": SECRET}}), "bm accounts login NAME"),
    "a list": (b"[1]", "is not the key of a service account"),
    "an unsafe address": (msgspec.json.encode(WHOLE | {"token_uri": "http://example.com/t"}), "not an https address"),
}


@pytest.mark.parametrize(("content", "words"), BAD.values(), ids=BAD)
def test_invalid_key_files(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "key.json").write_bytes(content)
    with pytest.raises(AccountError, match=words) as caught:
        read_key_file(f"file:{tmp_path / 'key.json'}", {})
    assert "key.json" in str(caught.value) and SECRET not in str(caught.value)


def test_an_unresolved_file_or_reference(tmp_path: Path) -> None:
    for key in (f"file:{tmp_path / 'none.json'}", f"file:{tmp_path}", "env:NONE"):
        with pytest.raises(AccountError):
            read_key_file(key, {})


@pytest.mark.parametrize(
    ("address", "safe"),
    [
        ("https://oauth2.googleapis.com/token", True),
        ("http://127.0.0.1:9000/token", True),
        ("http://localhost/token", True),
        ("http://oauth2.googleapis.com/token", False),
        ("ftp://127.0.0.1/", False),
        ("", False),
    ],
)
def test_addresses_that_secrets_may_be_sent_to(address: str, safe: bool) -> None:
    assert is_safe(address) is safe


def test_the_clients_file(tmp_path: Path, sim: Simulator) -> None:
    file = client_file(tmp_path / "client.json", sim)
    assert read_client(file) == oauth_client(sim)
    file.write_text(file.read_text(), encoding="utf-8-sig")
    assert read_client(file) == oauth_client(sim), "editors on Windows put a mark before the text"


NO_CLIENT = {
    "not there": (None, "cannot be read"),
    "no JSON": (f"{CLIENT_SECRET}", "is not JSON"),
    "something else": (json.dumps([CLIENT_SECRET]), "holds no OAuth client"),
    "nothing in it": ("{}", "holds no OAuth client"),
    "wrong members": (json.dumps({"installed": {"client_id": 5, "client_secret": CLIENT_SECRET}}), "no OAuth client"),
    "a service account": (json.dumps({"type": "service_account", "private_key": CLIENT_SECRET}), "--vertex FILE"),
    "default credentials": (json.dumps({"type": "authorized_user", "client_secret": CLIENT_SECRET}), "--adc"),
    "a web client": (json.dumps({"web": {"client_id": "c", "client_secret": CLIENT_SECRET}}), "Desktop app"),
    "an address without protection": (
        json.dumps(
            {"installed": {"client_id": "c", "client_secret": CLIENT_SECRET, "token_uri": "http://example.com/t"}}
        ),
        "https",
    ),
}


@pytest.mark.parametrize(("content", "words"), NO_CLIENT.values(), ids=NO_CLIENT)
def test_invalid_client_files(tmp_path: Path, content: str | None, words: str) -> None:
    path = tmp_path / "client.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(AccountError, match=words) as caught:
        read_client(path)
    assert "client.json" in str(caught.value) and CLIENT_SECRET not in str(caught.value)
