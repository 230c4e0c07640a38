"""One tool against one upstream: what is asked, what the upstream answers, and what came of it."""

from __future__ import annotations

import base64
import json
import struct
import tempfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bm.simulator.request import Record
from bm.simulator.rules import Rule, ToolCall
from tests.clients_real.kinds import Site
from tests.clients_real.machine import Run, run
from tests.clients_real.tools import RAN, WORD, Command, Place, Tool, environment

ROUTED = json.dumps({"complexity_reasoning": "simple", "complexity_score": 10})
"""What Gemini CLI's router asks a small model for, before each prompt."""


def _png(side: int = 16) -> bytes:
    """A red square."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    rows = (b"\0" + b"\xff\0\0" * side) * side
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


PICTURE = _png()
SEEN = base64.b64encode(PICTURE).decode()[:24]
"""How any encoding of a picture in PNG begins; tools may encode it anew."""


@dataclass(frozen=True)
class Result:
    """What a trial showed about each feature it is for: "" or what went wrong. `run` is how the tool ended."""

    features: dict[str, str]
    run: Run


def launch(tool: Tool, command: str, site: Site, folder: Path, *, key: str = "", limit: float = 0) -> Run:
    """Run a tool once against `site`; `key` replaces the right local key."""
    (folder / "project").mkdir(parents=True, exist_ok=True)
    (folder / "home").mkdir(exist_ok=True)
    (folder / "project/picture.png").write_bytes(PICTURE)
    place = Place(site.daemon.url, key or site.daemon.key, folder)
    made: Command = tool.tasks[command](place)
    return run(made.argv, environment(place, made), folder, limit or tool.limit)


def attempt(tool: Tool, command: str, site: Site) -> Result:
    """Let the tool do what the trial is about, and judge what arrived, here and upstream."""
    site.sim.reset()
    with tempfile.TemporaryDirectory(prefix="bm-trial-") as name:
        folder = Path(name)
        site.sim.script(*_rules(tool, command, site, folder / "project"))
        ended = launch(tool, command, site, folder)
    log = site.sim.log()
    return Result(_judge(tool, command, ended, log), ended)


def _rules(tool: Tool, command: str, site: Site, project: Path) -> Sequence[Rule]:
    router = Rule(model=site.kind.small, text=ROUTED, times=None)
    match command:
        case "loop" | "sdk":
            # By the number of results: clients of Gemini may lose what calls are called. A picture among the results
            # begins a new turn where the upstream takes it from the user alone, hence each rule once.
            rounds = [
                Rule(step=number, tool_calls=calls, text=WORD) for number, calls in enumerate(tool.steps(project))
            ]
            ending = Rule(step=len(rounds), text=WORD) if command == "sdk" else Rule(text=WORD, times=None)
            return router, *rounds, ending
        case "structured" if tool.name.startswith("claude"):
            # Claude Code asks for structured output by a tool of its own.
            return (Rule(tool_calls=(ToolCall("StructuredOutput", {"answer": WORD}),), text="done", times=None),)
        case "structured":
            return ()
        case _:
            return router, Rule(text=WORD, times=None)


def bodies(log: Sequence[Record]) -> str:
    """Everything that went upstream to be answered, as one text."""
    return msgspec.json.encode([record.body for record in log if record.operation == "generate"]).decode()


def _judge(tool: Tool, command: str, ended: Run, log: Sequence[Record]) -> dict[str, str]:
    generated = [record for record in log if record.operation == "generate"]
    sent = bodies(log)
    refused = "; ".join(dict.fromkeys(record.refusal for record in generated if record.refusal))
    if command == "sdk":
        return _judge_sdk(ended, sent, refused)
    arrived = "" if WORD in ended.out else _why(ended, refused)
    found = {
        "loop": {
            "stream": arrived,
            "tools": arrived or ("" if RAN in sent else "no result of a tool went upstream"),
            "image": arrived or ("" if SEEN in sent else "no picture went upstream"),
        },
        "image": {"image": arrived or ("" if SEEN in sent else "no picture went upstream")},
    }.get(command, {command: arrived})
    elsewhere = tool.tasks.keys() - {command}
    return {feature: wrong for feature, wrong in found.items() if feature in tool.features and feature not in elsewhere}


def _judge_sdk(ended: Run, sent: str, refused: str) -> dict[str, str]:
    lines = [json.loads(line) for line in ended.out.splitlines() if line.startswith('{"feature"')]
    found = {line["feature"]: line["error"] or ("" if WORD in str(line["said"]) else repr(line)) for line in lines}
    if not found.get("tools", "-") and RAN not in sent:
        found["tools"] = "no result of a tool went upstream"
    if not found.get("image", "-") and SEEN not in sent:
        found["image"] = "no picture went upstream"
    features = ("text", "stream", "tools", "image", "structured")
    wrong = {feature: found.get(feature, _why(ended, refused)) for feature in features}
    return {name: f"{said} | upstream: {refused}" if said and refused else said for name, said in wrong.items()}


def _why(ended: Run, refused: str) -> str:
    """What a person would want to know of a failure, in a line."""
    state = "killed at the time limit" if ended.hung else f"exit {ended.code}"
    said = " ".join((ended.out[-300:] + " " + ended.err[-300:]).split())
    upstream = f" | upstream: {refused}" if refused else ""
    return f"{state} after {ended.seconds:.0f} s: {said}{upstream}"
