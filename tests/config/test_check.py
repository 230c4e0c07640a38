"""The rules beyond types, one row each."""

from __future__ import annotations

import pytest

from bm.config.check import broken_rules
from bm.config.load import InvalidConfig, parse

KNOWN = ("anthropic", "groq", "together")
ACME = '[providers.acme]\nprotocol = "openai-chat"\nbase_url = "https://llm.example/v1"\n'

BROKEN = {
    '[server]\nauth = "none"\nhost = "0.0.0.0"': (
        '2: server.auth: "none" is refused while host "0.0.0.0" lets other machines in'
        ' (write auth = "key" or host = "127.0.0.1")'
    ),
    '[server]\nhost = ""': ('2: server.host: is empty (write "127.0.0.1", or "0.0.0.0" for every network)'),
    '[providers.gemini]\nmode = "off"': (
        "1: providers.gemini: the Gemini API has a section of its own (write [gemini])"
    ),
    "[providers.'a b']": '1: providers."a b": a provider\'s name is made of a-z, 0-9, - and _',
    '[providers.grok]\nprotocol = "openai-chat"': ('1: providers.grok.base_url: is missing (did you mean "groq"?)'),
    '[providers.zzz]\nbase_url = "https://x.example"': (
        '1: providers.zzz.protocol: is missing (bm has no provider "zzz" of its own)'
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
    '[gemini.headers]\n"a b" = "x"': '2: gemini.headers."a b": is not the name of a header',
    '[gemini.headers]\nx = "a\\r\\nb: c"': (
        "2: gemini.headers.x: a header's value holds no line breaks or control characters"
    ),
    '[upstream_proxy]\nurl = "proxy:3128"': (
        '2: upstream_proxy.url: is not the URL of an http, https or socks5 proxy (such as "http://proxy:3128")'
    ),
    '[providers.groq.proxy]\nurl = "ftp://proxy"': (
        '2: providers.groq.proxy.url: is not the URL of an http, https or socks5 proxy (such as "http://proxy:3128")'
    ),
    '[aliases]\nfast = ""': "2: aliases.fast: names no model",
}


@pytest.mark.parametrize("text", BROKEN)
def test_a_broken_rule_is_told(text: str) -> None:
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
        '[aliases]\n"my:fast" = "groq:x"',
    ],
)
def test_what_the_rules_allow(text: str) -> None:
    config = parse(text, {}, known=KNOWN, path="config.toml").config
    assert list(broken_rules(config, KNOWN)) == []
