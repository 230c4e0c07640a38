"""What Gemini clients ask for, in every spelling they use."""

from __future__ import annotations

from bm.chat.parts import Text
from bm.chat.request import (
    Extra,
    Turn,
)
from bm.protocols.gemini.codec import CODEC
from tests.protocols.gemini.kit import CONTENTS, read


def test_the_model_and_the_stream_stand_in_the_path() -> None:
    request = read()
    assert (request.protocol, request.model, request.stream) == ("gemini", "m", True)
    assert request.turns == (Turn("user", (Text("hi"),)),)


def test_a_body_may_name_its_model_and_be_wrapped_for_counting() -> None:
    wrapped = {"generateContentRequest": {"model": "models/gemini-x", "contents": CONTENTS}}
    assert CODEC.decode_request(wrapped).model == "gemini-x"


def test_what_only_gemini_knows_is_kept() -> None:
    video = {"fileData": {"fileUri": "gs://b/v"}, "videoMetadata": {"fps": 1}}
    request = read(
        contents=[{"parts": [video]}],
        safetySettings=[{"category": "x"}],
        cached_content="cachedContents/1",
        labels={},
        generationConfig={"mediaResolution": "LOW", "speech_config": {"x": 1}},
        toolConfig={"includeServerSideToolInvocations": True},
    )
    assert request.extras == (
        Extra("gemini", "safetySettings", [{"category": "x"}]),
        Extra("gemini", "cachedContent", "cachedContents/1"),
        Extra("gemini", "toolConfig.includeServerSideToolInvocations", True),
        Extra("gemini", "generationConfig.mediaResolution", "LOW"),
        Extra("gemini", "generationConfig.speechConfig", {"x": 1}),
        Extra("gemini", "contents[0].parts[0].videoMetadata", {"fps": 1}),
    )
