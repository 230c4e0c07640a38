"""What the models of OpenAI refuse, and open models on the services that serve them, one row each.

Read in November 2026; `source` names the document. A model of OpenAI that is not known yet is refused what
gpt-6.1-sol is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from bm.simulator.refusals import Refusal, always, member
from bm.simulator.request import Json
from bm.simulator.wire import items

_ALWAYS = "gpt-6-astra* gpt-6.1-sol* gpt-6.[2-9]* gpt-[7-9]*"
_SINCE_5_5 = "gpt-5.[5-9]* gpt-[6-9]*"
_REASONING = "gpt-5 gpt-5-* gpt-5.* gpt-[6-9]* o3*"
_PLAIN = "gpt-4*"
_VERIFIED = "pydantic-ai 2.68.0 profiles/openai.py (verified live)"
_SDK = "openai 3.57.0 (docstrings)"
_ENDPOINTS = "litellm 1.110.2 model map (supported endpoints)"
_RECORDED = "recorded answers"

LEVELS = {
    "gpt-5-pro": "high",
    "gpt-5.[2-9]-pro": "medium high xhigh",
    "gpt-5 gpt-5-mini gpt-5-nano": "minimal low medium high",
    "o3 o3-pro": "low medium high",
    "gpt-5.1": "none low medium high",
    "gpt-5.2 gpt-5.3-codex gpt-5.4 gpt-5.4-mini gpt-5.4-nano gpt-5.5": "none low medium high xhigh",
    "gpt-5.[6-9] gpt-5.[6-9]-sol gpt-5.[6-9]-terra gpt-5.[6-9]-luna gpt-6-sol gpt-6-luna gpt-6.1-terra gpt-6.1-luna":
        "none low medium high xhigh max",
    _ALWAYS: "low medium high xhigh max",
}  # fmt: skip
"""The efforts that models take."""


def _effort(body: Json) -> Any:
    return body.get("reasoning_effort") or member(body, "reasoning", "effort")


def _functions(body: Json) -> bool:
    return any(tool.get("type") == "function" for tool in items(body.get("tools")))


def _thinking(body: Json) -> Any:
    return member(body, "thinking", "type")


def _forced(body: Json) -> bool:
    choice = body.get("tool_choice")
    return choice == "required" or isinstance(choice, dict)


def _has(name: str) -> Callable[[Json], bool]:
    return lambda body: body.get(name) is not None


def _has_any(names: str) -> Callable[[Json], str]:
    return lambda body: next((name for name in names.split() if name in body), "")


def _effort_beyond(levels: str) -> Callable[[Json], str]:
    return lambda body: str(effort) if (effort := _effort(body)) and effort not in levels.split() else ""


def _sampling(body: Json) -> str:
    """The sampling parameter that is set to another value than the default."""
    for name, default in (("temperature", 1), ("top_p", 1), ("presence_penalty", 0), ("frequency_penalty", 0)):
        if body.get(name) not in (None, default):
            return name
    return ""


def _long_call_id(body: Json) -> int:
    calls = [call for message in items(body.get("messages")) for call in items(message.get("tool_calls"))]
    return next((length for call in calls if (length := len(str(call.get("id")))) > 40), 0)


def _unthought_call(body: Json) -> str:
    """The place of a call made since the user's last message that has no `reasoning_content`."""
    messages = items(body.get("messages"))
    asked = max((place for place, one in enumerate(messages) if one.get("role") == "user"), default=-1)
    calls = (place for place, one in enumerate(messages) if place > asked and one.get("tool_calls"))
    return next((str(place) for place in calls if not isinstance(messages[place].get("reasoning_content"), str)), "")


def _mixed_schema(body: Json) -> bool:
    """Whether a property of a function has a `type` beside `anyOf`."""
    for tool in items(body.get("tools")):
        properties = member(tool, "function", "parameters", "properties") or {}
        if any(isinstance(one, dict) and {"type", "anyOf"} <= one.keys() for one in properties.values()):
            return True
    return False


def _quoted(levels: list[str]) -> str:
    several = [f"'{level}'" for level in levels]
    return several[0] if len(several) == 1 else f"{', '.join(several[:-1])}, and {several[-1]}"


def _effort_rows(*, chat: bool) -> Iterator[Refusal]:
    for models, taken in LEVELS.items():
        levels = [level for level in taken.split() if not (chat and level == "max")]
        said = f"Supported values are: {_quoted(levels)}."
        if chat:
            message = f"Unsupported value: 'reasoning_effort' does not support '{{found}}' with this model. {said}"
        else:
            message = f"Unsupported value: '{{found}}' is not supported with the '{{model}}' model. {said}"
        param = "reasoning_effort" if chat else "reasoning.effort"
        broken = _effort_beyond(" ".join(levels))
        yield Refusal(models, broken, message, _VERIFIED, "openai", param, "unsupported_value")


