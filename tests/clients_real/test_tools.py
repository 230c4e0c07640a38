"""Each tool does all it can over the Gemini pool. `scripts/clients` does the same with every other kind of upstream."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.clients_real.kinds import BY_NAME as KINDS
from tests.clients_real.kinds import Site, site
from tests.clients_real.tools import BY_NAME as TOOLS
from tests.clients_real.trial import attempt

pytestmark = pytest.mark.clients

CASES = [
    ("claude", "loop"),
    ("codex", "loop"),
    ("gemini-pro", "loop"),
    ("opencode-chat", "loop"),
    ("aider-anthropic", "stream"),
    ("llm", "loop"),
    ("py-anthropic", "sdk"),
    ("js-openai", "sdk"),
]


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A daemon whose Gemini pool is the simulator."""
    with site(KINDS["gemini"], tmp_path_factory.mktemp("pool")) as running:
        yield running


@pytest.mark.parametrize(("name", "command"), CASES)
def test_all_that_the_tool_does_works_over_the_gemini_pool(pool: Site, name: str, command: str) -> None:
    tool = TOOLS[name]
    if reason := tool.missing():
        pytest.skip(reason)
    assert {feature: why for feature, why in attempt(tool, command, pool).features.items() if why} == {}
