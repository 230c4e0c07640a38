"""The agents of the long sessions: what each is asked, and what the model does with its tools, in forty turns."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bm.simulator.rules import ToolCall
from tests.clients_real.machine import NODE
from tests.clients_real.sessions import AGENT_ID, ERRAND, FOUND, PLANTED, ROUTE, Agent, Step, secret
from tests.clients_real.tools import (
    CLAUDE,
    CODEX,
    GEMINI,
    OPENCODE,
    PROGRAM,
    RAN,
    Command,
    Place,
    call,
    claude,
    codex,
    gemini,
    opencode,
)

FIRST = f"Remember this: {PLANTED}. Then look at all the files."
GO_ON = "Go on with the rest."
Shell = Callable[[str], ToolCall]
ANSWER = Step()


def _reading(shell: Shell, first: int, count: int, *, parallel: bool = True) -> list[Step]:
    """Turns that read a file each. Some read a second one in parallel, some have a command that fails."""
    steps = []
    for number in range(first, first + count):
        files = [number, number + 30] if parallel and number % 4 == 0 and number < 30 else [number]
        commands = [f"cat facts/{each:02}.txt" for each in files]
        if number % 5 == 0:
            commands[-1] += f"; echo no-{number:02} >&2; exit 3"
        steps.append(Step(tuple(map(shell, commands)), tuple(secret(f"fact{each:02}") for each in files)))
    return steps


def _errand(shell: Shell) -> tuple[Step, ...]:
    return Step((shell("cat facts/58.txt"),)), Step((shell("cat facts/59.txt"),))


def _bash(command: str) -> ToolCall:
    return call("Bash", command=command, description="Run it")


def _claude(project: Path) -> Sequence[Step]:
    picture = call("Read", file_path=str(project / "picture.png"))
    agent = {"subagent_type": "general-purpose", "run_in_background": False}
    return (
        Step((call("Write", file_path=str(project / "hello.sh"), content=PROGRAM),)),
        Step((_bash("sh hello.sh"), picture), (RAN,)),
        *_reading(_bash, 1, 11),
        Step((call("Agent", description="An errand", prompt=f"Do {ERRAND}.", **agent),), (FOUND,)),
        *_reading(_bash, 12, 6),
        ANSWER,
        *_reading(_bash, 18, 20),
        ANSWER,
    )


def _exec(command: str) -> ToolCall:
    return call("exec_command", cmd=command)


def _codex(project: Path) -> Sequence[Step]:
    return (
        Step((_exec(f"printf '{PROGRAM.strip()}' > hello.sh"),)),
        Step((_exec("sh hello.sh"), call("view_image", path=str(project / "picture.png"))), (RAN,)),
        *_reading(_exec, 1, 10),
        Step((call("spawn_agent", message=f"Do {ERRAND}."),)),
        Step((call("wait_agent", targets=[AGENT_ID], timeout_ms=30_000),), (FOUND,)),
        *_reading(_exec, 11, 6),
        ANSWER,
        *_reading(_exec, 17, 20),
        ANSWER,
    )


def _script(command: str) -> ToolCall:
    said = json.dumps({"cmd": command})
    return call("exec", input=f"const done = await tools.exec_command({said}); text(done.output);")


def _codex_in_code(project: Path) -> Sequence[Step]:
    """What Codex lets its current models do: calls of tools are scripts, and sub-agents write messages."""
    view = f"await tools.view_image({json.dumps({'path': str(project / 'picture.png')})})"
    return (
        Step((call("exec", input=f"image(({view}).image_url);"),)),
        *_reading(_script, 1, 10, parallel=False),
        Step((call("spawn_agent", message=f"Do {ERRAND}.", task_name="errand", fork_turns="none"),)),
        Step((call("wait_agent", timeout_ms=30_000),)),
        Step((_script("cat facts/50.txt"),), (secret("fact50"), FOUND)),
        *_reading(_script, 11, 6, parallel=False),
        ANSWER,
        *_reading(_script, 17, 20, parallel=False),
        ANSWER,
    )


_SOCKET = "supports_websockets = true\n"
_LISTENS = "[server]\nwebsocket = true\n"
_FELL_BACK = "Falling back from WebSockets"


def _codex_prompts(model: str, window: int, name: str = "bm") -> tuple[Callable[[Place], Command], ...]:
    small = f"model_auto_compact_token_limit = {window}\n"
    more = {"model": model, "settings": small, "provider": _SOCKET, "name": name}
    return codex(prompt=FIRST, **more), codex("resume", "--last", prompt=GO_ON, **more)


def _shell(command: str) -> ToolCall:
    return call("run_shell_command", command=command)


def _gemini(project: Path) -> Sequence[Step]:
    picture = call("read_file", file_path=str(project / "picture.png"))
    return (
        Step((call("write_file", file_path=str(project / "hello.sh"), content=PROGRAM),)),
        Step((_shell("sh hello.sh"), picture), (RAN,)),
        *_reading(_shell, 1, 18),
        ANSWER,
        *_reading(_shell, 19, 20),
        ANSWER,
    )


def _run(command: str) -> ToolCall:
    return call("bash", command=command, description="Run it")


def _opencode(project: Path) -> Sequence[Step]:
    picture = call("read", filePath=str(project / "picture.png"))
    return (
        Step((_run(f"printf '{PROGRAM.strip()}' > hello.sh"),)),
        Step((_run("sh hello.sh"), picture), (RAN,)),
        *_reading(_run, 1, 38),
        ANSWER,
    )


AGENTS = (
    Agent(
        "claude",
        (CLAUDE,),
        (
            claude(prompt=FIRST),
            claude("--continue", prompt="/compact"),
            claude("--continue", prompt=GO_ON),
        ),
        _claude,
        _errand(_bash),
    ),
    Agent(
        "codex",
        (NODE, CODEX),
        _codex_prompts("gpt-5", 14_000),
        _codex,
        _errand(_exec),
        more=_LISTENS,
        silent=_FELL_BACK,
    ),
    Agent(
        "codex-code",
        (NODE, CODEX),
        _codex_prompts("gpt-6.1-sol", 17_000),
        _codex_in_code,
        _errand(_script),
        more=_LISTENS,
        silent=_FELL_BACK,
    ),
    # To a provider of this name Codex leaves the summary. OpenAI encrypts its own, so others cannot go on from it.
    Agent(
        "codex-remote",
        (NODE, CODEX),
        _codex_prompts("gpt-6.1-sol", 17_000, "OpenAI"),
        _codex_in_code,
        _errand(_script),
        more=_LISTENS,
        route=tuple(name for name in ROUTE if name != "openai"),
        silent=_FELL_BACK,
    ),
    Agent("gemini", (NODE, GEMINI), (gemini(prompt=FIRST), gemini("--resume", "latest", prompt=GO_ON)), _gemini),
    Agent("opencode", (OPENCODE,), (opencode("@ai-sdk/openai-compatible", "v1", "qwen", prompt=FIRST),), _opencode),
)
BY_NAME: Mapping[str, Agent] = {agent.name: agent for agent in AGENTS}
