"""Which route a request takes, by what it is, and whose table sets it."""

from __future__ import annotations

import pytest

from bm.config.schema import Chain, Choice, Routes, RouteTable
from bm.dispatch.routes import resolve
from bm.dispatch.snapshot import RouteQuery, Traits
from bm.names import ProtocolName

PROVIDERS = ("gemini", "anthropic", "groq")
ALIASES: dict[str, Chain] = {"best": ("gemini:pro", "anthropic:opus"), "claude-haiku-old": "groq:old"}
ROUTES = Routes(
    background="groq:small",
    think="best",
    long_context="gemini:long",
    image="gemini:seeing",
    web_search="gemini:searching",
    default=("groq:usual", "sonnet"),
)
LONG = Traits(tokens=60_001)


def routed(
    routes: Routes | None,
    model: str = "claude-sonnet-5-5",
    traits: Traits | None = None,
    *,
    protocol: ProtocolName = "anthropic",
    tool: str = "",
    hooked: str = "",
) -> tuple[str, list[str]]:
    """The route and the names it leads to."""
    query = RouteQuery(model=model, protocol=protocol, traits=traits or Traits(), tool=tool, hooked=hooked)
    found = resolve(query, PROVIDERS, ALIASES, routes)
    return found.route, [f"{name.provider}:{name.model}".lstrip(":") for name in found.names]


@pytest.mark.parametrize(
    ("model", "traits", "route", "names"),
    [
        ("claude-sonnet-5-5", Traits(), "routes.default", ["groq:usual", "sonnet"]),
        ("gpt-5", Traits(), "routes.default", ["groq:usual", "sonnet"]),
        ("claude-haiku-5-5", Traits(), "routes.background", ["groq:small"]),
        ("claude-sonnet-5-5", Traits(thinking=True), "routes.think", ["gemini:pro", "anthropic:opus"]),
        ("claude-haiku-5-5", Traits(thinking=True), "routes.background", ["groq:small"]),
        ("claude-haiku-5-5", Traits(web_search=True), "routes.web_search", ["gemini:searching"]),
        ("claude-sonnet-5-5", Traits(images=True, thinking=True), "routes.image", ["gemini:seeing"]),
        ("claude-sonnet-5-5", LONG, "routes.long_context", ["gemini:long"]),
        ("claude-sonnet-5-5", Traits(tokens=60_000), "routes.default", ["groq:usual", "sonnet"]),
        (
            "claude-sonnet-5-5",
            Traits(tokens=60_001, images=True),
            "routes.long_context, routes.image",
            ["gemini:long", "gemini:seeing"],
        ),
    ],
)
def test_the_first_kind_that_applies(model: str, traits: Traits, route: str, names: list[str]) -> None:
    assert routed(ROUTES, model, traits) == (route, names)


@pytest.mark.parametrize(
    ("model", "names"),
    [
        ("groq:llama", ["groq:llama"]),
        ("claude-groq:llama", ["groq:llama"]),
        ("groq:best", ["groq:best"]),
        ("best", ["gemini:pro", "anthropic:opus"]),
        ("claude-haiku-old", ["groq:old"]),
    ],
)
def test_a_prefix_and_an_alias_are_the_users_own_choice(model: str, names: list[str]) -> None:
    assert routed(ROUTES, model, Traits(images=True, thinking=True, tokens=90_000)) == ("", names)


@pytest.mark.parametrize("routes", [None, Routes(), Routes(think="best"), Routes(default="")])
def test_without_a_route_that_applies_the_name_is_the_clients(routes: Routes | None) -> None:
    assert routed(routes) == ("", ["claude-sonnet-5-5"])


NARROW = Routes(
    think="opus",
    default="sonnet",
    long_context="gemini:long",
    anthropic=RouteTable(think="anthropic:opus", long_context_tokens=1_000),
    claude_code=RouteTable(think="", image="gemini:seeing", long_context_tokens=2_000),
    openai_chat=RouteTable(default="groq:usual"),
)


@pytest.mark.parametrize(
    ("protocol", "tool", "traits", "route"),
    [
        ("gemini", "", Traits(thinking=True), "routes.think"),
        ("anthropic", "", Traits(thinking=True), "routes.anthropic.think"),
        ("anthropic", "claude-code", Traits(thinking=True), "routes.default"),
        ("anthropic", "claude-code", Traits(images=True), "routes.claude-code.image"),
        ("anthropic", "", Traits(images=True), "routes.default"),
        ("openai-chat", "", Traits(), "routes.openai-chat.default"),
        ("anthropic", "", Traits(tokens=1_001), "routes.long_context"),
        ("anthropic", "claude-code", Traits(tokens=1_001), "routes.default"),
        ("gemini", "", Traits(tokens=2_001), "routes.default"),
    ],
)
def test_a_tool_goes_before_a_protocol_and_both_before_the_rest(
    protocol: ProtocolName, tool: str, traits: Traits, route: str
) -> None:
    assert routed(NARROW, protocol=protocol, tool=tool, traits=traits)[0] == route


def test_what_the_hook_names_goes_before_routes_and_aliases_but_not_before_a_prefix() -> None:
    thinking = Traits(thinking=True)
    assert routed(ROUTES, traits=thinking, hooked="best") == ("routes.hook", ["gemini:pro", "anthropic:opus"])
    assert routed(ROUTES, "best", hooked="groq:x") == ("routes.hook", ["groq:x"])
    assert routed(ROUTES, "groq:llama", hooked="best") == ("", ["groq:llama"])
    assert routed(ROUTES, traits=thinking, hooked="groq:best")[0] == "routes.think", "best names nothing of groq"


def test_the_steps_say_which_route_applies_and_why() -> None:
    routes = Routes(think=Choice(weighted={"best": 2, "gpt-5": 1}))
    query = RouteQuery(model="claude-opus-5-5", protocol="anthropic", traits=Traits(thinking=True))
    first, _, last = resolve(query, PROVIDERS, ALIASES, routes).names
    reason = "routes.think applies, as the request asks for thinking: best (2) or gpt-5 (1), at random by weight"
    assert first.steps == (reason, "the alias best stands for gemini:pro, then anthropic:opus")
    assert last.steps == (reason,)
