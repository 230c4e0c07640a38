"""What usage can be told by."""

from __future__ import annotations

from typing import Literal

By = Literal["provider", "model", "account", "day"]
"""`model` is the one that answered, `day` one of local time."""
