"""The entries of one account, or of accounts that share their quota, by model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import msgspec

from bm.accounts.cooldowns import CooldownEntry, Kind, Status, after_success, status, still_telling, with_entry
from bm.dispatch.snapshot import ANY_MODEL

CLEAR = status(())
"""How matters stand for a model without entries."""


class CooldownLog:
    """What speaks against an account. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._entries: dict[str, list[CooldownEntry]] = {}
        self._statuses: dict[str, Status] = {}

    def add(self, entry: CooldownEntry) -> None:
        """Note one entry more."""
        self._change(lambda entries: still_telling(entries, entry.at))
        self._entries[entry.model] = with_entry(self._entries.get(entry.model, []), entry)
        self._statuses.pop(entry.model, None)

    def take_out(self, ids: frozenset[int]) -> None:
        """Undo entries: all is as if they had never been made."""
        self._change(lambda entries: [entry for entry in entries if entry.id not in ids])

    def clear(self, kinds: Iterable[Kind], before: float = float("inf")) -> None:
        """Drop the entries of these kinds from before a moment."""
        void = frozenset(kinds)
        self._change(lambda entries: [entry for entry in entries if entry.kind not in void or entry.at >= before])

    def answered(self, model: str, now: float, sent: float) -> None:
        """A request for `model` that went out at `sent` was answered well."""
        for name in (model, ANY_MODEL):
            if name in self._entries:
                self._set(name, after_success(self._entries[name], now, sent))

    def merge(self, entries: Iterable[CooldownEntry]) -> None:
        """Take over entries of another book that are not in this one."""
        known = {entry.id for entry in self.entries()}
        for entry in entries:
            if entry.id not in known:
                self._entries.setdefault(entry.model, []).append(entry)
                self._statuses.pop(entry.model, None)

    def grow_older(self, seconds: float) -> None:
        """Move every entry into the past."""
        replace = msgspec.structs.replace
        self._change(lambda old: [replace(each, at=each.at - seconds, sent=each.sent - seconds) for each in old])

    def entries(self) -> Iterator[CooldownEntry]:
        """Every entry."""
        for entries in self._entries.values():
            yield from entries

    def models(self) -> set[str]:
        """The models that have entries; `ANY_MODEL` stands for the whole account."""
        return set(self._entries)

    def status(self, model: str) -> Status:
        """How matters stand for exactly this model."""
        if model not in self._entries:
            return CLEAR
        found = self._statuses.get(model)
        if found is None:
            found = self._statuses[model] = status(self._entries[model])
        return found

    def until_without(self, model: str, ids: frozenset[int]) -> float:
        """When the last rest of this model would end, had these entries never been made."""
        return status([entry for entry in self._entries.get(model, ()) if entry.id not in ids]).until

    def _change(self, filtered: Callable[[list[CooldownEntry]], list[CooldownEntry]]) -> None:
        for model, entries in list(self._entries.items()):
            self._set(model, filtered(entries))

    def _set(self, model: str, entries: list[CooldownEntry]) -> None:
        if entries == self._entries.get(model):
            return
        self._statuses.pop(model, None)
        if entries:
            self._entries[model] = entries
        else:
            del self._entries[model]
