"""Keeps secrets out of what is written down: those that are known, and what has the shape of one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from urllib.parse import quote

SHAPES = re.compile(
    r"\b(sk-[A-Za-z0-9_-]{16,}|AIza[0-9A-Za-z_-]{30,}|AQ\.[0-9A-Za-z_-]{20,}|gsk_[A-Za-z0-9]{16,}|xai-[A-Za-z0-9]{16,}"
    r"|tgp_v1_[A-Za-z0-9_-]{16,}|bm-[A-Za-z0-9_-]{43}|ya29\.[0-9A-Za-z_-]{16,}|1//[0-9A-Za-z_-]{24,}"
    r"|GOCSPX-[0-9A-Za-z_-]{16,})"
)
"""What the keys of the common providers look like, and Google's tokens and client secrets: for those that nobody has
told bm about."""

_BEGINNINGS = ("sk-", "AIza", "AQ.", "gsk_", "xai-", "tgp_v1_", "bm-", "ya29.", "1//", "GOCSPX-")
"""How the shapes begin. Most texts hold none of these, and looking for them costs a fifth of the expression."""

SHORTEST = 8
"""Shorter secrets are not looked for: they would blot out ordinary words."""

MASK = "[secret]"


class Mask:
    """Masks secrets in texts: as they are, and as JSON and URLs write them. What it has learnt it never forgets."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._forms: tuple[str, ...] = ()
        self.learn(secrets)

    def learn(self, secrets: Iterable[str]) -> None:
        """Mask these as well."""
        known = [secret for secret in secrets if len(secret) >= SHORTEST]
        forms = {form for secret in known for form in (secret, json.dumps(secret)[1:-1], quote(secret, safe=""))}
        # The longest first: a secret may be a part of another one.
        self._forms = tuple(sorted({*self._forms, *forms}, key=lambda form: (-len(form), form)))

    def __call__(self, text: str) -> str:
        """`text` with every secret masked."""
        for form in self._forms:
            text = text.replace(form, MASK)
        return SHAPES.sub(MASK, text) if any(beginning in text for beginning in _BEGINNINGS) else text
