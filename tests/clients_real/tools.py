"""The tools, one row each: what must be installed, how it is pointed at bm, and how it is asked for something.

Everything that `bm env` prints is in a tool's environment; a row adds what the tool wants besides.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bm.clients.environment import values
from bm.simulator.rules import ToolCall
from tests.clients_real.machine import INSTALLED, NODE

WORD = "BM-PONG-42"
"""What an answer holds when it arrived."""
RAN = "ran-42"
"""What the program that an agent writes and runs prints. No request holds it before the program has run."""
PROGRAM = "echo ran-$((40 + 2))\n"
SCHEMA = {
    "type": "object",
    "properties": {"answer": {"type": "string", "enum": [WORD]}},
    "required": ["answer"],
    "additionalProperties": False,
}
PROMPT = "What is the secret word?"
HERE = Path(__file__).parent
Steps = tuple[tuple[ToolCall, ...], ...]


@dataclass(frozen=True)
class Place:
    """Where a tool finds bm, and the folder it runs in."""

    origin: str
    key: str
    folder: Path

    @property
    def project(self) -> Path:
        """The tool's working directory."""
        return self.folder / "project"


@dataclass(frozen=True)
class Command:
    """What to run, and the environment besides that of `bm env`; None takes a variable away."""

    argv: list[str]
    environ: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Tool:
    """One tool with one way to set it up.

    `tasks` maps what is asked of it (`loop`, `stream`, `text`, `image`, `structured`, `sdk`) to a command. `features`
    are what the table tells about it. `steps` are the rounds of tool calls the upstream makes in `loop` and `sdk`.
    """

    name: str
    title: str
    needs: tuple[Path, ...]
    features: tuple[str, ...]
    tasks: Mapping[str, Callable[[Place], Command]]
    steps: Callable[[Path], Steps] = lambda project: ()
    limit: float = 60.0

    def missing(self) -> str:
        """Why it cannot be run here; "" when it can."""
        lacking = [path for path in self.needs if not path.exists()]
        return f"{self.name} is not installed: no {lacking[0].name} in $CLIENTS_HOME" if lacking else ""


def environment(place: Place, command: Command) -> dict[str, str]:
    """The variables a tool runs with."""
    known: dict[str, str | None] = {**values(place.origin, place.key), **command.environ}
    return {name: value for name, value in known.items() if value is not None}


def call(name: str, **arguments: Any) -> ToolCall:
    """A tool call of the upstream."""
    return ToolCall(name, arguments)


def _claude_steps(project: Path) -> Steps:
    return (
        (call("Write", file_path=str(project / "hello.sh"), content=PROGRAM),),
        (
            call("Bash", command="sh hello.sh", description="Run it"),
            call("Read", file_path=str(project / "picture.png")),
        ),
        (call("Bash", command="echo no >&2; exit 3", description="Fail"),),
    )


CLAUDE = INSTALLED / "node/claude/node_modules/@anthropic-ai/claude-code-linux-x64/claude"


def claude(*words: str, auth: str = "token", prompt: str = PROMPT) -> Callable[[Place], Command]:
    """Claude Code with further words on its command line."""

    def command(place: Place) -> Command:
        environ: dict[str, str | None] = {
            "CLAUDE_CONFIG_DIR": str(place.folder / "home/.claude"),
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_AUTOUPDATER": "1",
            "DISABLE_TELEMETRY": "1",
            "IS_SANDBOX": "1",
        }
        if auth == "key":
            environ |= {"ANTHROPIC_AUTH_TOKEN": None, "ANTHROPIC_API_KEY": place.key}
        return Command([str(CLAUDE), "-p", prompt, "--dangerously-skip-permissions", *words], environ)

    return command


def _claude(name: str, title: str, *words: str, auth: str = "token") -> Tool:
    schema = ("--output-format", "json", "--json-schema", json.dumps(SCHEMA))
    return Tool(
        name,
        title,
        (CLAUDE,),
        ("stream", "tools", "image", "structured"),
        {"loop": claude(*words, auth=auth), "structured": claude(*words, *schema, auth=auth)},
        _claude_steps,
    )


def _codex_steps(project: Path) -> Steps:
    return (
        (call("exec_command", cmd=f"printf '{PROGRAM.strip()}' > hello.sh"),),
        (call("exec_command", cmd="sh hello.sh"), call("view_image", path=str(project / "picture.png"))),
        (call("exec_command", cmd="echo no >&2; exit 3"),),
    )


CODEX = INSTALLED / "node/codex/node_modules/@openai/codex/bin/codex.js"