def _unsupported(models: str, name: str, broken: Callable[[Json], Any], source: str, instead: str = "") -> Refusal:
    message = f"Unsupported parameter: '{name}' is not supported with this model.{instead}"
    return Refusal(models, broken, message, source, "openai", name, "unsupported_parameter")


def _sampling_rows() -> Iterator[Refusal]:
    message = "Unsupported parameter: '{found}' is not supported with this model."
    for models, broken in (
        ("gpt-5 gpt-5-mini gpt-5-nano o3*", _sampling),
        ("gpt-5.[1-4]*", lambda body: _effort(body) not in (None, "none") and _sampling(body)),
        (_SINCE_5_5, lambda body: _effort(body) != "none" and _sampling(body)),
    ):
        yield Refusal(models, broken, message, _VERIFIED, "openai", code="unsupported_parameter")


_TOOLS_AND_EFFORT = (
    "Function tools with reasoning_effort are not supported for {model} in /v1/chat/completions. To use function tools,"
    " use /v1/responses or set reasoning_effort to 'none'."
)
_RETIRED = Refusal(
    "o4-mini o3-mini o1* gpt-4 gpt-4-turbo* gpt-3.5* gpt-4.1-nano *-chat-latest chatgpt-* codex-* gpt-5-codex*"
    " gpt-5.[12]-codex*",
    always,
    "The model `{model}` does not exist or you do not have access to it.",
    f"{_SDK}, announced shutdowns up to 2026-10-23",
    "openai",
    code="model_not_found",
    status=404,
)
_ALWAYS_THINKS = "This model always engages in thinking and cannot be disabled; please use low, high, or max"

