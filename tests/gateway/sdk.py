"""The official SDKs as clients of bm, each reduced to the text it receives."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from anthropic import AnthropicError, AsyncAnthropic
from anthropic.types import MessageParam
from google import genai
from google.genai import errors
from google.genai.types import HttpOptions
from openai import AsyncOpenAI, OpenAIError
from openai.types.chat import ChatCompletionMessageParam

from tests.gateway.world import MODELS
from tests.support.daemon import Daemon

FAILURES = (AnthropicError, OpenAIError, errors.APIError)
"""What the SDKs raise for an error in a stream."""


@asynccontextmanager
async def deltas(protocol: str, daemon: Daemon) -> AsyncIterator[AsyncIterator[str]]:
    """The pieces of text of an answer, as they come; leaving the block before their end disconnects."""
    reported = _STREAMS[protocol](daemon, MODELS[protocol])
    try:
        yield reported
    finally:
        await reported.aclose()  # type: ignore[attr-defined]


async def ask(protocol: str, url: str, key: str, model: str) -> None:
    """Ask once, with as many retries as the SDK makes by default.

    Raises:
        AnthropicError, OpenAIError, errors.APIError: the request was refused.
    """
    if protocol == "anthropic":
        said: list[MessageParam] = [{"role": "user", "content": "hello"}]
        async with AsyncAnthropic(base_url=url, api_key=key) as anthropic:
            await anthropic.messages.create(model=model, max_tokens=9, messages=said)
    elif protocol == "gemini":
        async with genai.Client(api_key=key, http_options=HttpOptions(base_url=url)).aio as google:
            await google.models.generate_content(model=model, contents="hello")
    else:
        async with AsyncOpenAI(base_url=f"{url}/v1", api_key=key) as openai:
            if protocol == "openai-chat":
                asked: list[ChatCompletionMessageParam] = [{"role": "user", "content": "hello"}]
                await openai.chat.completions.create(model=model, messages=asked)
            else:
                await openai.responses.create(model=model, input="hello")


async def _anthropic(daemon: Daemon, model: str) -> AsyncIterator[str]:
    async with AsyncAnthropic(base_url=daemon.url, api_key=daemon.key, max_retries=0) as client:
        asked: list[MessageParam] = [{"role": "user", "content": "hello"}]
        async with client.messages.stream(model=model, max_tokens=4096, messages=asked) as stream:
            async for text in stream.text_stream:
                yield text


async def _openai_chat(daemon: Daemon, model: str) -> AsyncIterator[str]:
    async with AsyncOpenAI(base_url=f"{daemon.url}/v1", api_key=daemon.key, max_retries=0) as client:
        asked: list[ChatCompletionMessageParam] = [{"role": "user", "content": "hello"}]
        stream = await client.chat.completions.create(model=model, messages=asked, stream=True)
        async for chunk in stream:
            if chunk.choices and chunk.choices[0].delta.content:
                yield chunk.choices[0].delta.content


async def _openai_responses(daemon: Daemon, model: str) -> AsyncIterator[str]:
    async with (
        AsyncOpenAI(base_url=f"{daemon.url}/v1", api_key=daemon.key, max_retries=0) as client,
        await client.responses.create(model=model, input="hello", stream=True) as stream,
    ):
        async for event in stream:
            if event.type == "response.output_text.delta":
                yield event.delta
            elif event.type in ("response.failed", "error"):
                # The SDK hands these out like any other event.
                raise OpenAIError(str(event))


async def _gemini(daemon: Daemon, model: str) -> AsyncIterator[str]:
    async with httpx.AsyncClient(trust_env=False, verify=False) as http:
        options = HttpOptions(base_url=daemon.url, httpx_async_client=http)
        client = genai.Client(api_key=daemon.key, http_options=options)
        async for chunk in await client.aio.models.generate_content_stream(model=model, contents="hello"):
            if chunk.text:
                yield chunk.text


_STREAMS = {
    "anthropic": _anthropic,
    "openai-chat": _openai_chat,
    "openai-responses": _openai_responses,
    "gemini": _gemini,
}
