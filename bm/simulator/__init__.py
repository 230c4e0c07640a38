"""A simulated upstream for every API, with faults on demand: a real HTTP server on loopback.

It shares no code and no tables with the codecs and providers, so it can test them.
"""

from bm.simulator.oauth import OAuth
from bm.simulator.rules import Quota, Rule, Script, ToolCall, Usage
from bm.simulator.server import Simulator

__all__ = ["OAuth", "Quota", "Rule", "Script", "Simulator", "ToolCall", "Usage"]
