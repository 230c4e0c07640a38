"""The user's function of `[routes]`: what it is given, what it may return, and that it never breaks a request."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from bm.dispatch.routes import HOOK
from bm.errors import ConfigError
from bm.gateway import hook as hooks
from bm.gateway.hook import Hook, load_hook, shown
from bm.tasks import failures, note

PROVIDERS = {"groq": None, "gemini": None}


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    yield
    note(HOOK, "")


def loaded(folder: Path, text: str, setting: str = "routes.py:choose") -> Hook:
    (folder / "routes.py").write_text(text)
    return load_hook(setting, folder)


async def ask(hook: Hook, model: str = "opus", **needs: object) -> str:
    return await hook.ask(model, needs, [("user-agent", "x"), ("x-api-key", "secret")], PROVIDERS)


async def test_it_is_given_the_model_the_needs_and_the_headers_without_credentials(tmp_path: Path) -> None:
    hook = loaded(
        tmp_path,
        "def choose(model, needs, headers):\n    return f'{model} {needs[\"images\"]} {sorted(headers)}'\n",
    )
    assert await ask(hook, images=True) == "opus True ['user-agent']"


def test_no_credential_is_shown() -> None:
    secret = ("authorization", "x-api-key", "cookie", "x-goog-api-key", "proxy-authorization", "x-my-token", "api-key")
    assert shown([(name, "s") for name in (*secret, "anthropic-beta", "x-app")]) == {
        "anthropic-beta": "s",
        "x-app": "s",
    }


@pytest.mark.parametrize(
    ("body", "name", "problem"),
    [
        ("return 'groq:llama'", "groq:llama", ""),
        ("return ' best '", "best", ""),
        ("return None", "", ""),
        ("return ''", "", ""),
        ("pass", "", ""),
        ("return 3", "", "routes.py: returned int, not a name or None"),
        ("return 1 / 0", "", "routes.py:2: ZeroDivisionError: division by zero"),
        (
            "raise type('Mute', (Exception,), {'__str__': lambda self: 1 / 0})",
            "",
            "routes.py:2: bm_routes_hook.Mute: <exception str() failed>",
        ),
        ("raise SystemExit('enough')", "", "routes.py:2: SystemExit: enough"),
        ("return 'gorq:x'", "", 'routes.py: no provider is named "gorq" (did you mean "groq:x"?)'),
        ("return 'a\\nb'", "", "routes.py: the name of the model contains control characters or line breaks"),
    ],
)
async def test_what_it_returns(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, body: str, name: str, problem: str
) -> None:
    hook = loaded(tmp_path, f"def choose(model, needs, headers):\n    {body}\n")
    with caplog.at_level(logging.ERROR, "bm"):
        assert [await ask(hook) for _ in range(3)] == [name] * 3
    said = [f"routes.hook: {tmp_path}/{problem}; the request went on without it"] if problem else []
    assert caplog.messages == failures() == said, "once, however often it happens"


async def test_a_hook_that_hangs_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "LIMIT", 0.02)
    monkeypatch.setattr(hooks, "MOST_RUNNING", 2)
    text = "import threading\nstop = threading.Event()\ndef choose(model, needs, headers):\n    stop.wait(9)\n"
    hook = loaded(tmp_path, text)
    try:
        assert [await ask(hook) for _ in range(3)] == [""] * 3
    finally:
        hook._function.__globals__["stop"].set()
    assert failures() == [
        f"routes.hook: {tmp_path}/routes.py: 2 calls have not returned; the request went on without it"
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("def choose(:\n", "routes.hook: {file}:1: SyntaxError: "),
        ("import nothing_of_that_name\n", "routes.hook: {file}:1: ModuleNotFoundError: "),
        ("x = 1\nraise ValueError('no')\n", "routes.hook: {file}:2: ValueError: no (the file must load"),
        ("def chose(): ...\n", "{file}: routes.hook: has no function choose"),
        ("choose = 'best'\n", "{file}: routes.hook: has no function choose"),
    ],
)
def test_a_file_that_does_not_load_is_an_error_of_the_configuration(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as error:
        loaded(tmp_path, text)
    assert str(error.value).startswith(problem.format(file=tmp_path / "routes.py"))


def test_a_file_that_is_missing_or_that_others_can_write_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_hook("other.py:choose", tmp_path)
    (tmp_path / "routes.py").write_text("def choose(*_): ...\n")
    (tmp_path / "routes.py").chmod(0o666)
    with pytest.raises(ConfigError, match="chmod go-w"):
        load_hook("routes.py:choose", tmp_path)
