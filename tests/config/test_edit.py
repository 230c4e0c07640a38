"""Edits of the user's file: one setting changes, everything else stays, and an invalid edit changes nothing."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as bounds
from hypothesis import strategies as st

from bm.config.edit import Value, from_text, set_values, unset
from bm.config.files import LockTimeout, locked, stamp
from bm.config.load import InvalidConfig, load
from bm.errors import ConfigError

KNOWN = ("anthropic", "groq", "together")

BEFORE = """\
# My settings
[server]
port = 9000   # the usual one

# the pool
[pool]
  affinity = true

[providers.groq]  # fast
enabled = true
# why: quick
mode = "pooled" # for now
models = { opus = "a" }  # map

[providers.groq.timeouts]
idle = 5

# my names
[aliases]
fast = "groq:x"
"""

GOLDEN: list[tuple[str, Value, str, str]] = [
    ("server.port", 9001, "port = 9000   # the usual one", "port = 9001   # the usual one"),
    (
        "server.host",
        "127.0.0.2",
        "# the usual one\n",
        '# the usual one\nhost = "127.0.0.2"\n',
    ),
    ("pool.max_wait", 2.5, "  affinity = true\n", "  affinity = true\n  max_wait = 2.5\n"),
    ("providers.groq.mode", "off", 'mode = "pooled" # for now', 'mode = "off" # for now'),
    (
        "providers.groq.protocols",
        ["anthropic", "gemini"],
        "# map\n",
        '# map\nprotocols = ["anthropic", "gemini"]\n',
    ),
    ("providers.groq.models", {"haiku": "b"}, '{ opus = "a" }  # map', '{haiku = "b"}  # map'),
    ("providers.groq.models.opus", "b", '{ opus = "a" }', '{ opus = "b" }'),
    ("providers.groq.timeouts.connect", 3, "idle = 5\n", "idle = 5\nconnect = 3\n"),
    ('aliases."my own"', 'a "b"', '"groq:x"\n', '"groq:x"\n"my own" = "a \\"b\\""\n'),
    ("log.level", "debug", '"groq:x"\n', '"groq:x"\n\n[log]\nlevel = "debug"\n'),
    ("providers.together.enabled", True, '"groq:x"\n', '"groq:x"\n\n[providers.together]\nenabled = true\n'),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "config.toml"
    file.write_text(BEFORE)
    return file


def put(path: Path, key: str, value: Value) -> None:
    set_values(path, {key: value}, known=KNOWN)


@pytest.mark.parametrize(("key", "value", "old", "new"), GOLDEN, ids=[row[0] for row in GOLDEN])
def test_one_setting_changes(path: Path, key: str, value: Value, old: str, new: str) -> None:
    assert BEFORE.count(old) == 1
    put(path, key, value)
    assert path.read_text() == BEFORE.replace(old, new)


@pytest.mark.parametrize(
    ("key", "gone"),
    [
        ("server.port", "port = 9000   # the usual one\n"),
        ("providers.groq.mode", 'mode = "pooled" # for now\n'),
        ("providers.groq.timeouts", "[providers.groq.timeouts]\nidle = 5\n"),
    ],
)
def test_a_setting_is_removed(path: Path, key: str, gone: str) -> None:
    assert unset(path, key, known=KNOWN)
    after = path.read_text()
    kept = [line for line in BEFORE.replace(gone, "").splitlines() if line.startswith("#") or "=" in line]
    assert [line for line in after.splitlines() if line.startswith("#") or "=" in line] == kept
    assert not unset(path, key, known=KNOWN)
    assert path.read_text() == after


@pytest.mark.parametrize(
    ("text", "key", "after"),
    [
        ('server.host = "localhost"\n', "server.host", ""),
        ('[gemini.models]\nopus = "x"\n\n# next\n[pool]\n', "gemini.models", "# next\n[pool]\n"),
        ('[gemini]\n[pool]\n[gemini.models]\nopus = "x"\n', "gemini", "[pool]\n"),
        ('aliases = { a = "x", b = "y" }\n', "aliases.b", 'aliases = { a = "x" }\n'),
        ("[log]\nfiles = 1", "log", ""),
    ],
)
def test_removal_from_every_form_of_table(tmp_path: Path, text: str, key: str, after: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text)
    assert unset(path, key, known=KNOWN)
    assert path.read_text().replace("  }", " }") == after


def test_an_edit_that_would_change_anything_else_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tomlkit.dumps", lambda document: "[server]\nport = 1\n")
    for edit in (lambda: put(path, "server.port", 1), lambda: unset(path, "server.port", known=KNOWN)):
        with pytest.raises(ConfigError) as caught:
            edit()
        message = f"{path}: cannot be changed without disturbing the rest (edit it by hand)"
        assert str(caught.value) == message
    assert path.read_text() == BEFORE


def test_removing_an_absent_setting_changes_nothing(path: Path) -> None:
    before = stamp(path)
    for key in ("server.host", "log.level", "aliases.fast.deep", "nothing"):
        assert not unset(path, key, known=KNOWN)
    assert stamp(path) == before


def test_setting_the_same_value_leaves_the_file_alone(path: Path) -> None:
    before = stamp(path)
    put(path, "server.port", 9000)
    assert stamp(path) == before


def test_dependent_settings_are_set_together(path: Path) -> None:
    acme: dict[str, Value] = {
        "providers.acme.protocol": "openai-chat",
        "providers.acme.base_url": "https://llm.example/v1",
    }
    for key, value in acme.items():
        with pytest.raises(InvalidConfig):
            put(path, key, value)
    set_values(path, acme, known=KNOWN)
    tail = '\n[providers.acme]\nprotocol = "openai-chat"\nbase_url = "https://llm.example/v1"\n'
    assert path.read_text() == BEFORE + tail
    assert unset(path, "providers.acme", known=KNOWN)
    assert path.read_text() == BEFORE


@pytest.mark.parametrize(
    "text",
    [
        "server.host = '127.0.0.1'\n",
        "server = { host = '127.0.0.1' }\n",
        "[server]\nhost = '127.0.0.1'",
        "\n\n# tail",
        "",
        "[gemini.models]\nopus = 'x'\n[server]\n",
        "[providers.groq]\nmode='off'\n[pool]\n[providers.together]\nmode='off'\n",
        "providers = { groq = { timeouts = { idle = 1 } } }\n",
    ],
)
def test_every_form_of_table_can_be_edited(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text)
    put(path, "server.port", 9000)
    put(path, "gemini.api_version", "v1")
    put(path, "providers.groq.mode", "pooled")
    put(path, "providers.groq.timeouts.connect", 2)
    put(path, "gemini.models.sonnet", "y")
    put(path, "providers.together.mode", "fallback")
    config = load(path, {}, known=KNOWN).config
    groq = config.providers["groq"]
    assert (config.server.port, config.gemini.api_version, groq.mode) == (9000, "v1", "pooled")
    assert groq.timeouts is not None
    assert config.providers["together"].mode == "fallback"
    assert (groq.timeouts.connect, config.gemini.models["sonnet"]) == (2, "y")
    assert path.read_text().startswith(text.split("\n")[0][:8])


def test_windows_line_ends_are_kept(path: Path) -> None:
    path.write_bytes(BEFORE.replace("\n", "\r\n").encode())
    put(path, "server.host", "localhost")
    put(path, "log.level", "debug")
    content = path.read_bytes()
    assert content.count(b"\r\n") == content.count(b"\n") == BEFORE.count("\n") + 4


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("server.prot", 1, 'server.prot: unknown key (did you mean "port"?)'),
        ("server.port", "x", 'server.port: expected a whole number from 0 to 65535, got the string "x"'),
        ("server", 1, "server: expected a table, got the number 1"),
        ("providers.grok.base_url", "https://x", 'providers.grok.protocol: is missing (did you mean "groq"?)'),
        (
            "gemini.base_url",
            "http://localhost:9000",
            "gemini.base_url: points at bm itself (write the address of the provider)",
        ),
    ],
)
def test_an_edit_that_would_break_the_file_changes_nothing(path: Path, key: str, value: Value, message: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        put(path, key, value)
    assert str(caught.value) == message
    assert path.read_text() == BEFORE


@pytest.mark.parametrize(
    ("bad", "place"), [("[pool]\nx = 1\n", "2: pool.x: unknown key"), ("[pool\n", "1: not valid TOML")]
)
def test_an_invalid_file_is_not_edited(tmp_path: Path, bad: str, place: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(bad)
    with pytest.raises(ConfigError) as caught:
        put(path, "server.port", 1)
    message = f"{path}: was not changed because it has errors; fix them first:\n{path}:{place}"
    assert str(caught.value).startswith(message)
    assert path.read_text() == bad


def test_a_value_that_is_not_valid_text_is_refused(path: Path) -> None:
    with pytest.raises(ConfigError, match="is not valid text"):
        put(path, "aliases.fast", "\udcff")
    assert path.read_text() == BEFORE


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_a_new_file_is_private_and_an_old_one_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "home" / "config.toml"
    put(path, "server.port", 1)
    assert path.read_text() == "[server]\nport = 1\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    put(path, "server.port", 2)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


@pytest.mark.skipif(os.name == "nt", reason="symlinks need a privilege on Windows")
def test_a_symlink_is_followed(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "linked" / "config.toml"
    link.parent.mkdir()
    link.symlink_to(path)
    put(link, "server.port", 1)
    assert link.is_symlink()
    assert "port = 1 " in path.read_text()


EDITOR = """
import sys
from pathlib import Path
from bm.config.edit import set_values
for number in range(int(sys.argv[3])):
    set_values(Path(sys.argv[1]), {f"aliases.{sys.argv[2]}{number}": "groq:x"}, known=["groq"])
