"""Loading a file: its settings, or every problem with its line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bm.config.load import InvalidConfig, Loaded, load, parse
from bm.config.schema import GEMINI_MODELS, Config
from bm.errors import ConfigError

KNOWN = ("anthropic", "groq", "together")

ERRORS = {
    "[server]\nprot = 1": '2: server.prot: unknown key (did you mean "port"?)',
    "\n[servr]\nport = 1": '2: servr: unknown key (did you mean "server"?)',
    "port = 1": '1: port: unknown key (did you mean "server.port"?)',
    "[server]\nzzz = 1": "2: server.zzz: unknown key",
    "[server]\nport = 'x'": ('2: server.port: expected a whole number from 0 to 65535, got the string "x"'),
    "[server]\nport = 70000": ("2: server.port: expected a whole number from 0 to 65535, got the number 70000"),
    "[server]\nport = true": "2: server.port: expected a whole number from 0 to 65535, got the value true",
    "[timeouts]\nidle = -1": "2: timeouts.idle: expected a number from 0 to 86400, got the number -1",
    "[timeouts]\nidle = nan": "2: timeouts.idle: expected a number from 0 to 86400, got the number nan",
    "[pool]\naffinity = 1": "2: pool.affinity: expected true or false, got the number 1",
    "[server]\nhost = 2020-01-01": "2: server.host: expected a string, got a date or time",
    "[server]\nhost = {}": "2: server.host: expected a string, got a table",
    "server = 1": "1: server: expected a table, got the number 1",
    "[[server]]\nport = 1": '1: server: expected a table, got the list [{"port":1}]',
    "[providers]\ngroq = 'on'": '2: providers.groq: expected a table, got the string "on"',
    "[providers.groq]\nmode = 'poold'": (
        '2: providers.groq.mode: expected one of "exclusive", "fallback", "off", "pooled", got the string "poold"'
        ' (did you mean "pooled"?)'
    ),
    "[providers.groq]\nprotocols = [\n'gemini',\n'antropic']": (
        '2: providers.groq.protocols: expected a list of "anthropic", "gemini", "openai-chat",'
        ' "openai-responses", got the list ["gemini","antropic"] (did you mean "anthropic"?)'
    ),
    "[providers.groq]\nmatch_models = 'x'": (
        '2: providers.groq.match_models: expected a list of strings, got the string "x"'
    ),
    "[providers.groq]\nmodels = { opus = 1 }": ("2: providers.groq.models.opus: expected a string, got the number 1"),
    "providers.groq.timeouts = { idel = 1 }": ('1: providers.groq.timeouts.idel: unknown key (did you mean "idle"?)'),
    "[providers.groq]\nprotocol = 'openai'": (
        '2: providers.groq.protocol: expected one of "anthropic", "gemini", "openai-chat", "openai-responses",'
        ' got the string "openai" (did you mean "openai-chat"?)'
    ),
}

SYNTAX = {
    "[server]\nport = \n": 2,
    "[server]\nport = 1\nport = 2\n": 3,
    "[server]\nhost = '''x": 2,
    "[server\nport = 1": 1,
}
"""The line of each error. The messages are those of tomllib and vary between versions of Python."""


def refused(text: str, environ: dict[str, str] | None = None) -> InvalidConfig:
    with pytest.raises(InvalidConfig) as caught:
        parse(text, environ or {}, known=KNOWN, path="config.toml")
    return caught.value


def test_a_missing_file_gives_the_defaults(tmp_path: Path) -> None:
    assert load(tmp_path / "none" / "config.toml", {}, known=KNOWN) == Loaded(config=Config())


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes("\ufeff[server]\r\nport = 9000\r\n[providers.groq]\r\nenabled = true\r\n".encode())
    config = load(path, {}, known=KNOWN).config
    assert (config.server.port, config.providers["groq"].enabled) == (9000, True)


def test_models_of_the_file_override_the_defaults() -> None:
    config = parse('[gemini.models]\nopus = "x"\ny = "z"', {}, known=KNOWN, path="").config
    assert config.gemini.models == {**GEMINI_MODELS, "opus": "x", "y": "z"}


def test_providers_keep_the_order_of_the_file() -> None:
    text = "[providers.together]\n[providers.groq.timeouts]\nidle = 1\n[providers.anthropic]"
    config = parse(text, {}, known=KNOWN, path="").config
    assert list(config.providers) == ["together", "groq", "anthropic"]


@pytest.mark.parametrize("text", ERRORS)
def test_a_problem_is_reported_with_its_line(text: str) -> None:
    assert str(refused(text)) == f"config.toml:{ERRORS[text]}"


@pytest.mark.parametrize("text", SYNTAX)
def test_invalid_toml_is_refused_with_its_line(text: str) -> None:
    error = refused(text)
    assert (error.path, error.line) == ("config.toml", SYNTAX[text])
    assert str(error).startswith(f"config.toml:{SYNTAX[text]}: not valid TOML: ")
    assert "at line" not in str(error)


def test_all_problems_are_reported_in_file_order() -> None:
    text = (
        '[providers.acme]\nmode = "on"\nprotocol = "http"\n\n[server]\nauth = "none"\nhost = "0.0.0.0"\nprot = 1\n'
        '[gemini]\nbase_url = "http://localhost:8094"\n'
    )
    error = refused(text, {"BM_SERVER_PORT": "x", "BM_POOL_NIX": "1"})
    places = [(problem.path, problem.line, problem.key) for problem in error.problems]
    assert places == [
        ("config.toml", 1, "providers.acme.base_url"),
        ("config.toml", 2, "providers.acme.mode"),
        ("config.toml", 3, "providers.acme.protocol"),
        ("config.toml", 6, "server.auth"),
        ("config.toml", 8, "server.prot"),
        ("config.toml", 10, "gemini.base_url"),
        ("", 0, "BM_SERVER_PORT"),
        ("", 0, "BM_POOL_NIX"),
    ]
    assert str(error).splitlines() == [str(problem) for problem in error.problems]
    assert (error.path, error.line, error.key) == places[0]


def test_a_file_that_is_not_utf_8_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b'[server]\nhost = "\xff"\n')
    with pytest.raises(ConfigError) as caught:
        load(path, {}, known=KNOWN)
    assert str(caught.value) == f"{path}:2: is not UTF-8 text"


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read") as caught:
        load(tmp_path, {}, known=KNOWN)
    assert caught.value.path == str(tmp_path)


@pytest.mark.parametrize("text", ["", "# only words", "[server]", "\n\n"])
def test_a_text_without_settings_gives_the_defaults(text: str) -> None:
    assert parse(text, {}, known=KNOWN, path="").config == Config()


def test_the_process_environment_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "BM_SERVER_PORT", "9999")
    assert parse("", {}, known=KNOWN, path="").config == Config()


@pytest.mark.parametrize(
    "text",
    [
        "x = " + "9" * 5000,
        "x = " + "[" * 3000 + "]" * 3000,
        'x = "\x00"',
        "x = 1e99999\nx = 2",
        "[" * 500,
        "a" + ".a" * 900 + " = 1",
        "x = 0x" + "f" * 6000,
    ],
)
def test_odd_files_are_a_config_error(text: str) -> None:
    with pytest.raises(ConfigError):
        parse(text, {}, known=(), path="config.toml")


def test_a_file_that_others_can_write_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.touch()
    path.chmod(0o666)
    with pytest.raises(ConfigError, match="chmod go-w"):
        load(path, {}, known=())
