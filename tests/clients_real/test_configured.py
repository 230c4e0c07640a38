"""The tools use bm through `bm run` and after `bm setup`, whatever their settings and sign-ins are. Neither changes
these."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bm.clients.catalog import TOOLS as ROWS
from bm.simulator.rules import Rule
from tests.clients_real.kinds import BY_NAME as KINDS
from tests.clients_real.kinds import Site, site
from tests.clients_real.machine import INSTALLED, NODE, PLAIN_PATH, Run, run
from tests.clients_real.tools import AIDER, CLAUDE, CODEX, GEMINI, LLM, OPENCODE, PROMPT, WORD
from tests.clients_real.trial import ROUTED

pytestmark = pytest.mark.clients
QWEN = INSTALLED / "node/qwen/node_modules/.bin/qwen"
ELSEWHERE = "http://127.0.0.1:9"


@dataclass(frozen=True)
class Case:
    """A tool: its program, the words of one prompt, its environment, and settings and sign-ins that point it elsewhere.

    `once` are the words for `bm run`, where they differ.
    """

    program: tuple[Path, ...]
    words: tuple[str, ...]
    environ: Mapping[str, str] = field(default_factory=dict)
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    once: tuple[str, ...] = ()


_AIDER = (
    "--no-git --yes-always --no-check-update --analytics-disable --no-show-model-warnings --no-pretty --no-detect-urls"
)
CASES: Mapping[str, Case] = {
    "claude": Case(
        (CLAUDE,),
        ("-p", PROMPT),
        {"DISABLE_AUTOUPDATER": "1", "IS_SANDBOX": "1", "CLAUDE_CODE_MAX_RETRIES": "0"},
        {
            ".claude/settings.json": f'{{ "env": {{"ANTHROPIC_BASE_URL": "{ELSEWHERE}"}} }}\n',
            ".claude/.credentials.json": '{"claudeAiOauth": {"accessToken": "a", "refreshToken": "b",'
            ' "expiresAt": 4102444800000, "scopes": ["user:inference"], "subscriptionType": "max"}}',
        },
    ),
    "codex": Case(
        (NODE, CODEX),
        ("exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", PROMPT),
        elsewhere={
            ".codex/config.toml": f'model_provider = "bm" # mine\n[model_providers.bm]\nname = "x"\n'
            f'base_url = "{ELSEWHERE}"\nenv_key = "NOT_SET"\n',
            ".codex/auth.json": '{"OPENAI_API_KEY": "mine", "auth_mode": "apikey"}',
        },
    ),
    "gemini": Case(
        (NODE, GEMINI),
        ("--skip-trust", "-m", "gemini-2.5-pro", "-p", PROMPT),
        {"GEMINI_CLI_NO_RELAUNCH": "true"},
        {
            ".gemini/settings.json": '{"security": {"auth": {"selectedType": "oauth-personal"}}} // mine\n',
            ".gemini/.env": f"GOOGLE_GEMINI_BASE_URL={ELSEWHERE}\n",
        },
    ),
    "opencode": Case(
        (OPENCODE,),
        ("run", "--title", "trial", PROMPT),
        {
            "OPENCODE_DISABLE_AUTOUPDATE": "1",
            "OPENCODE_DISABLE_MODELS_FETCH": "1",
            "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
            "OPENCODE_DISABLE_DEFAULT_PLUGINS": "1",
            "npm_config_registry": ELSEWHERE,
        },
        {
            ".config/opencode/opencode.json": '{ "$schema": "https://opencode.ai/config.json", "model": "bm/x",'
            f' "provider": {{"bm": {{"options": {{"baseURL": "{ELSEWHERE}"}}}}}} /* mine */ }}\n'
        },
    ),
    "aider": Case(
        (AIDER,),
        ("--model", "openai/gpt-4o", "--message", PROMPT, "--map-tokens", "0", *_AIDER.split()),
        {"LITELLM_LOCAL_MODEL_COST_MAP": "True"},
        {".aider.conf.yml": f"# mine\nopenai-api-base: {ELSEWHERE}/v1\nopenai-api-key: none\n"},
    ),
    "qwen": Case(
        (NODE, QWEN),
        ("-p", PROMPT),
        elsewhere={
            ".qwen/settings.json": '{"security": {"auth": {"selectedType": "qwen-oauth"}},'
            f' "env": {{"OPENAI_BASE_URL": "{ELSEWHERE}/v1"}}, "$version": 4}}\n'
        },
    ),
    "llm": Case(
        (LLM,),
        ("-m", "bm", PROMPT),
        elsewhere={
            ".config/io.datasette.llm/extra-openai-models.yaml": "# mine\n- model_id: mine\n  model_name: x\n",
            ".config/io.datasette.llm/keys.json": '{"mine": "x"}\n',
        },
        once=("-m", "gpt-4o", PROMPT),
    ),
}
Start = Callable[..., Run]


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A daemon whose Gemini pool is the simulator, which knows the word."""
    with site(KINDS["gemini"], tmp_path_factory.mktemp("pool")) as running:
        running.sim.script(
            Rule(model=running.kind.small, text=ROUTED, times=None),
            Rule(text=WORD, times=None),
        )
        yield running


