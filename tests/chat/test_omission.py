"""What a model reads in place of media that it cannot be shown."""

from __future__ import annotations

from bm.chat.omission import media_of, without_media
from bm.chat.parts import CacheMark, Media, Text, ToolResult
from bm.chat.request import ChatRequest, Turn

PICTURE = Media("image", mime="image/png", data="AAAA", cache=CacheMark())
REPORT = Media("document", mime="application/pdf", data="AAAA", name="report.pdf")
NOTES = Media("document", mime="text/plain", text="first, second", name="notes.txt")
REQUEST = ChatRequest(
    protocol="anthropic",
    model="m",
    turns=(
        Turn("user", (Text("look"), PICTURE, REPORT)),
        Turn("user", (ToolResult("t", (Text("seen"), PICTURE)), NOTES)),
    ),
)


def test_a_note_stands_where_the_pictures_were_also_in_results_of_tools() -> None:
    request, losses = without_media(REQUEST, {"images"})
    first, second = request.turns
    note = Text("[image left out: this model cannot be shown it]", cache=CacheMark())
    assert first.parts == (Text("look"), note, REPORT)
    assert second.parts == (ToolResult("t", (Text("seen"), note)), NOTES)
    assert [(loss.field, loss.reason.count(" 2 ")) for loss in losses] == [("images", 1)]


def test_a_note_names_the_document_and_a_plain_text_is_none_that_is_lost() -> None:
    request, losses = without_media(REQUEST, {"documents"})
    assert request.turns[0].parts[2] == Text('[document "report.pdf" left out: this model cannot be shown it]')
    assert request.turns[1].parts[1] == Text("notes.txt\n\nfirst, second")
    assert [(loss.field, loss.reason.count(" 1 ")) for loss in losses] == [("documents", 1)]


def test_without_anything_to_leave_out_all_is_as_it_was() -> None:
    assert without_media(REQUEST, ()) == (REQUEST, ())
    assert without_media(REQUEST, {"audio"}) == (REQUEST, ())
    assert list(media_of(REQUEST)) == [PICTURE, REPORT, PICTURE, NOTES]
