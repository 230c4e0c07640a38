from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from bm.providers.listing import listed_facts, listed_limits, listed_retirement


def claude(effort: str = "", **types: bool) -> dict[str, Any]:
    """A row of Anthropic's Models API (anthropic SDK, types/model_capabilities.py)."""
    supported = {name: {"supported": value} for name, value in types.items()}
    levels = {level: {"supported": level in effort.split()} for level in ("low", "medium", "high", "xhigh", "max")}
    return {
        "type": "model",
        "capabilities": {
            "image_input": {"supported": True},
            "pdf_input": {"supported": False},
            "structured_outputs": {"supported": True},
            "effort": {"supported": bool(effort), **levels},
            "thinking": {"supported": True, "types": supported},
        },
    }


@pytest.mark.parametrize(
    ("row", "facts"),
    [
        (claude("low high", adaptive=True, disabled=True), {"thinking": "adaptive", "levels": ("low", "high")}),
        (claude("low", adaptive=True), {"thinking": "adaptive", "levels": ("low",), "thinking_off": "never"}),
        (
            claude("low", adaptive=True, between_tools=True),
            {"thinking": "adaptive", "levels": ("low",), "thinking_off": "between_tools"},
        ),
        (claude(enabled=True, disabled=True), {"thinking": "budget", "levels": ()}),
        (claude(disabled=True), {"thinking": "none", "levels": ()}),
    ],
)
def test_anthropics_list_tells_how_a_model_thinks(row: dict[str, Any], facts: dict[str, Any]) -> None:
    assert listed_facts(row) == {"images": True, "documents": False, "structured_output": "schema", **facts}


@pytest.mark.parametrize(
    ("parameters", "facts"),
    [
        (
            ["tools", "temperature", "reasoning", "structured_outputs", "response_format"],
            {"tools": True, "sampling": True, "stop": False, "structured_output": "schema"},
        ),
        (
            ["stop", "response_format"],
            {"tools": False, "sampling": False, "stop": True, "structured_output": "json", "thinking": "none"},
        ),
    ],
)
def test_openrouters_list_tells_which_parameters_a_model_takes(parameters: list[str], facts: dict[str, Any]) -> None:
    row = {"supported_parameters": parameters, "architecture": {"input_modalities": ["text", "image"]}}
    media = {"images": True, "documents": False, "audio": False, "video": False}
    assert listed_facts(row) == facts | media


@pytest.mark.parametrize(
    ("row", "limits"),
    [
        ({"inputTokenLimit": 10, "outputTokenLimit": 5}, (10, 5)),
        ({"max_input_tokens": 10, "max_tokens": 5}, (10, 5)),
        ({"max_model_len": 10}, (10, 0)),
        ({"context_length": 10, "top_provider": {"max_completion_tokens": 5}}, (10, 5)),
        ({"context_length": "10", "top_provider": None}, (0, 0)),
    ],
)
def test_the_limits_that_lists_tell(row: dict[str, Any], limits: tuple[int, int]) -> None:
    assert listed_limits(row) == limits


@pytest.mark.parametrize(
    ("row", "day"),
    [
        ({"retires_at": "2026-11-30T00:00:00Z"}, date(2026, 11, 30)),
        ({"retires_at": None}, None),
        ({"deprecation_date": "2026-12-01"}, date(2026, 12, 1)),
        ({"retires_at": "soon"}, None),
    ],
)
def test_when_a_model_retires(row: dict[str, Any], day: date | None) -> None:
    assert listed_retirement(row) == day


@pytest.mark.parametrize("row", [{}, {"capabilities": []}, {"supported_parameters": "all"}, {"thinking": True}])
def test_a_list_that_says_nothing_changes_nothing(row: dict[str, Any]) -> None:
    assert listed_facts(row) == {}
