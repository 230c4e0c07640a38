"""What a Gemini client may be sent: the grammar of its stream, as google-genai reads it."""

from __future__ import annotations

import base64
import json
from typing import Any

_DATA = {
    "text",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
    "toolCall",
    "toolResponse",
}


def chunks(stream: bytes) -> list[dict[str, Any]]:
    """The chunks of a stream. Blank lines may stand between them and nothing else."""
    found = []
    for line in stream.split(b"\n"):
        line = line.removesuffix(b"\r")
        if line:
            assert line.startswith(b"data: {"), f"neither a chunk nor a blank line: {line[:80]!r}"
            found.append(json.loads(line.removeprefix(b"data: ")))
    assert stream.count(b"data: {") == 0 or stream.endswith((b"\r\n\r\n", b"\n")), "the last chunk is not ended"
    return found


def check(stream: bytes, *, complete: bool) -> list[dict[str, Any]]:
    """Assert that `stream` is a legal answer, whole or ended by an error, and return its chunks."""
    found = chunks(stream)
    check_chunks(found, complete=complete)
    return found


def check_chunks(found: list[dict[str, Any]], *, complete: bool) -> None:
    """Assert that the chunks are a legal answer."""
    finished: set[int] = set()
    used: set[int] = set()
    for position, chunk in enumerate(found):
        if "error" in chunk:
            assert not complete, "an error in a complete answer"
            assert position == len(found) - 1, "something follows the error"
            error = chunk["error"]
            assert isinstance(error["code"], int) and error["message"] is not None and error["status"]
            continue
        assert chunk["modelVersion"] and chunk["responseId"]
        for candidate in chunk["candidates"]:
            index = candidate["index"]
            used.add(index)
            assert index not in finished, f"candidate {index} goes on after its finish"
            assert candidate["content"]["role"] == "model"
            assert candidate["content"]["parts"], "a content without parts"
            for part in candidate["content"]["parts"]:
                check_part(part)
            if "finishReason" in candidate:
                assert candidate["finishReason"].isupper()
                finished.add(index)
    if complete:
        assert found, "no chunk at all"
        assert used and used == finished, f"candidates {used - finished} without a finish"
        usage = found[-1]["usageMetadata"]
        parts = usage["promptTokenCount"] + usage["candidatesTokenCount"] + usage.get("thoughtsTokenCount", 0)
        assert usage["totalTokenCount"] == parts
    else:
        assert found and "error" in found[-1], "a cut answer that ends like a whole one"


def check_part(part: dict[str, Any]) -> None:
    """Assert that one part holds one thing, and a signature only in base64."""
    assert len(part.keys() & _DATA) == 1 or not part.keys() & _DATA, f"several things in one part: {sorted(part)}"
    if "thoughtSignature" in part:
        value = part["thoughtSignature"].replace("-", "+").replace("_", "/")
        base64.b64decode(value, validate=True)
    if "functionCall" in part:
        assert part["functionCall"]["name"]
        assert isinstance(part["functionCall"]["args"], dict)