CHAT = (
    _RETIRED,
    Refusal(
        "*-pro gpt-5.3-codex",
        always,
        "This model is only supported in v1/responses and not in v1/chat/completions.",
        f"{_ENDPOINTS}; langchain-openai 1.7.4",
        "openai",
        "model",
        status=404,
    ),
    *_effort_rows(chat=True),
    _unsupported(_PLAIN, "reasoning_effort", _has("reasoning_effort"), "BoundaryML/baml#2708 (2025-11-08)"),
    Refusal(
        _SINCE_5_5,
        lambda body: _functions(body) and _effort(body) != "none",
        _TOOLS_AND_EFFORT,
        "BerriAI/litellm#34569 (2026-07-24); bolna-ai/bolna#1019 (2026-09-05)",
        "openai",
        "reasoning_effort",
    ),
    Refusal(
        "gpt-5.4*",
        lambda body: _functions(body) and _effort(body) not in (None, "none"),
        _TOOLS_AND_EFFORT,
        "litellm 1.110.2 responses/bridge_check.py",
        "openai",
        "reasoning_effort",
    ),
    _unsupported(_REASONING, "max_tokens", _has("max_tokens"), _RECORDED, " Use 'max_completion_tokens' instead."),
    _unsupported(_REASONING, "stop", _has("stop"), _RECORDED),
    *_sampling_rows(),
    Refusal(
        _PLAIN,
        _long_call_id,
        "Invalid 'messages': string too long. Expected a string with maximum length 40, but got a string with length"
        " {found} instead.",
        "openclaw/openclaw#875 (2026-01-13)",
        "openai",
        "messages",
        "string_above_max_length",
    ),
    Refusal(
        "gpt-oss-*",
        _effort_beyond("low medium high"),
        "`reasoning_effort` must be one of `low`, `medium`, or `high`",
        "groq 1.7.0 (docstrings); BerriAI/litellm#38263 (2026-08, Together)",
        param="reasoning_effort",
    ),
    Refusal(
        "qwen3.8-27b",
        _effort_beyond("none default low medium high"),
        "`reasoning_effort` must be one of `none`, `default`, `low`, `medium`, or `high`",
        "groq 1.7.0 (docstrings)",
        "groq",
        "reasoning_effort",
    ),
    Refusal(
        "deepseek-v4* deepseek-flash",
        lambda body: _thinking(body) != "disabled" and _forced(body),
        "Thinking mode does not support this tool_choice",
        "deepseek-ai/DeepSeek-V3#1376 (2026-08-03)",
        "deepseek",
    ),
    Refusal(
        "deepseek-v4* deepseek-flash",
        lambda body: _thinking(body) != "disabled" and _unthought_call(body),
        "The `reasoning_content` in the thinking mode must be passed back to the API.",
        "earendil-works/pi#3636 (2026-04); pydantic-ai 2.68.0 (live)",
        "deepseek",
    ),
    Refusal(
        "deepseek-*",
        lambda body: member(body, "response_format", "type") == "json_schema",
        "This response_format type is unavailable now",
        "pydantic-ai 2.68.0 providers/deepseek.py",
        "deepseek",
    ),
    Refusal(
        "kimi-k2.[67]* kimi-k3*",
        lambda body: body.get("temperature") not in (None, 1),
        "invalid temperature: only 1 is allowed for this model",
        "BerriAI/litellm#29687 (2026-06-04)",
        "moonshot",
    ),
    Refusal(
        "kimi-k2.[67]*",
        lambda body: _thinking(body) != "disabled" and _unthought_call(body),
        "thinking is enabled but reasoning_content is missing in assistant tool call message at index {found}",
        "n8n-io/n8n#29142 (2026-04)",
        "moonshot",
    ),
    Refusal(
        "kimi-k3*",
        _effort_beyond("low high max"),
        "Unsupported value: 'reasoning_effort' does not support '{found}' with this model. Supported values are: 'low',"
        " 'high', and 'max'.",
        "theopenco/llmgateway#3378 (2026-08-02)",
    ),
    Refusal(
        "kimi-*",
        _mixed_schema,
        "tools.function.parameters is not a valid moonshot flavored json schema, details: <when using anyOf, type"
        " should be defined in anyOf items instead of the parent schema>",
        "@ai-sdk/moonshotai 2.0.61 normalize-json-schema-for-mfjs.ts",
        "moonshot",
    ),
    Refusal(
        "grok-*",
        _has_any("presence_penalty frequency_penalty"),
        "Model {model} does not support parameter {found}.",
        "miaoxworld/NativeTavern#83 (2026-09-15)",
        "xai",
    ),
    Refusal(
        "grok-4.[3-9]* grok-4.20-*-reasoning",
        _has("stop"),
        "Model {model} does not support parameter stop.",
        "mnfst/modelparams.dev#330 (2026-08-31)",
        "xai",
    ),
    Refusal(
        "grok-4.[5-9]*",
        lambda body: _effort(body) == "none",
        "This model does not support `reasoning_effort` value `none`.",
        "pydantic-ai 2.68.0 profiles/grok.py; words inferred",
        "xai",
    ),
    Refusal(
        "glm-5.[3-9]*",
        lambda body: _thinking(body) == "disabled" or _effort_beyond("low high max")(body),
        _ALWAYS_THINKS,
        "NousResearch/hermes-agent#85890 (2026-08-14); pydantic-ai 2.68.0 profiles/zai.py",
        "zai",
        code="1210",
    ),
    Refusal(
        "*",
        _has_any("max_completion_tokens stream_options store user seed"),
        "body.{found}: Extra inputs are not permitted",
        "mistralai 3.7.0 chatcompletionrequest.py; editor-code-assistant/eca#231 (2025-12-12)",
        "mistral",
        status=422,
    ),
    Refusal(
        "*",
        lambda body: any(map(_has_any("reasoning_content refusal"), items(body.get("messages")))),
        "body.messages: Extra inputs are not permitted",
        "charmbracelet/crush#1590 (2025-12-10)",
        "mistral",
        status=422,
    ),
)

RESPONSES = (
    _RETIRED,
    *_effort_rows(chat=False),
    _unsupported(_PLAIN, "reasoning.effort", _effort, "BoundaryML/baml#2708 (2025-11-08)"),
    Refusal(
        _PLAIN,
        lambda body: "reasoning.encrypted_content" in (body.get("include") or ()),
        "Encrypted content is not supported with this model.",
        "pydantic/pydantic-ai#2865 (2025-09)",
        "openai",
        "include",
    ),
    *_sampling_rows(),
    Refusal(
        "*",
        lambda body: limit if isinstance(limit := body.get("max_output_tokens"), int) and limit < 16 else 0,
        "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16, but got {found} instead.",
        "developers.openai.com: Responses API reference; " + _RECORDED,
        "openai",
        "max_output_tokens",
        "integer_below_min_value",
    ),
    Refusal(
        "gpt-5.4-nano gpt-5.[1-3]* gpt-5 gpt-5-* gpt-4*",
        lambda body: any(tool.get("type") == "tool_search" for tool in items(body.get("tools"))),
        "Tool 'tool_search' is not supported with this model.",
        f"{_VERIFIED}; words inferred",
        "openai",
        "tools",
    ),
)
