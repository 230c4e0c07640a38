"""`bm config`: the file is read, changed and checked; secrets stay in it."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import pytest

from bm.config.paths import Paths
from bm.config.schema import Config, Gemini, ProviderConfig, UpstreamProxy
from bm.config.secrets import masked
from tests.cli.conftest import PLANTED, Bm


def test_path(bm: Bm, paths: Paths) -> None:
    assert bm("config", "path") == (0, f"{paths.config}\n", "")


def test_path_with_json_lists_all_files(bm: Bm, paths: Paths) -> None:
    shown = bm("config", "path", "--json").json
    assert (shown["config"], shown["log"]) == (str(paths.config), str(paths.log))


def test_show_prints_toml_and_the_variables_in_force(bm: Bm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BM_POOL_MAX_WAIT", "7")
    ran = bm("config", "show")
    shown = tomllib.loads(ran.out)
    assert shown["pool"]["max_wait"] == 7
    assert shown["server"]["host"] == "127.0.0.1"
    assert "# pool.max_wait comes from the environment variable BM_POOL_MAX_WAIT\n" in ran.out
    assert bm("config", "show", "--json").json == shown


def test_no_secret_is_shown(bm: Bm, paths: Paths) -> None:
    paths.config.write_text(f'[providers.groq]\napi_key = "{PLANTED}"\nheaders = {{ x = "{PLANTED}" }}\n')
    shown = [bm("config", "show"), bm("config", "show", "--json"), bm("config", "get", "providers.groq")]
    shown += [bm("config", "get", "providers.groq.api_key"), bm("providers"), bm("accounts"), bm("doctor")]
    assert [ran for ran in shown if PLANTED in ran.out + ran.err] == []
    assert shown[3].out == "plan…cdef\n"


def test_set_get_unset(bm: Bm, paths: Paths) -> None:
    assert bm("config", "set", "pool.max_wait", "5") == (0, "", "")
    assert bm("config", "get", "pool.max_wait") == (0, "5\n", "")
    assert bm("config", "set", "pool.strict", "true").code == 0
    assert bm("config", "get", "pool.strict").out == "true\n"
    assert bm("config", "get", "pool", "--json").json["strict"] is True
    assert bm("config", "unset", "pool.max_wait").code == 0
    assert bm("config", "get", "pool.max_wait").out == "30\n"


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("set", "server.prot", "1"), "server.prot: unknown key"),
        (("set", "server.port", "many"), "server.port"),
        (("set", "providers.groq.mode", "maybe"), "providers.groq.mode"),
        (("get", "server.prot"), 'server.prot: unknown key (did you mean "port"?)'),
        (("get", "providers.groq.mood"), 'providers.groq.mood: unknown key (did you mean "mode"?)'),
        (("unset", "server.prot"), 'server.prot: unknown key (did you mean "port"?)'),
    ],
)
def test_errors_are_named_and_nothing_is_written(bm: Bm, paths: Paths, words: tuple[str, ...], error: str) -> None:
    ran = bm("config", *words)
    assert (ran.code, ran.out) == (2, "")
    assert error in ran.err
    assert not paths.config.exists()


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("get", "aliases.fast"), "aliases.fast is not set"),
        (("get", "providers.acme.mode"), "providers.acme.mode is not set"),
    ],
)
def test_what_is_not_set_is_not_printed(bm: Bm, words: tuple[str, ...], error: str) -> None:
    assert bm("config", *words) == (1, "", f"error: {error}\n")


@pytest.mark.parametrize("key", ["aliases.fast", "pool.max_wait"])
def test_what_is_not_set_is_removed_already(bm: Bm, paths: Paths, key: str) -> None:
    assert bm("config", "unset", key) == (0, "", f"{key} is not in {paths.config}\n")


def test_the_settings_of_a_provider_that_the_file_does_not_name_are_its_defaults(bm: Bm) -> None:
    assert bm("config", "get", "providers.groq.mode").out == "off\n"
    assert bm("config", "get", "providers.groq.enabled").out == "false\n"


def test_a_key_is_refused_on_the_command_line(bm: Bm, paths: Paths) -> None:
    ran = bm("config", "set", "providers.groq.api_key", PLANTED)
    assert ran.code == 2
    assert "bm providers key groq" in ran.err
    assert PLANTED not in ran.err
    assert not paths.config.exists()
    assert bm("config", "set", "providers.groq.api_key", "env:MY_KEY").code == 0


def test_check(bm: Bm, paths: Paths) -> None:
    assert bm("config", "check").out == "the configuration is valid\n"
    paths.config.write_text("[server]\nport = 1\nport = 2\n")
    ran = bm("config", "check")
    assert ran.code == 2
    assert ran.err.startswith(f"error: {paths.config}:3: not valid TOML")


def test_check_for_programs(bm: Bm, paths: Paths) -> None:
    assert bm("config", "check", "--json").json == {
        "valid": True,
        "path": str(paths.config),
        "problems": [],
        "warnings": [],
    }
    paths.config.write_text("[server]\nprot = 1\n[pool]\nmax_wait = -1\n")
    ran = bm("config", "check", "--json")
    assert (ran.code, ran.err) == (2, "")
    first, second = ran.json["problems"]
    assert (first["line"], first["key"], first["hint"]) == (2, "server.prot", 'did you mean "port"?')
    assert (second["line"], second["key"]) == (4, "pool.max_wait")


def test_a_running_daemon_keeps_its_address(bm: Bm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BM_SERVER_PORT")
    assert bm("config", "set", "server.port", "0") == (0, "", "")
    bm("start")
    note = "note: server.host applies after bm restart\n"
    assert bm("config", "set", "server.host", "127.0.0.2").err == note
    assert bm("config", "set", "pool.strict", "true").err == ""
    assert bm("config", "set", "shared.node", "other").err == "note: shared.node applies after bm restart\n"
    assert "note: the configured address is now http://127.0.0.2:0: bm restart" in bm("status").err
    assert bm("config", "unset", "server.host").err == note
    assert bm("status").err == ""


def test_without_a_terminal_no_editor_is_guessed(bm: Bm, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VISUAL", "EDITOR"):
        monkeypatch.delenv(name, raising=False)
    ran = bm("config", "edit")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("error: an editor needs a terminal")


def editor(folder: Path, text: str) -> str:
    """A program that writes `text` to the file it is given."""
    program = folder / "editor.py"
    program.write_text(f"import sys; open(sys.argv[1], 'w').write({text!r})")
    return f"'{sys.executable}' '{program}'" if sys.platform != "win32" else f'"{sys.executable}" "{program}"'


def test_an_edit_is_checked(bm: Bm, paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISUAL", editor(tmp_path, "[pool]\nstrict = true\n"))
    assert bm("config", "edit").out == "the configuration is valid\n"
    assert paths.config.read_text() == "[pool]\nstrict = true\n"
    monkeypatch.setenv("VISUAL", editor(tmp_path, "[pool]\nstrikt = true\n"))
    ran = bm("config", "edit")
    assert ran.code == 2
    assert f"{paths.config}:2: pool.strikt" in ran.err


def test_an_editor_that_does_not_exist(bm: Bm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISUAL", "no-such-editor")
    ran = bm("config", "edit")
    assert ran.code == 2
    assert "cannot run the editor 'no-such-editor'" in ran.err


def test_keys_headers_and_passwords_are_masked() -> None:
    shown = masked(
        Config(
            upstream_proxy=UpstreamProxy(url=f"http://user:{PLANTED}@proxy:3128"),
            gemini=Gemini(headers={"x-token": PLANTED}),
            providers={
                "groq": ProviderConfig(api_key=PLANTED, base_url=f"https://{PLANTED}@example.com/v1"),
                "together": ProviderConfig(api_key="env:TOGETHER_API_KEY", base_url="https://example.com/v1"),
            },
        )
    )
    assert PLANTED not in str(shown)
    assert shown["upstream_proxy"]["url"] == "http://…@proxy:3128"
    assert shown["gemini"]["headers"] == {"x-token": "…"}
    assert shown["providers"]["groq"]["api_key"] == "plan…cdef"
    assert shown["providers"]["together"]["api_key"] == "env:TOGETHER_API_KEY"
    assert shown["providers"]["together"]["base_url"] == "https://example.com/v1"


def test_unset_values_are_left_out() -> None:
    assert "proxy" not in masked(Config())["gemini"]
    assert masked(Config())["server"]["port"] == 8094


def test_an_alias_to_a_misspelt_provider_is_refused_and_found_in_the_file(bm: Bm, paths: Paths) -> None:
    ran = bm("config", "set", "aliases.fast", "gorq:llama")
    assert (ran.code, ran.err) == (
        2,
        'error: aliases.fast: no provider is named "gorq" (did you mean "groq:llama"?)\n',
    )
    assert not paths.config.exists()
    assert bm("config", "set", "aliases.fast", "groq:llama").code == 0
    assert bm("config", "set", "aliases.small", "llama3:8b").code == 0
    paths.config.write_text('[aliases]\nfast = "opnai:gpt-5"\nquick = "fast"\n')
    fault = f'{paths.config}:2: aliases.fast: no provider is named "opnai" (did you mean "openai:gpt-5"?)'
    assert bm("config", "check").err == f"error: {fault}\n"


def test_chains_are_set_as_toml(bm: Bm, paths: Paths) -> None:
    assert bm("config", "set", "aliases.best", '["gemini:pro", "anthropic:opus"]').code == 0
    assert bm("config", "set", "routes.claude-code.background", '{ weighted = { "best" = 2, haiku = 1 } }').code == 0
    text = paths.config.read_text()
    assert 'best = ["gemini:pro", "anthropic:opus"]' in text
    assert bm("config", "get", "routes.claude-code.background").json == {"weighted": {"best": 2, "haiku": 1}}
    ran = bm("config", "set", "routes.backgroud", "haiku")
    assert ran.code == 2 and 'did you mean "background"?' in ran.err
    assert paths.config.read_text() == text
