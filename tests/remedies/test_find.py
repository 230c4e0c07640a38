"""Which remedies are found for a refusal, and with what is known of the model beside its words."""

from __future__ import annotations

from typing import Any

import pytest

from bm.chat.capabilities import Capabilities
from bm.errors import Failure
from bm.remedies.find import remedies_for
from tests.remedies.heal import CHAT, CLAUDE, RESPONSES, healed


@pytest.mark.parametrize(
    ("takes", "expected"),
    [
        (Capabilities(), {"thinking": {"type": "disabled"}, "output_config": {"effort": "high"}}),
        (Capabilities(family="claude", thinking="budget"), {"thinking": {"type": "disabled"}}),
        (Capabilities(thinking_off="never", levels=("low", "medium")), {"output_config": {"effort": "low"}}),
        (
            Capabilities(thinking_off="say", levels=("low", "medium", "high"), effort_off="medium"),
            {"thinking": {"type": "disabled"}, "output_config": {"effort": "medium"}},
        ),
    ],
)
def test_all_that_is_known_of_a_models_thinking_is_mended_at_once(takes: Capabilities, expected: Any) -> None:
    message = '"thinking.type.between_tools" is not supported for this model.'
    body = {"thinking": {"type": "between_tools"}, "output_config": {"effort": "high"}}
    assert healed(CLAUDE, message, body, takes=takes) == expected


def test_a_model_without_sampling_is_sent_none_after_the_first_refusal() -> None:
    body, takes = {"temperature": 0, "top_p": 0.9, "n": 1}, Capabilities(sampling=False)
    assert healed(CHAT, "invalid temperature: only 1 is allowed for this model", body, takes=takes) == {"n": 1}


def test_levels_are_those_that_are_listed_and_known() -> None:
    takes = Capabilities(thinking_off="never", levels=("medium", "high", "xhigh"))
    message = "Unsupported value: 'none' is not supported with the 'm' model. Supported values are: 'low' and 'medium'."
    assert healed(RESPONSES, message, {"reasoning": {"effort": "none"}}, takes=takes) == {
        "reasoning": {"effort": "medium"}
    }
    assert healed(
        RESPONSES, "Unsupported parameter: 'seed'", {"seed": 1, "reasoning": {"effort": "low"}}, takes=takes
    ) == {"reasoning": {"effort": "low"}}


@pytest.mark.parametrize("kind", ["rate_limited", "upstream_auth", "malformed", "context_too_long"])
def test_other_failures_have_no_remedy(kind: Any) -> None:
    failure = Failure(kind=kind, message="Unsupported parameter: 'seed'")
    assert list(remedies_for(failure, b'{"seed": 1}', CHAT)) == []


@pytest.mark.parametrize(
    ("message", "found"), [("Jinja Exception: seed is not supported", True), ("seed fault", False)]
)
def test_a_fault_of_the_service_is_a_refusal_only_where_it_says_so(message: str, found: bool) -> None:
    failure = Failure(kind="server", message=message)
    assert bool(list(remedies_for(failure, b'{"seed": 1}', CHAT))) is found


def test_a_body_that_is_none_has_no_remedy() -> None:
    assert list(remedies_for(Failure(kind="bad_request", message="Unsupported parameter: 'x'"), b"\xff", CHAT)) == []
