"""Parsing of texts by the kind of a setting, the schema check, and the rules beyond types."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bm.config.keys import split
from bm.config.load import InvalidConfig, parse
from bm.config.schema import Config
from bm.config.validation import SCHEMA, broken_rules, checked, fits, is_table, kind_of, members, nearest, read


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("server.port", "9000", 9000),
        ("server.port", " 9000 ", 9000),
        ("server.host", " x ", " x "),
        ("server.drain", "2.5", 2.5),
        ("server.drain", "3", 3),
        ("pool.affinity", "false", False),
        ("pool.affinity", "On", True),
        ("pool.affinity", "0", False),
        ("server.auth", "none", "none"),
        ("providers.x.protocols", "anthropic, gemini", ["anthropic", "gemini"]),
        ("providers.x.protocols", '["anthropic"]', ["anthropic"]),
        ("providers.x.match_models", "", []),
        ("providers.x.timeouts.idle", "7", 7),
        ("gemini.models", '{ opus = "x" }', {"opus": "x"}),
        ("gemini.models.opus", "x", "x"),
        ("aliases.fast", "groq:x", "groq:x"),
    ],
)
def test_a_text_is_parsed_by_the_kind_of_its_setting(key: str, text: str, value: Any) -> None:
    kind = kind_of(split(key))
    assert kind is not None
    found = read(text, kind)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("server.port", "x"),
        ("server.port", "1.5"),
        ("server.port", "true"),
        ("server.port", "1\nx = 2"),
        ("server.port", "-1"),
        ("server.drain", "nan"),
        ("server.drain", "inf"),
        ("pool.affinity", "perhaps"),
        ("providers.x.protocols", "[1]"),
        ("providers.x.protocols", "[broken"),
        ("server.auth", "None"),
    ],
)
def test_a_text_that_cannot_be_parsed_does_not_fit(key: str, text: str) -> None:
    kind = kind_of(split(key))
    assert kind is not None
    assert not fits(read(text, kind), kind)


WORDS = st.sampled_from(
    ["server", "port", "providers", "groq", "mode", "pooled", "timeouts", "idle", "models", "aliases", "x"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(WORDS, below, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(WORDS, VALUES, max_size=4))
def test_accepted_values_always_form_a_configuration(raw: dict[str, Any]) -> None:
    kept, problems = checked(raw)
    msgspec.convert(kept, Config)
    assert (kept == raw) is (not problems)


def test_valid_keys_beside_an_invalid_one_are_kept() -> None:
    kept, problems = checked({"server": {"port": 1, "prot": 2, "auth": "nome"}})
    assert kept == {"server": {"port": 1}}
    assert [problem.key for problem in problems] == [("server", "prot"), ("server", "auth")]


@pytest.mark.parametrize("key", [("api_key",), ("headers", "x-token"), ("proxy", "url")])
def test_a_misplaced_secret_is_not_quoted(key: tuple[str, ...]) -> None:
    value: Any = ["planted-secret"]
    for part in reversed(key):
        value = {part: value}
    (problem,) = checked({"providers": {"acme": value}})[1]
    assert problem.message == "expected a string, got a list"
    assert problem.key == ("providers", "acme", *key)


def test_a_secret_in_the_wrong_place_is_not_quoted() -> None:
    secret = "planted-secret-1234567890"
    raw = {"providers": {"acme": {"mode": secret, "protocols": [secret]}, "groq": secret}}
    problems = checked(raw)[1]
    assert len(problems) == 3
    assert secret not in str(problems)


@pytest.mark.parametrize(
    ("key", "exists"),
    [
        (("server",), True),
        (("server", "port"), True),
        (("server", "port", "x"), False),
        (("providers", "any", "timeouts", "idle"), True),
        (("providers", "any", "nothing"), False),
        (("aliases", "any"), True),
        (("nothing",), False),
    ],
)
def test_kind_of(key: tuple[str, ...], exists: bool) -> None:
    assert (kind_of(key) is not None) is exists


def test_every_section_is_a_table() -> None:
    assert members(SCHEMA) == list(Config.__struct_fields__)
    for section in members(SCHEMA):
        kind = kind_of((section,))
        assert kind is not None
        assert is_table(kind)


KNOWN = ("anthropic", "groq", "together")
ACME = '[providers.acme]\nprotocol = "openai-chat"\nbase_url = "https://llm.example/v1"\n'

BROKEN = {
    '[server]\nauth = "none"\nhost = "0.0.0.0"': (
        '2: server.auth: "none" is refused while host "0.0.0.0" accepts other machines'
        ' (write auth = "key" or host = "127.0.0.1")'
    ),
    '[server]\nhost = ""': ('2: server.host: is empty (write "127.0.0.1", or "0.0.0.0" for every interface)'),
    '[budgets]\ntotal = ["20/day", "2M/day"]': (
        "2: budgets.total: '2M/day': say whether it is tokens, such as 20/day, 200/month or 2M tokens/day"
    ),
    '[budgets.providers]\ngrok = "1/day"': (
        "1: budgets.providers: no provider is named 'grok' (did you mean \"groq\"?)"
    ),
    '[budgets]\nfree = ["acme"]': "2: budgets.free: no provider is named 'acme'",
    '[budgets]\non_exhausted = "cheap"': (
        '2: budgets.on_exhausted: \'cheap\' is neither (write "refuse", or "route:" and a model or alias)'
    ),
    '[providers.gemini]\nmode = "off"': ("1: providers.gemini: the Gemini API has its own section (write [gemini])"),
    "[providers.'a b']": '1: providers."a b": a provider name consists of a-z, 0-9, - and _',
    '[providers.grok]\nprotocol = "openai-chat"': ('1: providers.grok.base_url: is missing (did you mean "groq"?)'),
    '[providers.zzz]\nbase_url = "https://x.example"': (
        '1: providers.zzz.protocol: is missing (bm has no built-in provider "zzz")'
    ),
    '[providers.groq]\nbase_url = "api.groq.com"': ("2: providers.groq.base_url: is not an http or https URL"),
    '[providers.groq]\nbase_url = "https://x:port/"': ("2: providers.groq.base_url: is not an http or https URL"),
    '[providers.groq]\nbase_url = "http://localhost:8094/v1"': (
        "2: providers.groq.base_url: points at bm itself (write the address of the provider)"
    ),
    '[gemini]\nbase_url = "http://127.0.0.1:9000"\n[server]\nport = 9000': (
        "2: gemini.base_url: points at bm itself (write the address of the provider)"
    ),
    '[gemini]\nbase_url = ""': "2: gemini.base_url: is empty (remove the line to get the default)",
    '[gemini.headers]\n"a b" = "x"': '2: gemini.headers."a b": is not a header name',
    '[gemini.headers]\nx = "a\\r\\nb: c"': (
        "2: gemini.headers.x: a header value must not contain line breaks or control characters"
    ),
    '[upstream_proxy]\nurl = "http://proxy:port"': (
        '2: upstream_proxy.url: has no valid host and port (such as "http://proxy:3128")'
    ),
    '[providers.groq.proxy]\nurl = "ftp://proxy"': (
        '2: providers.groq.proxy.url: is not the URL of an http, https or socks5 proxy (such as "http://proxy:3128")'
    ),
    '[ledger]\nurl = "mysql://bm:secret-one@db/bm"': (
        "2: ledger.url: is not the URL of a PostgreSQL database"
        ' (such as "postgresql://USER:PASSWORD@HOST:5432/DATABASE")'
    ),
    '[ledger]\nurl = "postgresql://db/bm?password=secret-one"': (
        "2: ledger.url: has a password among its options, where it would be shown"
        " (write it before the @, set PGPASSWORD, or name a passfile)"
    ),
    '[aliases]\nfast = ""': "2: aliases.fast: names no model",
}


@pytest.mark.parametrize("text", BROKEN)
def test_a_broken_rule_is_reported(text: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        parse(text, {}, known=KNOWN, path="config.toml")
    assert str(caught.value) == f"config.toml:{BROKEN[text]}"


@pytest.mark.parametrize(
    "text",
    [
        '[server]\nauth = "none"\nhost = "::1"',
        '[server]\nauth = "none"\nhost = "localhost"',
        '[server]\nhost = "0.0.0.0"',
        ACME,
        '[providers.groq]\nbase_url = "http://127.0.0.1:11434/v1"',
        '[upstream_proxy]\nurl = "socks5h://user:pass@127.0.0.1:1080"',
        '[upstream_proxy]\nurl = "direct"',
        '[providers.groq.headers]\nx-team = "blue"',
        '[ledger]\nurl = "postgresql://bm@one:5432,two:5433/bm?target_session_attrs=read-write"',
        '[ledger]\nurl = "postgres:///bm?host=/run/postgresql"',
        '[aliases]\n"my:fast" = "groq:x"',
    ],
)
def test_valid_configurations_break_no_rule(text: str) -> None:
    config = parse(text, {}, known=KNOWN, path="config.toml").config
    assert list(broken_rules(config, KNOWN)) == []


@pytest.mark.parametrize(
    ("word", "hint"),
    [("prot", 'did you mean "port"?'), ("PORT", 'did you mean "port"?'), ("zzz", ""), ("", "")],
)
def test_nearest(word: str, hint: str) -> None:
    assert nearest(word, ["host", "port"]) == hint
