"""The home of `bm` commands, as for the tests of the command line."""

from tests.cli.conftest import bm, paths, simulator

__all__ = ["bm", "paths", "simulator"]
