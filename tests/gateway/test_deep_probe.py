"""`bm test --deep`: what models take."""

from __future__ import annotations

from typing import Any

from bm.simulator import Rule
from tests.gateway.world import World


def asked(world: World, *, dry: bool = False) -> dict[str, Any]:
    answer: dict[str, Any] = world.admin("probe/deep", {"names": ["groq"], "dry": dry})
    return answer


def test_the_cost_is_reported_before_anything_is_sent(world: World) -> None:
    world.set_up(modes={"groq": "pooled"})
    plan = asked(world, dry=True)["plan"]
    assert {row["provider"] for row in plan} == {"groq"} and all(row["requests"] > 5 for row in plan)
    assert world.calls() == []


def answered_before(answers: list[dict[str, Any]], question: str) -> int:
    """How many questions the simulator answered before that one. What it refuses takes no rule."""
    names = [row["question"] for row in answers if row["answer"] == "yes" or row["question"] == question]
    return names.index(question)


def test_the_answers_are_kept(world: World) -> None:
    world.set_up(modes={"groq": "pooled"})
    model = asked(world, dry=True)["plan"][0]["model"]
    world.admin("models/forget", {"model": f"groq:{model}"})
    first = [row for row in asked(world)["answers"] if row["model"] == model]
    world.admin("models/forget", {"model": f"groq:{model}"})
    refused = Rule(model=model, status=400, message="tool_choice: forced calls are not possible")
    limit = Rule(model=model, status=400, message="max_completion_tokens must be at most 5000")
    forced, longest = answered_before(first, "forced tools"), answered_before(first, "limit")
    passed = [Rule(model=model)] * forced
    world.sim.script(*passed, refused, *[Rule(model=model)] * (longest - forced - 1), limit)
    answers = asked(world)["answers"]
    mine = {row["question"]: row["answer"] for row in answers if row["model"] == model}
    assert (mine["a plain request"], mine["forced tools"], mine["limit"]) == ("yes", "no", "no")
    learned = world.admin("models/learned", {"model": f"groq:{model}"})["learned"]
    world.admin("models/forget", {"model": f"groq:{model}"})
    assert {row["remedy"] for row in learned} >= {"takes forced_tools (never)", "clamp max_completion_tokens (5000)"}


def test_a_refused_key_ends_the_questions(world: World) -> None:
    world.set_up(modes={"groq": "pooled"})
    world.sim.script(Rule(error="invalid_key", times=None))
    assert {(row["question"], row["answer"]) for row in asked(world)["answers"]} == {("a plain request", "unknown")}
