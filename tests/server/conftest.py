"""The daemon and the simulator of the gateway's tests, and a browser."""

from tests.gateway.conftest import running, world
from tests.server.page import tab

__all__ = ["running", "tab", "world"]
