"""The admin endpoints for aliases and routes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gateway.world import World
from tests.support.waiting import soon

CHAINS = """[aliases]
best = ["gemini:pro", "groq:openai/gpt-oss-120b"]
[routes]
think = "best"
long_context_tokens = 1000
[routes.codex]
image = { cheapest = ["gemini:flash", "gemini:pro"] }
"""


def put(world: World, key: list[str], value: Any) -> Any:
    answer = world.http.put("/admin/routing", json={"key": key, "value": value})
    return answer.json() | {"status": answer.status_code}


def shown(answer: Any) -> dict[str, Any]:
    return {".".join(row["key"]): row["value"] for row in answer["chains"]}


def test_the_aliases_and_routes_in_force(world: World) -> None:
    world.set_up(modes={"groq": "fallback"}, more=CHAINS)
    found = world.admin("routing")
    assert shown(found) == {
        "aliases.best": ["gemini:pro", "groq:openai/gpt-oss-120b"],
        "routes.think": "best",
        "routes.codex.image": {"cheapest": ["gemini:flash", "gemini:pro"]},
    }
    assert found["chains"][0]["words"] == "gemini:pro, then groq:openai/gpt-oss-120b"
    assert found["long_context_tokens"] == 1000 and "codex" in found["tables"]["tools"]


def test_they_are_changed_and_removed_with_the_checks_of_the_command_line(world: World) -> None:
    world.set_up(modes={"groq": "fallback"}, more=CHAINS)
    assert put(world, ["routes", "claude-code", "background"], ["gemini:flash-lite", "best"])["error"] is None
    assert shown(put(world, ["routes", "think"], None)).keys() == {
        "aliases.best",
        "routes.codex.image",
        "routes.claude-code.background",
    }
    answer = put(world, ["aliases", "gpt-5.1"], {"weighted": {"best": 2, "gemini:flash": 1}})
    assert shown(answer)["aliases.gpt-5.1"] == {"weighted": {"best": 2, "gemini:flash": 1}}
    assert world.admin("route", {"model": "gpt-5.1"})["targets"][0]["model"] == "gemini-3.1-pro-preview"


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        (["routes", "think"], "gorq:x", 'routes.think: no provider is named "gorq" (did you mean "groq:x"?)'),
        (["aliases", "a"], ["best", ""], "aliases.a: names no model"),
        (["aliases", "best"], "quick", None),
        (["aliases", "a"], 3, "aliases.a: expected a string, a list of strings or a table, got the number 3"),
        (["routes", "cursor", "think"], "best", "routes.cursor: unknown key"),
        (["routes", "hook"], "evil.py:run", "routes.hook is no alias and no route; a hook is set in a terminal"),
        (["server", "port"], 1, "server.port is no alias and no route; a hook is set in a terminal"),
    ],
)
def test_what_is_wrong_is_refused(world: World, key: list[str], value: Any, problem: str | None) -> None:
    world.set_up(modes={"groq": "fallback"}, more=CHAINS)
    answer = put(world, key, value)
    assert answer["status"] == (200 if problem is None else 400)
    assert problem is None or problem in answer["error"]


def test_the_route_of_a_request_that_might_be_made(world: World) -> None:
    world.set_up(modes={"groq": "fallback"}, more=CHAINS)
    asked = {"model": "opus", "thinking": True, "tool": "codex"}
    found = world.admin("route", asked)
    assert found["route"] == "routes.think"
    assert [(target["model"], target["link"]) for target in found["targets"]] == [
        ("gemini-3.1-pro-preview", 0),
        ("gemini-3.1-pro-preview", 0),
        ("openai/gpt-oss-120b", 1),
    ]
    assert found["steps"][0] == "routes.think applies, as the request asks for thinking: best"
    pictures = world.admin("route", asked | {"requirements": ["images"]})
    assert pictures["route"] == "routes.codex.image"
    assert pictures["targets"][0]["model"] == "gemini-3.8-flash"


def test_a_name_that_no_provider_has_is_answered_with_the_nearest(world: World) -> None:
    world.set_up(more='[aliases]\nquickest = "gemini:flash-lite"\n')
    world.admin("models")
    assert world.admin("route", {"model": "quikest"})["near"] == "quickest"
    assert world.admin("route", {"model": "gemini-3.1-pro-previw"})["near"] == "gemini-3.1-pro-preview"
    assert world.admin("route", {"model": "gpt-5"})["near"] is None


HOOK = """def choose(model, needs, headers):
    if needs["protocol"] == "gemini":
        raise RuntimeError("not today")
    return "groq:openai/gpt-oss-20b" if needs["thinking"] and headers["x-team"] == "red" else None
"""


def test_a_hook_is_asked_first_and_read_again_when_its_file_changes(world: World) -> None:
    path = world.daemon.paths.config.with_name("routes.py")
    path.write_text(HOOK)
    world.set_up(
        modes={"groq": "fallback"},
        more=f"{CHAINS}[routes.anthropic]\n".replace("[routes]\n", '[routes]\nhook = "routes.py:choose"\n'),
    )
    thinking: Any = {"thinking": {"type": "enabled", "budget_tokens": 1024}}
    answer = world.ask("anthropic", headers={"x-team": "red"}, **thinking)
    assert answer.bm("model") == "openai/gpt-oss-20b"
    assert world.admin(f"why/{answer.bm('request-id')}")["route"] == "routes.hook"
    assert world.ask("anthropic", headers={"x-team": "blue"}, **thinking).bm("model") == "gemini-3.1-pro-preview"
    assert world.ask("gemini").complete
    assert [words for words in world.admin("status")["failures"] if "RuntimeError: not today" in words]
    path.write_text(HOOK.replace("gpt-oss-20b", "gpt-oss-120b"))
    asked = {"x-team": "red"}
    assert soon(lambda: world.ask("anthropic", headers=asked, **thinking).bm("model") == "openai/gpt-oss-120b")
    path.write_text("def choose(:\n")
    assert soon(lambda: "SyntaxError" in (world.admin("status")["config"]["error"] or ""))
    assert world.ask("anthropic", headers=asked, **thinking).bm("model") == "openai/gpt-oss-120b"
