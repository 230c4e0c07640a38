"""Splits the thinking that raw models write at the head of their content, in a tag such as `<think>`, from the answer.

Only a tag at the very beginning counts: further on it is something the answer talks about.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

Kind = Literal["thinking", "text"]


class TagSplitter:
    """Takes pieces of content cut anywhere, gives them back with their kind. One splitter a choice."""

    def __init__(self, tag: str) -> None:
        self._open, self._close = f"<{tag}>", f"</{tag}>"
        self._state: Literal["head", "lead", "thinking", "gap", "text"] = "head"
        self._held = ""

    def feed(self, piece: str) -> Iterator[tuple[Kind, str]]:
        """Give back what is certain by now."""
        if self._state == "text":
            yield "text", piece
            return
        self._held += piece
        if self._state == "head":
            self._leave_head()
        if self._state == "lead":
            self._held = self._held.lstrip("\n")
            if self._held:
                self._state = "thinking"
        if self._state == "thinking":
            yield from self._think()
        if self._state == "gap":
            self._held = self._held.lstrip()
            if self._held:
                self._state = "text"
        if self._state == "text" and self._held:
            held, self._held = self._held, ""
            yield "text", held

    def _leave_head(self) -> None:
        head = self._held.lstrip()
        if head.startswith(self._open):
            self._held = head[len(self._open) :]
            self._state = "lead"
        elif not self._open.startswith(head):
            self._state = "text"

    def _think(self) -> Iterator[tuple[Kind, str]]:
        thought, closed, rest = self._held.partition(self._close)
        if closed:
            self._held, self._state = rest, "gap"
        else:
            keep = _overlap(thought, self._close)
            thought, self._held = thought[: len(thought) - keep], thought[len(thought) - keep :]
        if thought:
            yield "thinking", thought

    def close(self) -> Iterator[tuple[Kind, str]]:
        """Give back what was held: the content has ended."""
        held, self._held = self._held, ""
        if held and self._state != "gap":
            yield ("thinking" if self._state == "thinking" else "text"), held


def _overlap(text: str, mark: str) -> int:
    """How many characters at the end of `text` may be the beginning of `mark`."""
    return next((size for size in range(min(len(text), len(mark) - 1), 0, -1) if text.endswith(mark[:size])), 0)
