"""Requests of every API, alike in what they ask, and what a raw client gets back."""

from __future__ import annotations

from typing import Any

import httpx

APIS = ("anthropic", "openai-chat", "openai-responses", "gemini")
PATHS = {
    "anthropic": "/v1/messages",
    "openai-chat": "/v1/chat/completions",
    "openai-responses": "/v1/responses",
}
MODELS = {
    "anthropic": "claude-haiku-4-5",
    "openai-chat": "gpt-5",
    "openai-responses": "gpt-5",
    "gemini": "gemini-3-flash-preview",
}
KINDS = {
    "anthropic": "anthropic.messages",
    "openai-chat": "openai.chat",
    "openai-responses": "openai.responses",
    "gemini": "gemini.generateContent",
}
"""What the validators call each API."""
TERMINAL = {
    "anthropic": b"message_stop",
    "openai-chat": b"[DONE]",
    "openai-responses": b"response.completed",
    "gemini": b"finishReason",
}
"""What only a complete stream holds."""


def path_of(api: str, model: str = "", *, stream: bool = True) -> str:
    """Where a generation request goes."""
    if api != "gemini":
        return PATHS[api]
    verb = "streamGenerateContent?alt=sse" if stream else "generateContent"
    return f"/v1beta/models/{model or MODELS[api]}:{verb}"


def body_of(api: str, text: str = "hello", model: str = "", *, stream: bool = True, **fields: Any) -> dict[str, Any]:
    """The smallest request that says `text`."""
    if api == "gemini":
        return {"contents": [{"role": "user", "parts": [{"text": text}]}], **fields}
    messages = [{"role": "user", "content": text}]
    head: dict[str, Any] = {"model": model or MODELS[api], "stream": stream}
    if api == "openai-responses":
        return head | {"input": messages, **fields}
    return head | ({"max_tokens": 4096} if api == "anthropic" else {}) | {"messages": messages, **fields}


def ask(http: httpx.Client, api: str, model: str = "", *, stream: bool = True, **fields: Any) -> httpx.Response:
    """Send it and read the whole answer."""
    return http.post(path_of(api, model, stream=stream), json=body_of(api, model=model, stream=stream, **fields))
