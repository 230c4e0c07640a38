"""The loop that bm runs on."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import pytest

from bm.loop import THREADS, runner

SILENT = """
import asyncio, os
from bm import loop

async def main():
    asked = [asyncio.get_running_loop().getaddrinfo(f"silent-{number}.invalid", 80) for number in range(4)]
    waiting = [asyncio.ensure_future(each) for each in asked]
    await asyncio.sleep(0.05)
    print(len(os.listdir("/proc/self/task")))
    os._exit(0)

loop.runner().run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted in /proc")
def test_there_are_threads_for_many_names() -> None:
    environ = {name: value for name, value in os.environ.items() if name != "UV_THREADPOOL_SIZE"}
    ran = subprocess.run([sys.executable, "-c", SILENT], env=environ, capture_output=True, text=True, check=True)
    assert int(ran.stdout) > int(THREADS)


async def loop_of() -> str:
    return type(asyncio.get_running_loop()).__module__


def test_a_coroutine_runs_to_its_end() -> None:
    assert runner().run(asyncio.sleep(0, "done")) == "done"


@pytest.mark.skipif(sys.platform == "win32", reason="uvloop is not to be had there")
def test_the_loop_is_uvloop() -> None:
    assert runner().run(loop_of()).startswith("uvloop")
