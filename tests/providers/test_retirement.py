from __future__ import annotations

from datetime import date

import pytest

from bm.config.chains import chains_of
from bm.config.schema import Config, Gemini, ProviderConfig
from bm.providers.provider import effective
from bm.providers.retirement import retirement, retiring

TODAY = date(2026, 11, 30)


@pytest.mark.parametrize(
    ("model", "listed", "said"),
    [
        ("gemini-2.5-flash", None, "retires on 2026-12-01"),
        ("claude-sonnet-4-5-20250929", None, "retires on 2026-11-30"),
        ("claude-opus-4-1", None, "retired on 2026-08-05"),
        ("claude-opus-4-5", None, ""),
        ("claude-opus-5-5", None, ""),
        ("unheard-of", None, ""),
        ("unheard-of", date(2026, 12, 20), "retires on 2026-12-20"),
        ("gemini-2.5-flash", date(2027, 6, 1), ""),
    ],
)
def test_a_retirement_is_announced_a_month_before(model: str, listed: date | None, said: str) -> None:
    assert retirement(model, TODAY, listed) == said


def test_mappings_and_aliases_that_lead_to_an_ending_model_are_named() -> None:
    config = Config(
        gemini=Gemini(models={"haiku": "gemini-2.5-flash"}),
        providers={"openai": ProviderConfig(models={"default": "gpt-5"})},
        aliases={"old": "claude-3-haiku", "new": "claude-opus-5-5"},
    )
    assert list(retiring(effective(config), chains_of(config), TODAY)) == [
        "gemini maps haiku to gemini-2.5-flash, which retires on 2026-12-01",
        "aliases.old names claude-3-haiku, which retired on 2026-08-05",
    ]
