"""The loop that bm runs on."""

from __future__ import annotations

import asyncio
import sys

import pytest

from bm.loop import runner


async def loop_of() -> str:
    return type(asyncio.get_running_loop()).__module__


def test_a_coroutine_runs_to_its_end() -> None:
    assert runner().run(asyncio.sleep(0, "done")) == "done"


@pytest.mark.skipif(sys.platform == "win32", reason="uvloop is not to be had there")
def test_the_loop_is_uvloop() -> None:
    assert runner().run(loop_of()).startswith("uvloop")
