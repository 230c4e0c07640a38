"""`python -m bm.simulator`: run the simulator as a process. The first line it prints is its address."""

from __future__ import annotations

import argparse
import contextlib
import sys

from bm.loop import runner
from bm.simulator.app import App
from bm.simulator.server import listen


async def serve(host: str, port: int) -> None:
    """Serve until cancelled. Print the address first."""
    server = await listen(App(), host, port, set())
    sys.stdout.write(f"http://{host}:{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


def main() -> int:
    """Run the command line. Return 1 if the port is taken."""
    parser = argparse.ArgumentParser(prog="python -m bm.simulator", description="A simulated upstream of every kind.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes any free port")
    options = parser.parse_args()
    try:
        with contextlib.suppress(KeyboardInterrupt):
            runner().run(serve(options.host, options.port))
    except OSError as error:
        sys.stderr.write(f"cannot listen on {options.host}:{options.port}: {error.strerror}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
