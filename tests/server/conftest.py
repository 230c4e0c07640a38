"""The daemon and the simulator of the gateway's tests, for this room as well."""

from tests.gateway.conftest import running, world

__all__ = ["running", "world"]
