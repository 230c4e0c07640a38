"""A change to requests that heals a refusal, as a value: it can be tried, compared, stored and said in words."""

from __future__ import annotations

from typing import Any

import msgspec


class Remedy(msgspec.Struct, frozen=True, omit_defaults=True):
    """What to change in requests to a model.

    `operation` names a function of `bm.remedies`, `path` the member it changes (`*` stands for every element
    of a list), `values` what it needs besides. `passing` remedies concern one request's content and are not learnt.
    `reason` is the refusal that called for it.
    """

    operation: str
    path: str = ""
    values: tuple[Any, ...] = ()
    passing: bool = False
    reason: str = ""

    @property
    def key(self) -> tuple[Any, ...]:
        """Remedies of one key replace each other. Schemas are simplified one set at a time."""
        return self.operation, self.path, self.values if self.operation == "simplify_schemas" else ()

    @property
    def change(self) -> tuple[Any, ...]:
        """What it does, whatever the refusal said."""
        return self.operation, self.path, self.values

    def __str__(self) -> str:
        said = ", ".join(str(value) for value in self.values if value is not None)
        if self.operation == "simplify_schemas":
            said = ""
        return " ".join(filter(None, (self.operation.replace("_", " "), self.path, f"({said})" if said else "")))


def joined(known: tuple[Remedy, ...], new: Remedy) -> tuple[Remedy, ...]:
    """The remedies with `new` in place of the one that it replaces. Values to avoid add up; of levels, both hold."""
    before = next((each for each in known if each.key == new.key), None)
    if before is not None and new.operation == "avoid":
        new = msgspec.structs.replace(new, values=tuple(dict.fromkeys((*before.values, *new.values))))
    if before is not None and new.operation == "level":
        both = tuple(value for value in new.values if value in before.values)
        new = msgspec.structs.replace(new, values=both or new.values)
    return (*(each for each in known if each is not before), new)
