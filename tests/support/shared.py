"""Recorded exchanges and real clients, which live outside the repository.

`SHARED` is the folder named by `$BM_SHARED`, else `shared` beside the checkout, when it holds `corpus/`; else None.
A test that needs it says `pytestmark = [pytest.mark.corpus, needs_corpus]`. Case lists are then empty, so they can
feed `parametrize` either way.
"""

from __future__ import annotations

import importlib.util
import inspect
import json
import os
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


def _locate() -> Path | None:
    checkout = Path(__file__).resolve().parents[2]
    folder = Path(os.environ.get("BM_SHARED") or checkout.parent / "shared")
    return folder if (folder / "corpus").is_dir() else None


SHARED = _locate()

BATCHES = 4
"""Into how many tests `each_case` divides its cases."""

needs_corpus = pytest.mark.skipif(
    SHARED is None, reason="no recorded exchanges: $BM_SHARED, or shared/ beside the checkout, holds no corpus/"
)


@dataclass(frozen=True)
class Case:
    """One recorded exchange. What is not in the index is read when asked for."""

    id: str
    api: str
    provider: str
    kind: str
    """`traffic` is a request with its answer, `fixture` an answer alone."""
    status: int
    sse: bool
    features: Mapping[str, Any]
    file: Path

    def __str__(self) -> str:
        return self.id

    @property
    def request(self) -> dict[str, Any]:
        """`method, host, path, query, headers, body`. A fixture's is empty."""
        return _read(self.file).get("request") or {}

    @property
    def request_body(self) -> Any:
        """The JSON body that was sent, parsed; None where there was none."""
        return self.request.get("body")

    @property
    def response(self) -> dict[str, Any]:
        """`status, headers, body_text, sse, reserialized, was_compressed`."""
        response: dict[str, Any] = _read(self.file)["response"]
        return response

    @property
    def body_text(self) -> str:
        """The answer as it was sent, decompressed."""
        text: str = self.response["body_text"]
        return text


@lru_cache(maxsize=32)
def _read(file: Path) -> dict[str, Any]:
    case: dict[str, Any] = json.loads(file.read_bytes())
    return case


@cache
def _index() -> tuple[Case, ...]:
    if SHARED is None:
        return ()
    root = SHARED / "corpus"
    rows = [json.loads(line) for line in (root / "index.jsonl").read_text(encoding="utf-8").splitlines()]
    return tuple(
        Case(
            id=row["id"],
            api=row["api"],
            provider=row["provider"],
            kind=row["kind"],
            status=row["status"],
            sse=row["sse"],
            features=row["features"],
            file=root / row["file"],
        )
        for row in rows
    )


@cache
def corpus_cases(api: str) -> list[Case]:
    """The cases of one API, such as `anthropic.messages`; [] where the corpus is absent.

    Raises:
        KeyError: the corpus is there and holds no such API.
    """
    if SHARED is None:
        return []
    cases = [case for case in _index() if case.api == api]
    if not cases:
        raise KeyError(f"no API {api!r} in the corpus; it has {sorted({case.api for case in _index()})}")
    return cases


def each_case(cases: Sequence[Case]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Run a test's `case` over recorded cases, in a few batches; the failure lists every case that fails.

    A case for which the test calls `pytest.skip` is passed over.
    Thousands of cases as tests of their own would cost more than what they test.
    """

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        def batch(part: int, **others: Any) -> None:
            failures = []
            for case in cases[part::BATCHES]:
                try:
                    test(case=case, **others)
                except pytest.skip.Exception:
                    continue
                except AssertionError as error:
                    failures.append(f"{case}: {error}")
                except Exception as error:
                    error.add_note(f"case {case}")
                    raise
            assert not failures, f"{len(failures)} of {len(cases[part::BATCHES])} cases:\n" + "\n".join(failures[:20])

        own = inspect.signature(test).parameters.values()
        taken = [parameter for parameter in own if parameter.name != "case"]
        batch.__name__, batch.__doc__ = test.__name__, test.__doc__
        batch.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [inspect.Parameter("part", inspect.Parameter.POSITIONAL_OR_KEYWORD), *taken]
        )
        batch.pytestmark = getattr(test, "pytestmark", [])  # type: ignore[attr-defined]
        parametrized: Callable[..., None] = pytest.mark.parametrize("part", range(BATCHES))(batch)
        return parametrized

    return decorate


def corpus_case(id: str) -> Case:
    """One case by its id.

    Raises:
        KeyError: there is no such case.
    """
    return _by_id()[id]


@cache
def _by_id() -> dict[str, Case]:
    return {case.id: case for case in _index()}


@cache
def validators() -> ModuleType:
    """`validate_request`, `validate_response` and `sdk_parse`, which judge by the official SDKs' own types."""
    name = "corpus_validate"
    spec = importlib.util.spec_from_file_location(name, _shared() / "corpus" / "validate.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = writes
    return module


def _shared() -> Path:
    assert SHARED is not None, "guard the test with needs_corpus"
    return SHARED