@pytest.fixture(params=CASES)
def tool(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Each installed tool, with a program of its name on the PATH of `start`."""
    name: str = request.param
    case = CASES[name]
    if lacking := [path for path in case.program if not path.exists()]:
        pytest.skip(f"{name} is not installed: no {lacking[0].name} in $CLIENTS_HOME")
    script = tmp_path / "programs" / name
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec {" ".join(map(str, case.program))} "$@"\n')
    script.chmod(0o755)
    return name


@pytest.fixture
def start(pool: Site, tool: str, tmp_path: Path) -> Start:
    """Run a command with the tool on PATH and bm's files in reach, always in the same home."""

    def started(*argv: str | Path) -> Run:
        environ = {
            **CASES[tool].environ,
            "PATH": f"{tmp_path / 'programs'}:{PLAIN_PATH}",
            "BM_HOME": str(pool.daemon.paths.config.parent),
            "BM_SERVER_PORT": "0",
        }
        return run([str(word) for word in argv], environ, tmp_path, 90)

    return started


def bm(*words: str) -> list[str]:
    return [sys.executable, "-m", "bm", *words]


@pytest.mark.parametrize("pointed_elsewhere", [False, True])
def test_a_tool_uses_bm_through_bm_run(start: Start, tool: str, tmp_path: Path, pointed_elsewhere: bool) -> None:
    home = tmp_path / "home"
    files = CASES[tool].elsewhere if pointed_elsewhere else {}
    _write(home, files)
    ended = start(*bm("run", tool, "--", *(CASES[tool].once or CASES[tool].words)))
    assert WORD in ended.out, ended.out[-500:] + ended.err[-500:]
    if tool != "qwen":  # It rewrites its own settings.
        assert {name: (home / name).read_text() for name in files} == files


def test_a_tool_uses_bm_after_bm_setup_until_it_is_undone(pool: Site, start: Start, tool: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    files = CASES[tool].elsewhere
    _write(home, files)
    assert start(*bm("setup", tool)).code == 0
    assert start(*bm("setup", tool, "--undo")).code == 0
    assert {name: (home / name).read_text() for name in files} == files
    assert start(*bm("setup", tool)).code == 0
    ended = start(tmp_path / "programs" / tool, *CASES[tool].words)
    assert WORD in ended.out, ended.out[-500:] + ended.err[-500:]
    assert start(*bm("setup", tool, "--undo")).code == 0
    assert [file for file in home.rglob("*") if _holds(file, pool.daemon.key)] == []


def test_every_tool_that_bm_runs_is_tested() -> None:
    assert set(CASES) == {row.name for row in ROWS if row.runs}


def _holds(file: Path, word: str) -> bool:
    return file.is_file() and not file.is_symlink() and word.encode() in file.read_bytes()


def _write(home: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)
