"""Errors inside a Responses stream."""

from __future__ import annotations

from bm.chat.parts import Json
from bm.errors import Failure
from bm.protocols.openai.errors import WORDS

_REQUEST_CODES = ("context_length_exceeded", "model_not_found")
"""The codes for what is wrong with a request that the API has beside `invalid_prompt`. Codex repeats none of them."""


def stream_error(failure: Failure) -> Json:
    """The error inside a failed response: a code and a message.

    Codex waits as long as the message of a rate limit says, in the words "try again in 2.5s".
    """
    kind, code = WORDS[failure.kind]
    message = failure.message
    if code == "rate_limit_exceeded" and failure.retry_after is not None and "try again in" not in message:
        message = f"{message.rstrip('. ')}. Please try again in {failure.retry_after:g}s."
    if kind == "server_error" and failure.kind != "overloaded":
        code = "server_error"
    elif kind == "invalid_request_error" and code not in _REQUEST_CODES:
        code = "invalid_prompt"
    return {"code": code, "message": message}
