from __future__ import annotations

from bm.remedies.apply import OPERATIONS, loss_of, treated, without_values
from bm.remedies.remedy import Remedy
from tests.remedies.heal import CHAT


def test_only_what_changes_the_body_is_effective() -> None:
    body = b'{"a": 1, "b": 2}'
    changed, effective = treated(body, (Remedy("drop", "a"), Remedy("drop", "c"), Remedy("unknown")), CHAT)
    assert (changed, effective) == (b'{"b":2}', (Remedy("drop", "a"),))
    assert treated(body, (Remedy("drop", "c"),), CHAT)[0] is body


def test_what_a_remedy_takes_from_the_request_is_reported() -> None:
    loss = loss_of(Remedy("drop", "top_k", reason="no such member"))
    assert loss is not None and (loss.field, loss.reason) == ("top_k", "refused by the model: no such member")
    assert loss_of(Remedy("rename", "a", ("b",))) is None


def test_operations_are_known_by_their_names() -> None:
    assert all(operation.__doc__ for operation in OPERATIONS.values())


def test_unknown_values_are_taken_out_of_a_header() -> None:
    remedy = Remedy("drop_values", "anthropic-beta", ("b",))
    headers = [("anthropic-beta", "a, b"), ("x", "b")]
    assert without_values(headers, (remedy,)) == ([("anthropic-beta", "a"), ("x", "b")], (remedy,))
    assert without_values([("anthropic-beta", "b")], (remedy,)) == ([], (remedy,))
    assert without_values(headers, (Remedy("drop_values", "anthropic-beta", ("c",)),)) == (headers, ())
