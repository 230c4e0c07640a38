"""Who may import whom. The table is the architecture; everything not in it is refused.

A room is a package or module directly below `bm`. `AT_START` is what a module may import at its top; `INSIDE` what
it may import besides, but only inside functions (and for type checking), because it is slow to load.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest

from tests.rules.source import Source, sources

BASE = {"names", "errors", "sse", "surrogates"}
CANON = BASE | {"chat"}
WIRES = CANON | {"protocols"}
DATA = {"names", "errors", "config", "providers"}
ENGINE = WIRES | DATA | {"remedies", "dispatch", "accounts", "upstream", "keys", "vault", "ledger", "tasks"}

AT_START: dict[str, set[str]] = {
    "names": set(),
    "errors": {"names"},
    "sse": set(),
    "surrogates": set(),
    "duration": set(),
    "loop": set(),
    "tasks": set(),
    "chat": BASE,
    "protocols": CANON,
    "remedies": WIRES,
    "config": {"names", "errors"},
    "providers": CANON | {"config"},
    "database": {"names", "errors"},
    "dispatch": CANON | DATA | {"duration"},
    "accounts": DATA | {"dispatch", "tasks"},
    "upstream": CANON | DATA | {"dispatch", "accounts"},
    "keys": DATA | {"duration"},
    "vault": DATA | {"accounts", "keys", "dispatch", "database", "tasks"},
    "ledger": CANON | DATA | {"duration", "tasks", "database"},
    "gateway": ENGINE,
    "shared": ENGINE | {"gateway"},
    "server": ENGINE | {"gateway", "loop"},
    "simulator": {"names", "sse", "loop"},
    "clients": {"names", "errors", "config"},
    "daemon": DATA,
    "cli": DATA | {"accounts", "clients", "daemon", "dispatch", "duration", "keys", "ledger"},
    "__main__": {"cli"},
}

INSIDE: dict[str, set[str]] = {
    "daemon": ENGINE | {"gateway", "server"},
    "server": {"clients", "daemon", "shared"},
    "cli": ENGINE | {"gateway", "server", "shared", "simulator"},
}

PURE = {"names", "errors", "sse", "surrogates", "duration", "chat", "protocols", "remedies", "dispatch"}
"""Rooms that take values and return values."""

IMPURE_MODULES = {
    "the clock": {"time", "sched"},
    "randomness": {"random", "secrets"},
    "files": {"glob", "io", "os", "pathlib", "platformdirs", "shutil", "sqlite3", "tempfile"},
    "the network": {"http", "httptools", "httpx", "selectors", "socket", "ssl", "urllib.request"},
    "the server": {"starlette", "uvicorn"},
    "processes and threads": {"multiprocessing", "psutil", "queue", "signal", "subprocess", "threading"},
    "an event loop": {"anyio", "asyncio", "concurrent", "uvloop"},
    "the log": {"logging"},
    "the keyring": {"keyring"},
}
IMPURE_CALLS = {
    "the clock": {"datetime.now", "datetime.utcnow", "datetime.today", "date.today"},
    "randomness": {"uuid.uuid1", "uuid.uuid4", "uuid1", "uuid4"},
    "files": {"open"},
    "the terminal": {"input", "print", "breakpoint"},
}


@dataclass(frozen=True)
class Import:
    """One imported module, absolute, and whether importing the file imports it."""

    module: str
    line: int
    at_start: bool

    @property
    def room(self) -> str | None:
        """The room of bm it belongs to; None for a foreign module, `bm` itself and its version."""
        package, _, rest = self.module.partition(".")
        return rest.split(".")[0] if package == "bm" and rest not in ("", "__version__") else None


def imports(tree: ast.AST, *, at_start: bool = True) -> Iterator[Import]:
    """Every import below a node. What a function or `if TYPE_CHECKING` holds is not at start."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno, at_start) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            namespace = module in ("bm", "urllib", "concurrent")
            names = [f"{module}.{alias.name}" for alias in node.names] if namespace else [module]
            yield from (Import(name, node.lineno, at_start) for name in names)
        elif isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            for child in node.body:
                yield from imports(ast.Module([child], []), at_start=False)
            yield from imports(ast.Module(node.orelse, []), at_start=at_start)
        else:
            function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from imports(node, at_start=at_start and not function)


def layer_faults(source: Source) -> list[str]:
    """The imports of a file that the table does not allow."""
    at_start = AT_START[source.room] | {source.room}
    inside = at_start | INSIDE.get(source.room, set())
    return [
        f"{source.path}:{found.line} {source.room} imports {found.room}{' at start' if found.at_start else ''}"
        for found in imports(source.tree)
        if found.room and found.room not in (at_start if found.at_start else inside)
    ]


def imported(source: Source) -> set[str]:
    """The modules of bm that a file imports, wherever in it."""
    known = {each.module for each in sources()}
    found: set[str] = set()
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= names & known or {node.module}
    return (found & known) - {source.module}


