"""Resolving secret references, errors that contain no secret, and masking of secrets in texts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import types
from pathlib import Path
from urllib.parse import quote

import pytest

from bm.config import secrets
from bm.config.schema import Config, Ledger
from bm.config.secrets import MASK, Mask, configured_secrets, hint, is_reference, masked, resolve, without_login
from bm.errors import ConfigError

PLANTED = "planted-secret-1234567890"


def command(code: str) -> str:
    return f'cmd:"{sys.executable}" -c "{code}"'


@pytest.mark.parametrize("literal", ["", PLANTED, "https:x", "ENV:NAME", "a:b"])
def test_a_literal_is_the_secret_itself(literal: str) -> None:
    assert resolve(literal, {}) == literal
    assert not is_reference(literal)


def test_references_are_recognized() -> None:
    assert all(map(is_reference, ["env:NAME", "file:~/key", "cmd:pass groq", "keyring:groq"]))


def test_env_reads_the_given_environment() -> None:
    assert resolve("env:KEY", {"KEY": f" {PLANTED}\n"}) == PLANTED


def test_file_is_read_and_stripped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key").write_text(f"\ufeff{PLANTED}\n", encoding="utf-8")
    assert resolve(f"file:{tmp_path / 'key'}", {}) == PLANTED
    monkeypatch.setenv("HOME" if os.name != "nt" else "USERPROFILE", str(tmp_path))
    assert resolve("file:~/key", {}) == PLANTED


def test_a_command_is_run_without_a_shell_and_in_the_given_environment() -> None:
    code = "import os; print(os.environ['KEY'], end=' $HOME | ; ')"
    assert resolve(command(code), {**os.environ, "KEY": PLANTED}) == f"{PLANTED} $HOME | ;"


class Ring(types.ModuleType):
    """Stands in for the optional package, which needs a desktop to hold anything."""

    class errors(types.ModuleType):
        class KeyringError(Exception):
            pass

    @staticmethod
    def get_password(service: str, name: str) -> str | None:
        if name == "locked":
            raise Ring.errors.KeyringError("the collection is locked")
        return {("better-manager", "groq"): PLANTED}.get((service, name))


@pytest.fixture
def ring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", Ring("keyring"))
    monkeypatch.setitem(sys.modules, "keyring.errors", Ring.errors("keyring.errors"))


@pytest.mark.usefixtures("ring")
def test_the_keyring_is_read() -> None:
    assert resolve("keyring:groq", {}) == PLANTED


@pytest.mark.usefixtures("ring")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("together", "is not in the keyring (keyring set better-manager together)"),
        ("locked", "the keyring cannot be read: the collection is locked"),
    ],
)
def test_an_error_of_the_keyring_is_reported(name: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve(f"keyring:{name}", {})
    assert str(caught.value) == f"keyring:{name}: {message}"


def test_without_the_keyring_package_the_hint_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(ConfigError) as caught:
        resolve("keyring:groq", {})
    message = "keyring:groq: the keyring package is not installed (pip install 'better-manager[keyring]')"
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("env:NONE", "env:NONE: the environment variable is not set (set it where bm is started)"),
        ("env:EMPTY", "env:EMPTY: is empty"),
        ("env:LINES", "env:LINES: holds more than one line, or control characters"),
        ("file:/no/such/file", "file:/no/such/file: cannot be read: No such file or directory"),
        ("file:~no-such-user/key", "file:~no-such-user/key: is not a readable text file"),
        ("cmd:", "cmd:: names no command"),
        ("cmd:no-such-program x", "cmd:no-such-program x: cannot be run: No such file or directory"),
        ("cmd:echo 'x", "cmd:echo 'x: is not a command line: No closing quotation"),
    ],
)
@pytest.mark.skipif(os.name == "nt", reason="the system's wording differs")
def test_an_unresolvable_reference_is_named(reference: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve(reference, {"EMPTY": " ", "LINES": f"{PLANTED}\n{PLANTED}"})
    assert str(caught.value) == message
    assert PLANTED not in repr(caught.value)


def test_the_last_error_line_of_a_failing_command_is_quoted() -> None:
    reference = command("import sys; print('x'); sys.exit('first\\nnot signed in')")
    with pytest.raises(ConfigError) as caught:
        resolve(reference, os.environ)
    assert caught.value.message == "ended with exit code 1: not signed in"


def test_a_command_that_prints_nothing_is_empty() -> None:
    with pytest.raises(ConfigError, match="is empty"):
        resolve(command("pass"), os.environ)


def test_a_command_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "COMMAND_LIMIT", 0.2)
    with pytest.raises(ConfigError) as caught:
        resolve(command("import time; time.sleep(60)"), os.environ)
    assert caught.value.message == "did not finish within 0.2 seconds"
    assert not isinstance(caught.value.__cause__, subprocess.TimeoutExpired)


def test_a_binary_file_is_not_quoted(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(PLANTED.encode() + b"\xff")
    with pytest.raises(ConfigError, match="is not a readable text file") as caught:
        resolve(f"file:{tmp_path / 'key'}", {})
    assert PLANTED not in str(caught.value)


@pytest.mark.parametrize(
    ("secret", "shown"),
    [("", ""), ("short", "…"), ("b" * 19, "…"), ("sk-a1234567890129f3c", "sk-a…9f3c")],
)
def test_hint(secret: str, shown: str) -> None:
    assert hint(secret) == shown


AWKWARD = 'pass/"word" + 123'


@pytest.mark.parametrize("written", [AWKWARD, json.dumps(AWKWARD), quote(AWKWARD, safe="")])
def test_a_known_secret_is_masked_in_every_encoding(written: str) -> None:
    assert MASK in Mask([AWKWARD])(f"before {written} after")
    assert "word" not in Mask([AWKWARD])(f"before {written} after")


def quoted(secret: str, times: int) -> str:
    """The secret within JSON that is quoted within JSON."""
    return secret if not times else json.dumps({"raw": quoted(secret, times - 1)})


@pytest.mark.parametrize(
    "written",
    [
        "planted\\u002dsecret/1234567890",
        "".join(f"\\u{ord(character):04X}" for character in "planted-secret/1234567890"),
        "planted-secret\\/1234567890",
        "planted-secret%2f1234567890",
        "planted%2Dsecret/1234567890",
        "planted&#45;secret&#x2F;1234567890",
        "planted\\x2dsecret/1234567890",
    ],
)
@pytest.mark.parametrize("times", [0, 1, 2])
def test_a_secret_is_masked_whichever_of_its_characters_are_escaped(written: str, times: int) -> None:
    mask = Mask(["planted-secret/1234567890"])
    assert mask(quoted(f"before\n{written}\tafter", times)) == quoted(f"before\n{MASK}\tafter", times)
    assert mask.masked_bytes(b"\xff " + written.encode()) == b"\xff " + MASK.encode()


def test_the_shape_of_a_key_is_masked_where_it_is_escaped() -> None:
    assert Mask()(r"""{"raw": "{\"key\": \"\\u0073k-bbbbbbbbbbbbbbbbbbbbbbbb\"}"}""") == (
        r"""{"raw": "{\"key\": \"[secret]\"}"}"""
    )


@pytest.mark.parametrize("text", [r"C:\users\u0041 100% sk-", "a\\", "100%", "&#", r"\ud83d\ude00 &#99999; %zz"])
def test_escapes_without_a_secret_stay_as_they_are(text: str) -> None:
    assert Mask(["planted-secret"])(text) == text


@pytest.mark.parametrize("whole", ["key-of-mine-and-yours", "this-key-of-mine"])
def test_a_secret_within_another_leaves_nothing_unmasked(whole: str) -> None:
    assert Mask(["key-of-mine", whole])(f"x={whole}") == f"x={MASK}"


@pytest.mark.parametrize(
    ("written", "meant"),
    [("first%40second", "first@second"), ("first#second", "first#second"), ("first?second", "first?second")],
)
def test_the_password_of_the_database_is_a_secret(written: str, meant: str) -> None:
    config = Config(ledger=Ledger(url=f"postgresql://bm:{written}@db/bm?application_name=x@y"))
    assert {written, meant} <= set(configured_secrets(config))
    config = Config(ledger=Ledger(url=f"postgresql://bm:{written}@db/bm"))
    assert masked(config)["ledger"]["url"] == without_login(config.ledger.url) == "postgresql://…@db/bm"
    assert "second" not in repr(config)


def test_each_of_many_keys_is_masked() -> None:
    keys = [f"{service}-{number:04d}-of-many" for service in ("one", "two", "three") for number in range(100)]
    assert Mask(keys)(" ".join(keys)) == " ".join([MASK] * 300)


@pytest.mark.parametrize(
    "beginning", ["sk-", "AI" + "za", "AQ.", "gsk" + "_", "xai-", "tgp_v1_", "bm-", "ya29.", "1//0", "GOCSPX-"]
)
def test_the_shape_of_a_key_is_masked(beginning: str) -> None:
    assert Mask()(f"use {beginning}{'b' * 43}!") == f"use {MASK}!"


def test_short_secrets_are_not_masked() -> None:
    assert Mask(["the"])("the end") == "the end"


def test_learnt_secrets_are_kept() -> None:
    mask = Mask(["the-first-one"])
    mask.learn(["the-second-one"])
    assert mask("the-first-one, the-second-one") == f"{MASK}, {MASK}"
