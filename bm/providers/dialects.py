"""How OpenAI-compatible services differ from OpenAI: one row each. Sources stand beside the rows."""

from __future__ import annotations

from typing import Final

from bm.chat.capabilities import Dialect

_OPENAI_ONLY: Final = frozenset({"store", "metadata", "service_tier", "prediction", "modalities", "audio", "verbosity"})
"""Members that only OpenAI itself has a use for; strict services refuse them."""

_ROWS: Final = (
    Dialect(name="openai"),
    Dialect(
        # console.groq.com/docs/openai: these are answered with 400. Explicit nulls are refused too.
        name="groq",
        refuses=frozenset({"logprobs", "top_logprobs", "logit_bias", "n", "store", "metadata"}),
        thinking="groq",
        thinking_tag="think",
    ),
    Dialect(
        # docs.together.ai: `max_tokens` alone; templates of open models take content as a string.
        name="together",
        max_tokens_field="max_tokens",
        refuses=_OPENAI_ONLY | {"parallel_tool_calls"},
        takes=frozenset({"top_k", "video_url"}),
        thinking="together",
        thinking_tag="think",
        plain_content=True,
        max_stop=0,
    ),
    Dialect(
        name="openrouter",
        max_tokens_field="max_tokens",
        takes=frozenset({"top_k", "video_url"}),
        thinking="openrouter",
        history_thinking="reasoning",
    ),
    Dialect(
        # api-docs.deepseek.com/guides/thinking_mode: a switch and an effort; tool turns must carry the reasoning.
        name="deepseek",
        max_tokens_field="max_tokens",
        refuses=frozenset({"logprobs", "top_logprobs"}),
        thinking="deepseek",
        history_thinking="reasoning_content",
        max_stop=16,
    ),
    Dialect(
        # Unknown members are 422 `extra_forbidden` (docs.mistral.ai changelog: the API became strict).
        name="mistral",
        max_tokens_field="max_tokens",
        refuses=_OPENAI_ONLY
        | {"max_completion_tokens", "stream_options", "logprobs", "top_logprobs", "logit_bias", "user", "seed"},
        takes=frozenset({"prefix", "document_url"}),
        stream_usage=False,
        max_stop=0,
        call_id_length=9,
        user_after_tool=False,
    ),
    Dialect(
        # inference-docs.cerebras.ai/resources/openai: these are answered with 400.
        name="cerebras",
        refuses=frozenset({"frequency_penalty", "presence_penalty", "logit_bias", "parallel_tool_calls"}),
    ),
    Dialect(name="xai"),
    Dialect(name="ollama", max_tokens_field="max_tokens", thinking_tag="think", max_stop=0),
    Dialect(
        name="lmstudio",
        max_tokens_field="max_tokens",
        takes=frozenset({"top_k"}),
        thinking="none",
        thinking_tag="think",
        max_stop=0,
    ),
    Dialect(
        # ai.google.dev/gemini-api/docs/openai: thought signatures travel in `extra_content`.
        name="gemini-openai",
        takes=frozenset({"extra_content"}),
    ),
    Dialect(
        # A service of the user's about which nothing is known: what the widest set of servers takes.
        name="compatible",
        max_tokens_field="max_tokens",
        thinking_tag="think",
    ),
)

DIALECTS: Final[dict[str, Dialect]] = {row.name: row for row in _ROWS}