def codex(
    *words: str, model: str = "gpt-5", prompt: str = PROMPT, provider: str = "", settings: str = "", name: str = "bm"
) -> Callable[[Place], Command]:
    """Codex with further words on its command line. `provider` are further lines for bm, `settings` for all else."""

    def command(place: Place) -> Command:
        home = place.folder / "home/.codex"
        home.mkdir(parents=True, exist_ok=True)
        (home / "config.toml").write_text(
            f'model = "{model}"\nmodel_provider = "bm"\ncheck_for_update_on_startup = false\n{settings}'
            "[analytics]\nenabled = false\n"
            f'[model_providers.bm]\nname = "{name}"\nbase_url = "{place.origin}/v1"\n'
            f'env_key = "OPENAI_API_KEY"\nwire_api = "responses"\n{provider}',
            encoding="utf-8",
        )
        schema = place.folder / "schema.json"
        schema.write_text(json.dumps(SCHEMA), encoding="utf-8")
        asked = [word.replace("SCHEMA", str(schema)) for word in words]
        options = ["--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", *asked]
        return Command([str(NODE), str(CODEX), "exec", *options, prompt], {"CODEX_HOME": str(home)})

    return command


def _gemini_steps(project: Path) -> Steps:
    return (
        (call("write_file", file_path=str(project / "hello.sh"), content=PROGRAM),),
        (
            call("run_shell_command", command="sh hello.sh"),
            call("read_file", file_path=str(project / "picture.png")),
        ),
        (call("run_shell_command", command="echo no >&2; exit 3"),),
    )


GEMINI = INSTALLED / "node/gemini/node_modules/.bin/gemini"


def gemini(*words: str, prompt: str = PROMPT) -> Callable[[Place], Command]:
    """Gemini CLI with further words on its command line."""

    def command(place: Place) -> Command:
        folder = place.folder / "home/.gemini"
        folder.mkdir(parents=True, exist_ok=True)
        settings = {
            "privacy": {"usageStatisticsEnabled": False},
            "general": {"disableAutoUpdate": True, "enableAutoUpdate": False, "disableUpdateNag": True},
            "security": {"auth": {"selectedType": "gemini-api-key"}, "folderTrust": {"enabled": False}},
        }
        (folder / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
        options = ["--skip-trust", "--approval-mode", "yolo", *words]
        return Command([str(NODE), str(GEMINI), "-p", prompt, *options], {"GEMINI_CLI_NO_RELAUNCH": "true"})

    return command


def _opencode_steps(project: Path) -> Steps:
    return (
        # Models named gpt-… are offered `apply_patch` in place of `write`.
        (call("bash", command=f"printf '{PROGRAM.strip()}' > hello.sh", description="Write it"),),
        (
            call("bash", command="sh hello.sh", description="Run it"),
            call("read", filePath=str(project / "picture.png")),
        ),
        (call("bash", command="echo no >&2; exit 3", description="Fail"),),
    )


OPENCODE = INSTALLED / "node/opencode/node_modules/opencode-linux-x64/bin/opencode"


def opencode(package: str, version: str, model: str, *, prompt: str = PROMPT) -> Callable[[Place], Command]:
    """opencode with one of the AI SDK's packages as its provider. `version` is the path behind the origin."""

    def command(place: Place) -> Command:
        offered = {
            "name": model,
            "tool_call": True,
            "attachment": True,
            "modalities": {"input": ["text", "image"], "output": ["text"]},
            "limit": {"context": 200_000, "output": 32_000},
        }
        options = {"baseURL": f"{place.origin}/{version}", "apiKey": place.key}
        provider = {"npm": package, "name": "bm", "options": options, "models": {model: offered}}
        config = {"autoupdate": False, "share": "disabled", "permission": "allow", "provider": {"bm": provider}}
        (place.project / "opencode.json").write_text(json.dumps(config), encoding="utf-8")
        environ = {
            "OPENCODE_DISABLE_AUTOUPDATE": "1",
            "OPENCODE_DISABLE_MODELS_FETCH": "1",
            "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
            "OPENCODE_DISABLE_DEFAULT_PLUGINS": "1",
            "npm_config_registry": "http://127.0.0.1:9",
        }
        return Command([str(OPENCODE), "run", "--title", "trial", "--model", f"bm/{model}", prompt], environ)

    return command


def _opencode(protocol: str, package: str, version: str, model: str) -> Tool:
    return Tool(
        f"opencode-{protocol}",
        f"opencode, {package}",
        (OPENCODE,),
        ("stream", "tools", "image"),
        {"loop": opencode(package, version, model)},
        _opencode_steps,
        limit=90.0,
    )


AIDER = INSTALLED / "venv/aider/bin/aider"


def aider(model: str, *words: str) -> Callable[[Place], Command]:
    """aider with further words on its command line; settings are those of `bm env`."""

    def command(place: Place) -> Command:
        quiet = "--no-git --yes-always --no-check-update --analytics-disable --no-show-model-warnings --no-pretty"
        options = [*quiet.split(), "--no-detect-urls", "--map-tokens", "0", *words]
        # litellm looks for an x-api-key key where the Anthropic SDKs take a token.
        environ = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "ANTHROPIC_API_KEY": place.key}
        return Command([str(AIDER), "--model", model, "--message", PROMPT, *options], environ)

    return command


def _aider(protocol: str, model: str) -> Tool:
    tasks = {"text": aider(model, "--no-stream"), "stream": aider(model), "image": aider(model, "picture.png")}
    return Tool(f"aider-{protocol}", f"aider, {model}", (AIDER,), ("text", "stream", "image"), tasks, limit=90.0)


