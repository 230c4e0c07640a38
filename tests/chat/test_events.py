"""Usage, whose counts do not overlap."""

from __future__ import annotations

from bm.chat.events import Usage


def test_the_prompt_is_all_that_was_read_cached_or_not() -> None:
    assert Usage(input=1, cache_read=20, cache_write=300, output=4000).prompt == 321
