"""The user's own function that says where a request goes: `[routes] hook`.

It is Python in a file of the user's, so it may fail, hang, or return anything. Each call runs in a thread of its own
and is waited for briefly; whatever goes wrong is said once, and the request goes on as without a hook.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from bm.config.chains import nearest_prefix
from bm.config.files import writable_by_others
from bm.dispatch.routes import HOOK
from bm.errors import ConfigError, RequestError
from bm.gateway.call import check_model
from bm.tasks import note
from bm.upstream.headers import CREDENTIALS, Headers

LIMIT: Final = 1.0
"""Seconds that a request waits for the hook."""
MOST_RUNNING: Final = 8
"""Calls that may run at once; beyond them requests go on without the hook, which may hang."""

_MODULE: Final = "bm_routes_hook"
_SECRET: Final = ("auth", "cookie", "key", "secret", "token")
_log = logging.getLogger("bm")


class Hook:
    """A loaded function, called with the model, what the request needs, and its headers; returns a name or None."""

    def __init__(self, function: Callable[..., Any], path: Path) -> None:
        self._function, self._path = function, path
        self._running = 0
        self._said: set[str] = set()

    async def ask(self, model: str, needs: Mapping[str, Any], headers: Headers, providers: Mapping[str, Any]) -> str:
        """The name that the function returns for a request; empty if it returns none, fails or takes too long."""
        if self._running >= MOST_RUNNING:
            self._say(f"{self._path}: {MOST_RUNNING} calls have not returned")
            return ""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[object] = loop.create_future()
        arguments = (model, dict(needs), shown(headers))
        self._running += 1

        def deliver(found: object) -> None:
            self._running -= 1
            if not answer.done():
                answer.set_result(found)

        def run() -> None:
            try:
                found: object = self._function(*arguments)
            except BaseException as error:  # noqa: BLE001 - also what ends programs, such as sys.exit
                found = error
            with contextlib.suppress(RuntimeError):  # the daemon has stopped meanwhile
                loop.call_soon_threadsafe(deliver, found)

        try:
            threading.Thread(target=run, name=HOOK, daemon=True).start()
        except RuntimeError as error:
            deliver(error)
        try:
            found = await asyncio.wait_for(answer, LIMIT)
        except TimeoutError:
            self._say(f"{self._path}: did not return within {LIMIT:g} s")
            return ""
        return self._name(found, providers)

    def _name(self, found: object, providers: Mapping[str, Any]) -> str:
        """What the function has returned as a name; empty if it is none."""
        if found is None:
            return ""
        if isinstance(found, BaseException):
            self._say(f"{_place(found, self._path)}: {_words(found)}")
        elif not isinstance(found, str):
            self._say(f"{self._path}: returned {type(found).__name__}, not a name or None")
        elif near := nearest_prefix(found, providers):
            self._say(f'{self._path}: no provider is named "{found.partition(":")[0]}" (did you mean "{near}"?)')
        else:
            return self._checked(found.strip())
        return ""

    def _checked(self, name: str) -> str:
        try:
            check_model(name)
        except RequestError as error:
            self._say(f"{self._path}: {error.failure.message}")
            return ""
        return name

    def _say(self, problem: str) -> None:
        """Report a problem in the log, once, and in `bm status`."""
        words = f"{HOOK}: {problem}; the request went on without it"
        if words not in self._said and len(self._said) < MOST_RUNNING:
            self._said.add(words)
            _log.error("%s", words)
            note(HOOK, words)


def shown(headers: Headers) -> dict[str, str]:
    """The headers that the function sees: those that hold no credential."""
    return {
        name: value for name, value in headers if name not in CREDENTIALS and not any(word in name for word in _SECRET)
    }


def path_of(setting: str, folder: Path) -> Path:
    """The file of a hook. Its path is relative to the folder of the configuration."""
    return folder / Path(setting.rpartition(":")[0]).expanduser()


def load_hook(setting: str, folder: Path) -> Hook:
    """Run the file and take the function from it. Blocks.

    Raises:
        ConfigError: the file cannot be read or fails, other users can change it, or it has no such function.
    """
    path, name = path_of(setting, folder), setting.rpartition(":")[2]
    if danger := writable_by_others(path):
        raise ConfigError(danger, path=str(path), key=HOOK)
    module = ModuleType(_MODULE)
    module.__file__ = str(path)
    sys.modules[_MODULE] = module  # dataclasses look there for the module of their class
    try:
        program = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", path=str(path), key=HOOK) from None
    try:
        exec(compile(program, path, "exec"), module.__dict__)  # noqa: S102 - it is the user's own program
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it raises is said with its place
        message = f"{_place(error, path)}: {_words(error)}"
        raise ConfigError(message, key=HOOK, hint="the file must load without an error") from None
    function = getattr(module, name, None)
    if not callable(function):
        raise ConfigError(f"has no function {name}", path=str(path), key=HOOK)
    note(HOOK, "")
    return Hook(function, path)


def _place(error: BaseException, path: Path) -> str:
    """The file and the line of the user's that an error comes from."""
    if isinstance(error, SyntaxError):
        return f"{path}:{error.lineno}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f"{path}:{frames[-1].lineno}" if frames else str(path)


def _words(error: BaseException) -> str:
    """What an error says, even if its text cannot be made."""
    return traceback.format_exception_only(error)[-1].strip()
