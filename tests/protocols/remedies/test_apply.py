from __future__ import annotations

from bm.chat.remedy import Remedy
from bm.protocols.remedies.apply import OPERATIONS, loss_of, treated
from tests.protocols.remedies.heal import CHAT


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
