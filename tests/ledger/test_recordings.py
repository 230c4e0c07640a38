"""The folder of recordings, its bounds and its errors."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bm.ledger.recordings import Message, Recording, RecordingError, clear, delete, load, save, summaries

MEGABYTE = 1024 * 1024
_PLAIN = Recording(
    id="req_1",
    at=1.0,
    protocol="anthropic",
    operation="generate",
    model="claude-x",
    stream=True,
    path="/v1/messages",
    request=Message(body="{}"),
    upstream=(),
    status=200,
    answer=Message(body="words"),
    complete=True,
    whole=True,
    decision={"id": "req_1"},
)


def recording(**fields: Any) -> Recording:
    return msgspec.structs.replace(_PLAIN, **fields)


def kept(folder: Path, *names: str, most: int = 100, size: int = 0) -> None:
    for place, name in enumerate(names):
        save(folder, recording(id=name, answer=Message(body="x" * size)), most=most, megabytes=1)
        # Files of one instant have no order; these are made one second after the other.
        os.utime(folder / f"{name}.json", (place, place))


def test_a_saved_recording_is_loaded(tmp_path: Path) -> None:
    saved = recording(id="req_7", request=Message(headers=[("a", "b")], body="AP8=", binary=True))
    assert save(tmp_path, saved, most=1, megabytes=1)
    assert load(tmp_path, "req_7") == load(tmp_path, "last") == saved
    assert saved.request.content == b"\x00\xff"


def test_the_newest_are_listed_first(tmp_path: Path) -> None:
    kept(tmp_path, "a", "b", "c")
    assert [each.id for each in summaries(tmp_path)] == ["c", "b", "a"]
    assert all(each.size == (tmp_path / f"{each.id}.json").stat().st_size for each in summaries(tmp_path))


def test_the_oldest_beyond_the_number_are_removed(tmp_path: Path) -> None:
    kept(tmp_path, "a", "b", "c", most=2)
    assert [each.id for each in summaries(tmp_path)] == ["c", "b"]


def test_the_oldest_beyond_the_size_are_removed(tmp_path: Path) -> None:
    kept(tmp_path, "a", "b", "c", size=MEGABYTE * 2 // 5)
    assert [each.id for each in summaries(tmp_path)] == ["c", "b"]


def test_a_recording_larger_than_the_total_size_is_refused(tmp_path: Path) -> None:
    kept(tmp_path, "a")
    assert not save(tmp_path, recording(id="b", answer=Message(body="x" * MEGABYTE)), most=5, megabytes=1)
    assert [each.id for each in summaries(tmp_path)] == ["a"]


def test_removal(tmp_path: Path) -> None:
    kept(tmp_path, "a", "b", "c")
    delete(tmp_path, "b")
    assert [each.id for each in summaries(tmp_path)] == ["c", "a"]
    assert clear(tmp_path) == 2
    assert summaries(tmp_path) == []


@pytest.mark.parametrize("name", ["unknown", "../ledger", "a/b", "", "x" * 100])
def test_a_missing_recording_is_an_error(tmp_path: Path, name: str) -> None:
    (tmp_path.parent / "ledger.json").write_text("{}")
    for act in (load, delete):
        with pytest.raises(RecordingError):
            act(tmp_path, name)


def test_an_empty_folder_has_no_latest_recording(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="there are no recordings"):
        load(tmp_path / "none", "last")
    assert summaries(tmp_path / "none") == []


def test_other_files_are_skipped(tmp_path: Path) -> None:
    (tmp_path / "note.json").write_text("no JSON")
    assert summaries(tmp_path) == []
    with pytest.raises(RecordingError, match="cannot be read"):
        load(tmp_path, "note")
