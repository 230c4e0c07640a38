"""Errors as OpenAI and those who follow it word them, on Chat and Responses alike."""

from __future__ import annotations

from bm.simulator.faults import Trouble, http_status
from bm.simulator.request import Json, Request
from bm.simulator.rules import ErrorKind

_ERROR: dict[ErrorKind, tuple[str, str | None, str]] = {
    "bad_request": ("invalid_request_error", None, "Invalid request."),
    "invalid_key": ("invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    "permission": ("invalid_request_error", None, "You are not allowed to sample from this model."),
    "not_found": ("invalid_request_error", "model_not_found", "The model does not exist or you lack access to it."),
    "too_large": ("invalid_request_error", None, "Request too large."),
    "rate_limit": ("requests", "rate_limit_exceeded", "Rate limit reached. Please try again later."),
    "server": ("server_error", None, "The server had an error while processing your request."),
    "bad_gateway": ("server_error", None, "Bad gateway."),
    "unavailable": ("server_error", None, "The server is currently unavailable."),
    "timeout": ("server_error", None, "The request timed out."),
    "overloaded": ("server_error", None, "The server is currently overloaded with other requests."),
    "context_too_long": (
        "invalid_request_error",
        "context_length_exceeded",
        "This model's maximum context length is 131072 tokens. However, your messages resulted in 250000 tokens."
        " Please reduce the length of the messages.",
    ),
}  # fmt: skip


def headers(request: Request) -> dict[str, str]:
    """The request's identifier, and on Groq its rate limits."""
    out = {"x-request-id": f"req_sim{request.number:08d}"}
    if request.flavour == "groq":
        out |= {"x-ratelimit-limit-requests": "14400", "x-ratelimit-remaining-requests": "14370"}
    return out


def error_object(trouble: Trouble) -> Json:
    """What stands under `error`."""
    kind, code, message = _ERROR[trouble.kind]
    return {
        "message": trouble.message or message,
        "type": kind,
        "param": trouble.param or None,
        "code": trouble.code or code,
    }


def error(request: Request, trouble: Trouble) -> tuple[int, dict[str, str], Json]:
    """Status, headers and body of an error."""
    return (
        http_status(trouble, {"overloaded": 503}),
        headers(request) | trouble.headers,
        {"error": error_object(trouble)},
    )