"""


def test_concurrent_edits_lose_nothing(path: Path) -> None:
    names, count = "abc", 8
    command = [sys.executable, "-c", EDITOR, str(path)]
    editors = [subprocess.Popen([*command, name, str(count)]) for name in names]
    assert [editor.wait() for editor in editors] == [0, 0, 0]
    written = load(path, {}, known=KNOWN).config.aliases
    assert set(written) == {"fast", *(f"{name}{number}" for name in names for number in range(count))}
    assert path.read_text().startswith(BEFORE)


def test_a_held_lock_times_out(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bm.config.edit.LOCK_WAIT", 0.05)
    with locked(path.with_name(".config.toml.lock")), pytest.raises(LockTimeout):
        put(path, "server.port", 1)


WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip)
SETTINGS = st.one_of(
    st.tuples(st.just("aliases.x"), WORDS),
    st.tuples(st.just("providers.groq.api_key"), WORDS),
    st.tuples(st.just("providers.groq.models.x"), WORDS),
    st.tuples(st.just("server.port"), st.integers(0, 65_535)),
    st.tuples(st.just("pool.max_attempts"), st.integers(1, 1_000_000)),
    st.tuples(st.just("pool.affinity"), st.booleans()),
    st.tuples(st.just("gemini.enabled"), st.booleans()),
)


@bounds(max_examples=60)
@given(st.lists(SETTINGS, min_size=1, max_size=4), st.sampled_from([BEFORE, "", BEFORE.replace("\n", "\r\n")]))
def test_loading_returns_what_was_set(edits: list[tuple[str, Value]], text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "config.toml")
        path.write_bytes(text.encode())
        for key, value in edits:
            put(path, key, value)
        config = load(path, {}, known=KNOWN).config
    for key, value in dict(edits).items():
        found: object = config
        for part in key.split("."):
            found = found[part] if isinstance(found, dict) else getattr(found, part)
        assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("server.port", "9", 9),
        ("pool.affinity", "off", False),
        ("server.drain", "2.5", 2.5),
        ("providers.groq.protocols", "anthropic, gemini", ["anthropic", "gemini"]),
        ("aliases.x", "3", "3"),
    ],
)
def test_a_command_line_text_becomes_a_value(key: str, text: str, value: Value) -> None:
    assert from_text(key, text) == value


@pytest.mark.parametrize(
    ("key", "text", "message"),
    [
        ("server.prot", "1", 'server.prot: unknown key (did you mean "port"?)'),
        ("server.port", "x", 'server.port: expected a whole number from 0 to 65535, got the string "x"'),
        ("server", "x", 'server: expected a table, got the string "x"'),
    ],
)
def test_a_command_line_text_of_a_wrong_type_is_refused(key: str, text: str, message: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        from_text(key, text)
    assert str(caught.value) == message
