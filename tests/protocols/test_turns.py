"""What of a conversation a protocol can express."""

from __future__ import annotations

import pytest

from bm.chat.parts import CacheMark, Media, Opaque, Part, Refusal, Text, Thinking, ToolCall, ToolResult
from bm.chat.request import ChatRequest, Loss, Turn
from bm.chat.signature import Signature
from bm.errors import RequestError
from bm.protocols.media import type_of
from bm.protocols.turns import Expressible

PICTURE = Media("image", data="iVBOR")
NOTES = Media("document", text="first", name="notes.txt", cache=CacheMark())


def objection(media: Media) -> str:
    return "no images here" if media.kind == "image" else ""


GEMINI = Expressible("gemini", objection)


def written(*turns: Turn, known: Expressible = GEMINI) -> tuple[tuple[Turn, ...], list[Loss]]:
    losses: list[Loss] = []
    return known.turns(ChatRequest(protocol="anthropic", model="m", turns=turns), losses), losses


def parts(*parts: Part, known: Expressible = GEMINI) -> tuple[Part, ...]:
    turns, _ = written(Turn("user", parts), known=known)
    return turns[0].parts if turns else ()


def test_another_vendors_parts_are_their_summary_or_a_loss() -> None:
    own = Opaque("gemini", "executableCode", {})
    said, unknown, lookup = Opaque("x", "k", {}, "found 3"), Opaque("x", "k", {}), Opaque("x", "tool_search_call", {})
    turns, losses = written(Turn("assistant", (own, said, unknown, lookup)), Turn("user", (unknown,)))
    assert turns == (Turn("assistant", (own, Text("found 3"))),)
    assert [loss.field for loss in losses] == ["messages[0].content[2] (k)", "messages[1].content[0] (k)"]


def test_empty_texts_and_turns_are_left_out_unless_they_are_signed() -> None:
    signed = Text("", Signature("gemini", "c2ln"))
    assert parts(Text(""), Refusal(""), signed, Text(" ")) == (signed, Text(" "))
    assert parts(Text(" "), known=Expressible("anthropic", objection, blank_texts=False)) == ()


def test_thinking_is_sent_back_where_it_is_the_models_own() -> None:
    own, foreign = Thinking("a", Signature("anthropic", "s")), Thinking("b")
    known = Expressible("anthropic", objection, lambda part: part.signature is not None)
    assert parts(own, foreign, known=known) == (own,)
    assert parts(own, foreign) == (own, foreign)


def test_a_plain_text_document_becomes_text_where_there_are_no_documents() -> None:
    assert parts(NOTES) == (Text("notes.txt\n\nfirst", cache=CacheMark()),)
    assert parts(NOTES, known=Expressible("anthropic", objection, text_documents=True)) == (NOTES,)


def test_a_document_of_text_that_cannot_be_sent_becomes_text() -> None:
    known = Expressible("openai-chat", lambda media: f"no {media.kind}s here")
    table = Media("document", mime="text/csv; charset=utf-8", data="YSxi", name="a.csv")
    assert parts(table, known=known) == (Text("a.csv\n\na,b"),)
    with pytest.raises(RequestError, match="no documents here"):
        parts(Media("document", mime="text/csv", data="/w=="), known=known)


def test_media_of_the_user_that_cannot_be_sent_are_refused_by_their_place() -> None:
    with pytest.raises(RequestError, match="no images here") as caught:
        written(Turn("user", (Text("look"), PICTURE)))
    assert caught.value.failure.param == "messages[0].content[1]"


BITMAP = Media("image", data="Qk02AAAAAAAA")


def png_alone(media: Media) -> str:
    return "" if type_of(media) == "image/png" else f"the model reads no {type_of(media)}"


@pytest.mark.parametrize("following", [(), (Turn("assistant", (ToolCall("c", "f", {}),)),)])
def test_an_image_of_an_unknown_type_is_refused_where_it_has_just_been_sent(following: tuple[Turn, ...]) -> None:
    with pytest.raises(RequestError, match="reads no image/bmp"):
        written(Turn("user", (BITMAP,)), *following, known=Expressible("anthropic", png_alone))


def test_an_image_of_an_unknown_type_is_noted_in_earlier_turns() -> None:
    said = (Turn("user", (Text("look"), BITMAP)), Turn("assistant", (Text("no"),)), Turn("user", (Text("well"),)))
    turns, losses = written(*said, known=Expressible("anthropic", png_alone))
    note = Text("[image left out: the model reads no image/bmp]")
    assert turns == (Turn("user", (Text("look"), note)), *said[1:])
    assert [loss.field for loss in losses] == ["messages[0].content[1] (image)"]
    with pytest.raises(RequestError, match="no images here"):
        written(*said)


def test_media_go_by_their_true_kind() -> None:
    known = Expressible("anthropic", lambda media: "", assistant_media=True)
    turns, _ = written(Turn("user", (Media("image", mime="image/png", data="JVBERi0x"),)), known=known)
    assert turns[0].parts == (Media("document", data="JVBERi0x"),)
    turns, _ = written(Turn("user", (Media("document", mime="application/pdf", data="iVBORw0KGgo="),)), known=known)
    assert turns[0].parts == (Media("image", data="iVBORw0KGgo="),)


def test_media_of_a_tool_that_cannot_be_sent_are_noted() -> None:
    turns, losses = written(Turn("user", (ToolResult("c", (Text("seen"), PICTURE, NOTES)),)))
    note = Text("[image left out: no images here]")
    assert turns[0].parts == (ToolResult("c", (Text("seen"), note, Text("notes.txt\n\nfirst", cache=CacheMark()))),)
    assert [loss.field for loss in losses] == ["messages[0].content[0].content[1] (image)"]


def test_media_of_the_assistant_are_left_out_where_they_cannot_be_sent() -> None:
    report = Media("document", data="JVBERi0x")
    turns, losses = written(Turn("assistant", (Text("here"), report)))
    assert (turns, len(losses)) == ((Turn("assistant", (Text("here"),)),), 1)
    known = Expressible("gemini", objection, assistant_media=True)
    turns, losses = written(Turn("assistant", (report, PICTURE)), known=known)
    assert (turns, len(losses)) == ((Turn("assistant", (report,)),), 1)
