from __future__ import annotations

from bm.remedies.remedy import Remedy, joined


def test_a_remedy_says_what_it_does() -> None:
    assert str(Remedy("drop", "top_k")) == "drop top_k"
    assert str(Remedy("clamp", "max_tokens", (None, 8))) == "clamp max_tokens (8)"
    assert str(Remedy("simplify_schemas", values=("0a1b",))) == "simplify schemas"


def test_a_remedy_replaces_one_of_its_key() -> None:
    old, new, other = Remedy("level", "e", ("low",)), Remedy("level", "e", ("high",)), Remedy("drop", "e")
    assert joined((old, other), new) == (other, new)


def test_values_to_avoid_add_up() -> None:
    assert joined((Remedy("avoid", "e", ("none",)),), Remedy("avoid", "e", ("low",)))[0].values == ("none", "low")


def test_of_levels_those_are_left_that_hold_in_both() -> None:
    known = (Remedy("level", "e", ("medium", "high")),)
    assert joined(known, Remedy("level", "e", ("low", "medium")))[0].values == ("medium",)


def test_sets_of_schemas_stand_side_by_side() -> None:
    first, second = Remedy("simplify_schemas", values=("a",)), Remedy("simplify_schemas", values=("b",))
    assert joined((first,), second) == (first, second)
