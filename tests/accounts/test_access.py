"""What a request carries is never shown."""

from __future__ import annotations

from bm.accounts.access import Access


def test_the_key_is_in_no_text_form() -> None:
    access = Access(key="planted-secret-value", bearer=True, project="p")
    assert "planted" not in f"{access} {access!r} {[access]}"
    assert "project='p'" in repr(access)