def circles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Groups of modules each of which imports, directly or not, all others of its group."""

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        waiting = [start]
        while waiting:
            more = graph.get(waiting.pop(), set()) - seen
            seen |= more
            waiting += more
        return seen

    reach = {module: reached(module) for module in graph}
    groups = {tuple(sorted(other for other in reach[module] if module in reach.get(other, ()))) for module in graph}
    return [list(group) for group in sorted(groups) if len(group) > 1]


def purity_faults(source: Source) -> list[str]:
    """Where a file reaches for the clock, randomness or the outside."""
    uses = [(found.line, kind) for found in imports(source.tree) if (kind := impure_module(found.module))]
    calls = [node for node in ast.walk(source.tree) if isinstance(node, ast.Call)]
    uses += [(call.lineno, kind) for call in calls if (kind := impure_call(ast.unparse(call.func)))]
    return [f"{source.path}:{line} uses {kind}" for line, kind in uses]


def impure_module(module: str) -> str | None:
    """What importing a module opens the door to, if anything."""
    package = module.split(".")[0]
    return next((kind for kind, names in IMPURE_MODULES.items() if names & {module, package}), None)


def impure_call(function: str) -> str | None:
    """What calling a function, as it is written, reaches for, if anything."""
    names = {function, function.removeprefix("datetime.")}
    return next((kind for kind, impure in IMPURE_CALLS.items() if impure & names), None)


def test_every_room_has_its_place_in_the_table() -> None:
    rooms = {source.room for source in sources()} - {""}
    assert rooms <= set(AT_START)


def test_the_table_has_no_cycle() -> None:
    order: list[str] = []
    while len(order) < len(AT_START):
        ready = [room for room in AT_START if room not in order and AT_START[room] <= set(order)]
        assert ready, f"a cycle among {sorted(set(AT_START) - set(order))}"
        order += ready


@pytest.mark.parametrize("room", ["cli", "daemon"])
def test_what_a_person_waits_for_loads_no_server(room: str) -> None:
    assert not AT_START[room] & {"server", "gateway", "upstream", "simulator"}


def test_imports_run_one_way() -> None:
    assert [fault for source in sources() if source.room for fault in layer_faults(source)] == []


def test_no_import_runs_in_a_circle() -> None:
    assert circles({source.module: imported(source) for source in sources()}) == []


@pytest.mark.parametrize(
    ("graph", "found"),
    [
        ({"a": {"b"}, "b": {"c"}, "c": set()}, []),
        ({"a": {"b"}, "b": {"c"}, "c": {"b"}}, [["b", "c"]]),
        ({"a": {"b"}, "b": {"a"}, "c": {"d"}, "d": {"c"}}, [["a", "b"], ["c", "d"]]),
    ],
)
def test_a_circle_is_found(graph: dict[str, set[str]], found: list[list[str]]) -> None:
    assert circles(graph) == found


def test_pure_rooms_take_values_and_return_values() -> None:
    assert [fault for source in sources() if source.room in PURE for fault in purity_faults(source)] == []


def example(room: str, text: str) -> Source:
    return Source(f"bm/{room}/example.py", text, ast.parse(text))


@pytest.mark.parametrize(
    ("room", "text"),
    [
        ("chat", "from bm.protocols import Codec"),
        ("chat", "from bm import config"),
        ("chat", "def f():\n    import bm.server.app"),
        ("dispatch", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from bm.accounts.pool import Pool"),
        ("cli", "from bm.server.app import build"),
        ("cli", "class Command:\n    import bm.gateway"),
        ("daemon", "try:\n    import bm.upstream.client\nexcept ImportError:\n    pass"),
    ],
)
def test_a_forbidden_import_is_found_wherever_it_hides(room: str, text: str) -> None:
    assert len(layer_faults(example(room, text))) == 1


@pytest.mark.parametrize(
    ("room", "text"),
    [
        ("chat", "from bm import __version__, errors"),
        ("cli", "def start():\n    from bm.server.app import build"),
        ("daemon", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from bm.server.app import App"),
        ("gateway", "import bm.upstream.client, bm.dispatch.plan"),
    ],
)
def test_an_import_that_the_table_allows_is_no_fault(room: str, text: str) -> None:
    assert layer_faults(example(room, text)) == []


@pytest.mark.parametrize(
    "text",
    [
        "import time",
        "from asyncio import sleep",
        "import urllib.request",
        "def f():\n    from random import random",
        "from datetime import datetime\nstarted = datetime.now()",
        "import uuid\nname = lambda: uuid.uuid4()",
        "text = open('x')",
    ],
)
def test_an_impure_line_is_found(text: str) -> None:
    assert len(purity_faults(example("dispatch", text))) == 1


def test_values_of_time_are_pure() -> None:
    text = "from datetime import datetime, UTC\nimport urllib.parse\nat = datetime(2026, 1, 1, tzinfo=UTC)"
    assert purity_faults(example("dispatch", text)) == []
