"""An upstream that speaks every wire and misbehaves on demand: a real HTTP server on loopback.

It shares no code with the codecs, so that it can bear witness for or against them.
"""

from bm.simulator.oauth import OAuth
from bm.simulator.rules import Quota, Rule, Script, ToolCall, Usage
from bm.simulator.server import Simulator

__all__ = ["OAuth", "Quota", "Rule", "Script", "Simulator", "ToolCall", "Usage"]