LLM = INSTALLED / "venv/llm/bin/llm"


def llm(*words: str) -> Callable[[Place], Command]:
    """llm with bm as one of its extra models, and further words on its command line."""

    def command(place: Place) -> Command:
        model = {"model_id": "bm", "model_name": "gpt-4o", "api_base": f"{place.origin}/v1", "api_key_name": "bm"}
        model_can = {"supports_tools": True, "supports_schema": True, "vision": True}
        home = place.folder / "home"
        # JSON is YAML too.
        (home / "extra-openai-models.yaml").write_text(json.dumps([model | model_can]), encoding="utf-8")
        (home / "keys.json").write_text(json.dumps({"bm": place.key}), encoding="utf-8")
        return Command([str(LLM), "prompt", "-m", "bm", *words, PROMPT], {"LLM_USER_PATH": str(home)})

    return command


_FUNCTION = "def run(words: str) -> str:\n    'Run it'\n    return 'ran-' + str(40 + 2)\n"
_LLM = Tool(
    "llm",
    "llm",
    (LLM,),
    ("text", "stream", "tools", "image", "structured"),
    {
        "text": llm("--no-stream"),
        "stream": llm(),
        "loop": llm("--functions", _FUNCTION),
        "image": llm("-a", "picture.png"),
        "structured": llm("--schema", json.dumps(SCHEMA)),
    },
    lambda project: ((call("run", words="one"), call("run", words="two")),),
)

PYTHON = INSTALLED / "venv/py/bin/python"
NODE_SDKS = INSTALLED / "node/js/node_modules"
EVERYTHING = ("text", "stream", "tools", "image", "structured")


def _sdk_steps(project: Path) -> Steps:
    return ((call("run", words="one"), call("run", words="two")),)


def python_sdk(name: str) -> Callable[[Place], Command]:
    """One of the SDKs in `sdks.py`."""
    return lambda place: Command([str(PYTHON), str(HERE / "sdks.py"), name, place.origin, place.key])


def node_sdk(name: str) -> Callable[[Place], Command]:
    """One of the SDKs in `sdks.mjs`, which looks for packages beside itself."""

    def command(place: Place) -> Command:
        program = place.project / "sdks.mjs"
        program.write_text((HERE / "sdks.mjs").read_text(encoding="utf-8"), encoding="utf-8")
        if not (place.project / "node_modules").exists():
            (place.project / "node_modules").symlink_to(NODE_SDKS)
        return Command([str(NODE), str(program), name, place.origin, place.key])

    return command


_SDKS = {
    "anthropic": "anthropic",
    "openai": "openai, Chat",
    "responses": "openai, Responses",
    "genai": "google-genai",
    "groq": "groq",
    "together": "together",
}
_NODE_TITLES = _SDKS | {
    "anthropic": "@anthropic-ai/sdk",
    "genai": "@google/genai",
    "groq": "groq-sdk",
    "together": "together-ai",
}

TOOLS = (
    _claude("claude", "Claude Code"),
    _claude("claude-key", "Claude Code, API key", auth="key"),
    _claude("claude-old", "Claude Code, claude-sonnet-4-5", "--model", "claude-sonnet-4-5"),
    Tool(
        "codex",
        "Codex",
        (NODE, CODEX),
        ("stream", "tools", "image", "structured"),
        {"loop": codex(), "structured": codex("--output-schema", "SCHEMA")},
        _codex_steps,
    ),
    Tool(
        "gemini", "Gemini CLI, routed", (NODE, GEMINI), ("stream", "tools", "image"), {"loop": gemini()}, _gemini_steps
    ),
    Tool(
        "gemini-pro",
        "Gemini CLI, gemini-2.5-pro",
        (NODE, GEMINI),
        ("stream", "tools", "image"),
        {"loop": gemini("-m", "gemini-2.5-pro")},
        _gemini_steps,
    ),
    _opencode("anthropic", "@ai-sdk/anthropic", "v1", "claude-sonnet-4-5"),
    _opencode("responses", "@ai-sdk/openai", "v1", "gpt-5"),
    _opencode("chat", "@ai-sdk/openai-compatible", "v1", "meta-llama/llama-4-maverick-17b-128e-instruct"),
    _opencode("google", "@ai-sdk/google", "v1beta", "gemini-2.5-pro"),
    _aider("anthropic", "anthropic/claude-sonnet-4-5"),
    _aider("openai", "openai/gpt-4o"),
    _aider("gemini", "gemini/gemini-2.5-pro"),
    _LLM,
    *(
        Tool(f"py-{name}", f"Python: {title}", (PYTHON,), EVERYTHING, {"sdk": python_sdk(name)}, _sdk_steps)
        for name, title in _SDKS.items()
    ),
    *(
        Tool(f"js-{name}", f"Node: {title}", (NODE, NODE_SDKS), EVERYTHING, {"sdk": node_sdk(name)}, _sdk_steps)
        for name, title in _NODE_TITLES.items()
    ),
)
BY_NAME: Mapping[str, Tool] = {tool.name: tool for tool in TOOLS}
