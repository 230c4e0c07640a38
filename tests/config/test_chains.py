"""What aliases and routes may name, and how the configuration says that one leads nowhere."""

from __future__ import annotations

import pytest

from bm.config.chains import described, names_in, nearest_prefix, split_prefix
from bm.config.load import parse
from bm.config.schema import Chain, Choice
from bm.errors import ConfigError

PROVIDERS = ("anthropic", "gemini", "groq", "ollama", "openai", "together")


@pytest.mark.parametrize(
    ("asked", "provider", "model"),
    [
        ("groq:llama-3.3-70b-versatile", "groq", "llama-3.3-70b-versatile"),
        ("together:meta-llama/Llama-3.3:free", "together", "meta-llama/Llama-3.3:free"),
        ("GROQ: openai/gpt-oss-120b", "groq", "openai/gpt-oss-120b"),
        ("meta-llama/Llama:free", "", "meta-llama/Llama:free"),
        ("ft:gpt-4o:org::id", "", "ft:gpt-4o:org::id"),
        ("llama3.2:1b", "", "llama3.2:1b"),
        ("groq:", "", "groq:"),
        ("groq", "", "groq"),
        (":x", "", ":x"),
    ],
)
def test_only_the_name_of_a_provider_is_a_prefix(asked: str, provider: str, model: str) -> None:
    assert split_prefix(asked, PROVIDERS) == (provider, model)


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("opnai:gpt-5", "openai:gpt-5"),
        ("grok:foo", "groq:foo"),
        ("Gorq: llama-3.3:free", "groq:llama-3.3:free"),
        ("llama3:8b", ""),
        ("llama:free", ""),
        ("ft:gpt-4o:org", ""),
        ("qwen2.5-coder:7b", ""),
        ("openai", ""),
        ("opnai:", ""),
    ],
)
def test_a_prefix_that_is_nearly_a_providers(asked: str, meant: str) -> None:
    assert nearest_prefix(asked, ["gemini", "openai", "groq", "ollama", "together"]) == meant


@pytest.mark.parametrize(
    ("chain", "names", "words"),
    [
        ("a", ("a",), "a"),
        ("", (), "no model"),
        (("a", "b"), ("a", "b"), "a, then b"),
        (Choice(weighted={"a": 3, "b": 1}), ("a", "b"), "a (3) or b (1), at random by weight"),
        (Choice(cheapest=("a", "b")), ("a", "b"), "the cheapest of a, b"),
    ],
)
def test_the_names_of_a_chain_and_the_chain_in_words(chain: Chain, names: tuple[str, ...], words: str) -> None:
    assert (names_in(chain), described(chain)) == (names, words)


def load(text: str, environ: dict[str, str] | None = None) -> str:
    """What is wrong with the text; empty if nothing is."""
    try:
        parse(text, environ or {}, known=PROVIDERS, path="config.toml")
    except ConfigError as error:
        return str(error).replace("config.toml:", "")
    return ""


@pytest.mark.parametrize(
    "text",
    [
        'fast = "groq:llama"',
        'best = ["gemini:pro", "anthropic:opus"]',
        'mixed = { weighted = { "gemini:pro" = 3, "anthropic:opus" = 1 } }',
        'frugal = { cheapest = ["groq:llama", "gpt-5"] }',
        'gpt-5 = ["openai:gpt-5", "gpt-5"]',
        'gpt-5 = "openai:gpt-5"',
        'a = ["b", "c"]\nb = "c"\nc = "x"',
        'small = "llama3:8b"',
        'ruled = "openia:x"\n"openia:x" = "groq:y"',
    ],
)
def test_what_an_alias_may_be(text: str) -> None:
    assert load(f"[aliases]\n{text}\n") == ""


