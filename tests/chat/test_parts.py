"""The parts of a turn."""

from __future__ import annotations

from bm.chat.parts import Media


def test_a_plain_text_document_follows_its_name() -> None:
    assert Media("document", text="first", name="notes.txt").titled_text == "notes.txt\n\nfirst"
    assert Media("document", text="first").titled_text == "first"
    assert Media("document", data="AAAA", name="report.pdf").titled_text == ""
