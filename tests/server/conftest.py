"""The daemon and the simulator of the gateway's tests."""

from tests.gateway.conftest import running, world

__all__ = ["running", "world"]