TYPES = "expected a string, a list of strings or a table"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('fast = ""', "2: aliases.fast: names no model"),
        ("fast = []", "2: aliases.fast: names no model"),
        ('fast = ["groq:x", ""]', "2: aliases.fast: names no model"),
        ("fast = 3", f"2: aliases.fast: {TYPES}, got the number 3"),
        ("fast = [1]", f"2: aliases.fast: {TYPES}, got the list [1]"),
        ("fast = { weighed = 1 }", '2: aliases.fast.weighed: unknown key (did you mean "weighted"?)'),
        (
            'fast = { weighted = { "groq:x" = 0 } }',
            '2: aliases.fast.weighted."groq:x": expected a whole number from 1 to 1000, got the number 0',
        ),
        (
            "fast = { cheapest = [] }",
            "2: aliases.fast: expected either names with weights or a list of names (such as "
            "{ weighted = { fast = 2, best = 1 } } or { cheapest = [...] })",
        ),
        (
            'fast = ["gemini:pro",\n  "gorq:llama"]',
            '2: aliases.fast: no provider is named "gorq" (did you mean "groq:llama"?)',
        ),
        (
            'best = { cheapest = ["opnai:x"] }',
            '2: aliases.best: no provider is named "opnai" (did you mean "openai:x"?)',
        ),
        ('fast = "groq"', '2: aliases.fast: "groq" is a provider and no model (such as "groq:MODEL")'),
        ('fast = ["Groq:"]', '2: aliases.fast: "Groq:" is a provider and no model (such as "groq:MODEL")'),
        ('fast = "groq,openai/x"', '2: aliases.fast: "groq,openai/x" has no prefix (did you mean "groq:openai/x"?)'),
        (
            'smart = "groq:x"\nfast = "smrat"',
            '3: aliases.fast: no alias is named "smrat" (did you mean "smart"?)',
        ),
        (
            'a = "b"\nb = ["x", "c"]\nc = "a"',
            "2: aliases.a: the aliases go in a circle: a → b → c → a (let one of them name a model)",
        ),
        (
            'in = "a"\na = "groq:b"\nb = { cheapest = ["a"] }',
            "3: aliases.a: the aliases go in a circle: a → b → a (let one of them name a model)",
        ),
    ],
)
def test_what_an_alias_may_not_be(text: str, problem: str) -> None:
    assert load(f"[aliases]\n{text}\n") == problem


def test_aliases_that_lead_to_one_another_for_ever() -> None:
    long = "\n".join(f'a{number} = ["a{number + 1}", "a{number + 2}"]' for number in range(60))
    assert load(f"[aliases]\n{long}\n").startswith("2: aliases.a0: leads through more than 20 aliases")


@pytest.mark.parametrize(
    "text",
    [
        'background = "groq:llama"\nlong_context_tokens = 100000\nlong_context = ["gemini:pro", "opus"]',
        'think = { cheapest = ["opus", "gpt-5"] }\nhook = "routes.py:choose"',
        '[routes.anthropic]\nimage = "gemini:flash"\n[routes.claude-code]\nthink = ""\n',
        "[routes.openai-responses]\nlong_context_tokens = 9\n[routes.codex]\ndefault = []",
    ],
)
def test_what_routes_may_be(text: str) -> None:
    assert load(f"[routes]\n{text}\n") == ""


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('backgroud = "x"', '2: routes.backgroud: unknown key (did you mean "background"?)'),
        ('[routes.claude-cod]\nthink = "x"', '2: routes.claude-cod: unknown key (did you mean "claude-code"?)'),
        ('[routes.codex]\nthnik = "x"', '3: routes.codex.thnik: unknown key (did you mean "think"?)'),
        ('hook = "routes.py"', '2: routes.hook: expected FILE:FUNCTION (such as "routes.py:choose")'),
        ('think = ["opus", "gorq:x"]', '2: routes.think: no provider is named "gorq" (did you mean "groq:x"?)'),
        (
            '[routes.codex]\nthink = "bset"\n[aliases]\nbest = "opus"',
            '3: routes.codex.think: no alias is named "bset" (did you mean "best"?)',
        ),
        (
            "long_context_tokens = 0",
            "2: routes.long_context_tokens: expected a whole number from 1 to 100000000, got the number 0",
        ),
    ],
)
def test_what_routes_may_not_be(text: str, problem: str) -> None:
    assert load(f"[routes]\n{text}\n") == problem


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("cheap", ""),
        ("haiku", ""),
        ("chaep", '2: budgets.on_exhausted: no alias is named "chaep" (did you mean "cheap"?)'),
        ("gorq:x", '2: budgets.on_exhausted: no provider is named "gorq" (did you mean "groq:x"?)'),
    ],
)
def test_what_serves_when_a_budget_is_spent(name: str, problem: str) -> None:
    assert load(f'[budgets]\non_exhausted = "route:{name}"\n[aliases]\ncheap = "haiku"\n') == problem


def test_the_environment_sets_chains() -> None:
    environ = {
        "BM_ALIASES_BEST": '["gemini:pro", "anthropic:opus"]',
        "BM_ROUTES_THINK": "best",
        "BM_ROUTES_IMAGE": "gemini:flash, best",
        "BM_ROUTES_CLAUDE_CODE_BACKGROUND": '{ cheapest = ["haiku"] }',
    }
    config = parse("", environ, known=PROVIDERS, path="config.toml").config
    assert config.aliases == {"best": ("gemini:pro", "anthropic:opus")}
    assert (config.routes.think, config.routes.image) == ("best", ("gemini:flash", "best"))
    assert config.routes.claude_code.background == Choice(cheapest=("haiku",))
