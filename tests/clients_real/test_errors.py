"""What can go wrong, from the tool's side: it waits where waiting helps, fails at once where it does not, and never
takes half an answer for a whole one."""

from __future__ import annotations

import pytest

from tests.clients_real.errors import BY_NAME as TROUBLES
from tests.clients_real.errors import provoke
from tests.clients_real.tools import BY_NAME as TOOLS

pytestmark = pytest.mark.clients


def tool_or_skip(name: str) -> None:
    if reason := TOOLS[name].missing():
        pytest.skip(reason)


@pytest.mark.parametrize(
    ("name", "trouble"),
    [
        ("claude", "short"),
        ("claude", "cut"),
    ],
)
def test_the_answer_arrives_in_spite_of(name: str, trouble: str) -> None:
    tool_or_skip(name)
    behaviour = provoke(TOOLS[name], TROUBLES[trouble])
    assert behaviour.whole, behaviour.run


@pytest.mark.parametrize(
    ("name", "trouble", "calls"),
    [
        ("claude", "long", 2),
        ("claude", "keys", 2),
        ("claude", "local-key", 0),
        ("gemini-pro", "local-key", 0),
    ],
)
def test_the_tool_gives_up_without_asking_again(name: str, trouble: str, calls: int) -> None:
    tool_or_skip(name)
    behaviour = provoke(TOOLS[name], TROUBLES[trouble])
    assert not behaviour.run.hung and behaviour.run.code != 0, behaviour.run
    assert behaviour.calls == calls
