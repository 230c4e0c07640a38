"""The command line. Commands import what they need when they run: `bm --help` answers at once."""

from bm.cli.app import app, main

__all__ = ["app", "main"]
