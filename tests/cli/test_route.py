"""`bm route`: the plan in words."""

from __future__ import annotations

from bm.simulator import Simulator
from tests.cli.conftest import Bm


def test_nobody_can_serve(bm: Bm) -> None:
    ran = bm("route", "opus")
    assert ran.code == 1
    assert ran.out.startswith("nothing can serve this request\n")
    assert "bm accounts add NAME" in ran.out


def test_the_targets_in_order(bm: Bm, simulator: Simulator) -> None:
    bm("accounts", "add", "one", "--no-verify", stdin="key-one")
    bm("providers", "key", "anthropic", "--no-verify", stdin="key-two")
    ran = bm("route", "opus")
    assert ran.code == 0
    assert [line.split()[:3] for line in ran.out.splitlines()[1:3]] == [
        ["1", "gemini", "one"],
        ["2", "anthropic", "main"],
    ]
    answer = bm("route", "opus", "--json").json
    assert [(target["provider"], target["account"]) for target in answer["targets"]] == [
        ("gemini", "one"),
        ("anthropic", "main"),
    ]
    assert answer["failure"] is None


def test_who_is_not_in_it_is_told_apart_with_the_cure(bm: Bm, simulator: Simulator) -> None:
    bm("accounts", "add", "one", "--no-verify", stdin="key-one")
    bm("accounts", "add", "two", "--no-verify", stdin="key-two")
    bm("accounts", "disable", "two")
    plan, left_out = bm("route", "opus").out.split("NOT IN IT")
    assert "one" in plan and "two" not in plan
    assert "one" not in left_out.split() and "bm accounts enable two" in left_out


def test_the_tools_protocol_matters(bm: Bm, simulator: Simulator) -> None:
    bm("providers", "key", "anthropic", "--no-verify", stdin="key-two")
    assert bm("route", "opus").code == 0
    assert bm("route", "opus", "--protocol", "openai-chat").code == 1
    assert bm("route", "opus", "--protocol", "telex").code == 2
