"""How many tokens prompt and answer may have together, by the words in which a service refuses more."""

from __future__ import annotations

import re

_CONTEXT = re.compile(
    r"> (\d[\d,]*) maximum|tokens allowed \(?(\d[\d,]*)|maximum context length (?:is|of) (\d[\d,]*)"
    r"|exceeds the maximum length (?:of )?(\d[\d,]*)|context (?:window|length|size)[^\d]{0,30}(\d[\d,]*)",
    re.I,
)
_LEAST_CONTEXT = 512
"""No model takes fewer tokens; a smaller number means something else."""


def context_in_text(message: str) -> int | None:
    """The most tokens a model takes, by the words in which it refused more."""
    found = _CONTEXT.search(message)
    if found is None:
        return None
    tokens = int(next(group for group in found.groups() if group).replace(",", "")[:18])
    return tokens if tokens >= _LEAST_CONTEXT else None


_ANSWER = re.compile(
    r"max_?(?:completion_|output_|new_)?tokens\W{0,3} (?:must|is too|cannot|can not|exceeds|should|value)"
    r"|at most \d+ (?:completion|output)",
    re.I,
)
_TOKENS = r"\d[\d,]{0,14}+(?!\d)"
_ROOM = tuple(
    re.compile(pattern, re.I | re.S)
    for pattern in (
        rf"(?P<prompt>{_TOKENS}) \+ {_TOKENS} > (?P<context>{_TOKENS})",
        rf"context (?:length|window|size)\D{{0,30}}(?P<context>{_TOKENS}).*?"
        rf"(?P<prompt>{_TOKENS}) "
        r"(?:input tokens|(?:tokens )?(?:in|from|of) (?:the |your )?(?:messages|input|text|prompt))",
        rf"must be <= (?P<context>{_TOKENS})\. Given: (?P<prompt>{_TOKENS}) \W?inputs",
    )
)
"""How Anthropic, OpenAI, vLLM, SGLang, OpenRouter and Together say that prompt and answer are too long together."""


_TOOL_TOKENS = re.compile(r"(\d[\d,]*) of tool input")
"""OpenRouter counts the tools apart."""


def answer_room(message: str) -> tuple[int, int] | None:
    """The context and the prompt in tokens, where a refusal says that only the answer's length does not fit."""
    context, prompt = _sizes(message) or (0, 0)
    return (context, prompt) if prompt < context else None


def _sizes(message: str) -> tuple[int, int] | None:
    """The context and the prompt in tokens, where a refusal gives both."""
    found = next((found for pattern in _ROOM if (found := pattern.search(message))), None)
    if found is None:
        return None
    prompt = _tokens(found["prompt"]) + sum(map(_tokens, _TOOL_TOKENS.findall(message)))
    return _tokens(found["context"]), prompt


def _tokens(text: str) -> int:
    return int(text.replace(",", ""))


def is_about_answer(message: str) -> bool:
    """Whether a refusal that speaks of the context is about the length of the answer, and the prompt would fit."""
    if _sizes(message) is not None:
        return answer_room(message) is not None
    return _ANSWER.search(message) is not None
