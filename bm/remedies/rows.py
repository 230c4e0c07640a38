"""From a vendor's words to remedies: one row a way to say something. A new vendor rule is a new row.

Each row names who says it. The wordings are those of the vendors' documents, of their SDKs, and of refusals quoted in
public reports.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from bm.names import ProtocolName
from bm.remedies import readers, wordings
from bm.remedies.readers import Refusal
from bm.remedies.remedy import Remedy

Reader = Callable[[Refusal, re.Match[str]], Iterator[Remedy]]
"""Makes remedies of a refusal that a wording matches."""


class Row(msgspec.Struct, frozen=True):
    """One wording. `protocols` are those in which it means that; none stands for all.

    Its remedies are tried one after the other, or `together`.
    """

    services: str
    wording: re.Pattern[str]
    read: Reader
    protocols: tuple[ProtocolName, ...] = ()
    together: bool = False


def _row(services: str, wording: str, read: Reader | Remedy, *protocols: ProtocolName, together: bool = False) -> Row:
    if isinstance(read, Remedy):
        read = _always(read)
    return Row(services, re.compile(wording, re.I | re.S), read, protocols, together)


def _always(*remedies: Remedy) -> Reader:
    return lambda refusal, match: iter(remedies)


def _do(operation: str, *values: Any, path: str = "", passing: bool = False) -> Remedy:
    return Remedy(operation, path, values, passing)


def _drops(*paths: str) -> Reader:
    return _always(*(Remedy("drop", path) for path in paths))


_LEAST = (
    r"(?:reasoning is mandatory|cannot be disabled|only works in thinking mode|always engages in thinking"
    r"|only type=enabled)"
)

ROWS: Final[tuple[Row, ...]] = (
    # Which API
    _row(
        "OpenAI, Azure, Copilot",
        r"only supported in v1/responses|use /?v1/responses|not accessible via the /chat/completions"
        r"|not supported in the v1/chat/completions|chatCompletion operation does not work",
        _do("speak", "openai-responses"),
    ),
    _row(
        "OpenAI, Azure, Copilot",
        r"only (?:supported|available) (?:in|via) (?:the )?/?v1/chat/completions|responses operation does not work"
        r"|not accessible via the /responses|not support (?:the )?responses api",
        _do("speak", "openai-chat"),
    ),
    _row("Azure", r"does not support file content types", _do("speak", "openai-responses"), "openai-chat"),
    _row(
        "xAI, Command Code",
        r"input\S*: unknown variant|unsupported responses api input|(?:^|\n)invalid input\s*(?:\n|$)"
        r"|missing required parameter: '\S*filename",
        _do("rewrite"),
        "openai-responses",
    ),
    _row("Anthropic", r"unexpected values?\(?s?\)? (.{1,400}?) for the .anthropic-beta. header", readers.betas),
    _row("Bedrock, Vertex AI", r"invalid beta flag", _do("drop_values", "*", path="anthropic-beta"), "anthropic"),
    _row("Anthropic", r"long context beta is not", _do("drop_values", "context-1m-*", path="anthropic-beta")),
    # How long an answer may be
    _row("vLLM, OpenAI, OpenRouter", wordings.ROOM, readers.room),
    _row("Kimi", wordings.OVERSHOT, readers.overshot),
    _row("OpenRouter", r"can only afford (\d+)", readers.affordable),
    _row("all", wordings.LENGTH, readers.length),
    # Thinking
    _row("Anthropic", r"thinking\.type\.enabled\S* is not supported", _do("adaptive"), "anthropic"),
    _row(
        "Anthropic",
        r"thinking\.type\.adaptive\S* is not supported|adaptive thinking is not supported|'adaptive' found using"
        r"|thinking\.type: Input should be 'enabled'",
        _do("budgeted"),
        "anthropic",
    ),
    _row("Anthropic", r"thinking\.type\.disabled\S* is not supported", _do("think_least"), "anthropic"),
    _row("Anthropic", r"thinking\.type\.between_tools\S* is not supported", _do("not_between_tools"), "anthropic"),
    _row("Anthropic", r"not supported when thinking is disabled.*Use effort '(\w+)' or below", readers.effort_up_to),
    _row("Anthropic", r"max_tokens. must be greater than .thinking\.budget_tokens", _do("smaller_budget")),
    _row("Anthropic", r"thinking may not be enabled when tool_choice", _do("no_thinking", passing=True)),
    _row(
        "Anthropic",
        r"must start with a thinking block|Expected .thinking. or .redacted_thinking.",
        _do("no_thinking", passing=True),
    ),
    _row(
        "Anthropic",
        r"invalid .signature. in .thinking|bound to a different conversation|thinking\.signature: Field required"
        r"|thinking. blocks? .{0,60}cannot be modified",
        _do("strip_thinking", passing=True),
    ),
    _row(
        "OpenAI",
        r"encrypted content .{0,80}(?:could not be|cannot be|invalid)|invalid_encrypted_content|decrypt reasoning",
        _do("strip_thinking", passing=True),
    ),
    _row("OpenAI", r"of type 'reasoning' was provided without its required", _do("strip_thinking", passing=True)),
    _row("OpenAI", r"was provided without its required 'reasoning' item", _do("drop_item_ids")),
    _row(
        "OpenAI",
        r"Expected an ID that begins with|Item with id '\S+' not found|items are not persisted|duplicate item found"
        r"|input\S*\.id': string too long",
        _do("drop_item_ids"),
    ),
    _row("OpenAI", r"encrypted content is not supported", _do("not_encrypted")),
    _row(
        "Kimi, DeepSeek, MiMo",
        r"(?:reasoning_content|content\[\]\.thinking).{0,80}(?:missing|passed back|required)"
        r"|missing.{0,20}reasoning_content",
        _do("send_reasoning"),
    ),
    _row("llama.cpp", r"cannot pass both content and thinking", _do("not_both"), "openai-chat"),
    _row("OpenRouter", r"provider returned error.*missing a thought_?signature", _do("stand_in_signatures", "details")),
    _row("Google", r"missing a thought_?signature", _do("stand_in_signatures")),
    _row(
        "Google",
        r"thought.?signature.{0,40}(?:not valid|invalid|corrupt|base64)|(?:invalid|corrupted) thought",
        _do("stand_in_signatures", "wrong", passing=True),
    ),
    _row("Z.AI, OpenRouter, Google", _LEAST, readers.least),
    _row(
        "Copilot, Ollama",
        r"does not support (?:reasoning effort|thinking)\b(?! mode)|reasoning effort is not supported",
        readers.no_effort,
        together=True,
    ),
    _row("Ollama", r"think value .?(\w+)\W+is not supported", readers.refused_level),
    _row("DashScope", r"enable_thinking must be set to false", _do("put", False, path="enable_thinking")),
    _row("DashScope, Codex", r"only supports? stream|stream must be set to true", _do("put", True, path="stream")),
    _row("OpenAI", r"verified to generate reasoning summar", _do("drop", path="reasoning.summary")),
    _row("Codex", r"store must be (?:set to )?false", _do("put", False, path="store")),
    _row("OpenRouter", r"reasoning_effort and reasoning\.effort", _do("drop", path="reasoning_effort")),
    _row(
        "Google",
        r"only one of thinking budget and thinking level",
        _do("drop", path="generationConfig.thinkingConfig.thinkingBudget"),
    ),
    _row(
        "Google", r"thinking level is not supported", _do("drop", path="generationConfig.thinkingConfig.thinkingLevel")
    ),
    _row("Google", r"thinking level (\w+) is not supported", readers.refused_level),
    _row("xAI", r"does not support .?(?:reasoning_effort|reasoning\.effort).? value .?(\w+)", readers.refused_level),
    _row("Anthropic", r"does not support the effort parameter", _do("drop", path="output_config.effort"), "anthropic"),
    _row(
        "Anthropic",
        r"(?:temperature|top_p|top_k). is deprecated for this model",
        _drops("temperature", "top_p", "top_k"),
        "anthropic",
        together=True,
    ),
    _row(
        "Google",
        r"thinking budget is not supported",
        _do("drop", path="generationConfig.thinkingConfig.thinkingBudget"),
    ),
    _row(
        "Google",
        r"Unknown name \"id\" at 'contents",
        _drops("contents.*.parts.*.functionCall.id", "contents.*.parts.*.functionResponse.id"),
        "gemini",
        together=True,
    ),
    _row("Anthropic", r"clear_thinking\S* strategy requires", _do("drop", path="context_management", passing=True)),
    # Values that a refusal lists
    _row("OpenAI", r"'messages\[\d+\]\.role' does not support 'system'", _do("system_as_user"), "openai-chat"),
    _row("all", wordings.LISTED, readers.listed),
    _row(
        "OpenAI",
        r"only the default \(?\S+?\)? value is supported|only [\d.]+ is allowed|only '[^']+' is supported"
        r"|must be (?:set to |equal to )?[\d.]+(?=\s*$|[,;\n]| when| for| while| if)|appears to contain"
        r"|invalid \w+ argument|parameter is only allowed when",
        readers.named_member,
    ),
    # Tools
    _row(
        "xAI, OpenAI, Mistral",
        r"tool_choice.{0,80}(?:no tools|without tools|only allowed when|while providing|tools. must)"
        r"|tools\W.{0,20}(?:empty array|at least 1 item)",
        _do("drop_choice"),
    ),
    _row("Google", r"calling config is set without function_declarations", _do("drop_choice"), "gemini"),
    _row("OpenAI", r"parallel_tool_calls.{0,40}only allowed when", _do("drop_choice")),
    _row(
        "LM Studio, llama.cpp, vLLM",
        r"invalid tool_choice type.{0,20}object|invalid tool_choice.{0,80}expected string"
        r"|invalid value for .tool_choice",
        _do("choose_by_word"),
        "openai-chat",
    ),
    _row(
        "Google",
        r"allowed_function_names should be set only",
        _do("drop", path="toolConfig.functionCallingConfig.allowedFunctionNames"),
        "gemini",
    ),
    _row(
        "Google",
        r"calling mode VALIDATED is not",
        _do("replace", "VALIDATED", "AUTO", path="toolConfig.functionCallingConfig.mode"),
        "gemini",
    ),
    _row("Google", r"calling mode ANY is not", _do("choose_freely"), "gemini"),
    _row("Anthropic", r"tool_choice\S* Input tag 'none' found", _do("drop", path="tool_choice"), "anthropic"),
    _row(
        "Anthropic, DeepSeek, Kimi",
        r"tool_choice.{0,100}(?:not support|unsupported|incompatible|only supports?|must be .?auto)"
        r"|(?:not|n't) support .{0,60}tool_choice|only .?auto.? is supported",
        _do("choose_freely"),
    ),
    _row("Cerebras", r"mixed values for .strict", _do("not_strict")),
    _row(
        "OpenAI, Anthropic",
        r"'required' is required to be supplied|strict.{0,60}schema|schema.{0,60}strict|strict tools",
        _do("not_strict"),
    ),
    _row("Groq, OpenAI, xAI, Z.AI", wordings.TOOLS, readers.most_tools),
    _row(
        "Anthropic",
        r"the image appears to be an? image/|Property keys should match pattern",
        _do("rewrite", passing=True),
        "anthropic",
    ),
    _row(
        "Anthropic, Google, Kimi",
        r"tool names must be unique|duplicate (?:tool|function)|function name \S+ is duplicated",
        _do("rewrite", passing=True),
    ),
    _row("OpenAI", r"object schema missing properties", _do("add_properties")),
    _row(
        "OpenAI, Anthropic",
        r"array schema missing items|input_schema(?:\.type)?: Field required",
        _do("complete_schemas"),
    ),
    _row("Cerebras", r"object fields require at least one", _always(_do("not_strict"), _do("complete_schemas"))),
    _row("Kimi", r"type should be defined in anyOf items", _do("type_into_branches")),
    _row("Google", r"only one of parameters and parameters_?json_?schema", _do("as_json_schema"), "gemini"),
    _row("Google", r"Unknown name \"[^\"]+\" at '(?:request\.)?tools[^']*parameters", _do("as_json_schema"), "gemini"),
    _row(
        "Google",
        r"include_?server_?side_?tool_?invocations to use",
        _do("put", True, path="toolConfig.includeServerSideToolInvocations"),
        "gemini",
    ),
    _row(
        "Google",
        r"tool call context circulation is not enabled",
        _do("drop", path="toolConfig.includeServerSideToolInvocations"),
        "gemini",
    ),
    _row("llama.cpp", r"'type' of tool must be 'function'", readers.functions_only),
    _row(
        "Anthropic",
        r"does not support tool types|Input tag '\w+_20\d{6}' found using 'type'",
        readers.other_tool_type,
        "anthropic",
    ),
    _row("Copilot", r"use of the (web.search) tool is not supported", _do("drop_tool", "web_search")),
    _row(
        "Google",
        r"(search grounding|code execution|url context|maps grounding|file search)\S* is not (?:supported|enabled)",
        readers.built_in_tool,
        "gemini",
    ),
    _row(
        "Google",
        r"only when they are all search tools|tool use with function calling is unsupported",
        readers.no_built_in_tools,
        "gemini",
        together=True,
    ),
    _row("OpenAI, xAI", r"tool '(\w+)' is not supported|tools\S*type: unknown variant .(\w+)", readers.refused_tool),
    _row("Mistral", r"tool call id .{0,200}length of (\d+)", readers.exact_call_id),
    _row(
        "OpenAI", r"(?:tool_calls?\S*id|call_id)'?: string too long.{0,60}maximum length (\d+)", readers.longest_call_id
    ),
    _row(
        "Anthropic, Bedrock",
        r"(?:tool_use|tool_result)\.\S*id: String should (?:match pattern|have at most)|toolUseId.{0,40}constraint",
        _do("shorten_call_ids", None, 64),
    ),
    _row(
        "Ollama, llama.cpp, vLLM",
        r"arguments.{0,80}(?:valid dictionary|must be an? (?:object|dict)|expected (?:an? )?(?:object|map|dict))"
        r"|tool_use\.input: Input should be|cannot unmarshal string into Go struct field \S*arguments",
        _do("arguments_as_objects"),
    ),
    _row(
        "OpenAI",
        r"arguments.{0,80}(?:expected (?:a )?string|should be a valid string|must be a string)",
        _do("arguments_as_objects", "text"),
    ),
    _row("DashScope", r"function\.arguments\W.{0,40}must be in JSON format", _do("rewrite", passing=True)),
    # Turns
    _row(
        "Anthropic, llama.cpp, Google",
        wordings.SYSTEM,
        _always(_do("move_system"), _do("replace", "assistant", "model", path="contents.*.role")),
    ),
    _row(
        "Azure, vLLM, Ollama",
        wordings.DEVELOPER,
        _always(*(_do("replace", "developer", "system", path=f"{name}.*.role") for name in ("messages", "input"))),
    ),
    _row(
        "Google",
        r"developer instruction is not enabled"
        r"|system (?:instruction|role|prompt)\S* (?:is |are )?not (?:supported|enabled)",
        _do("system_as_user"),
    ),
    _row("Codex", r"system messages are not allowed", _do("replace", "system", "developer", path="input.*.role")),
    _row("all", wordings.PREFILL, _do("go_on")),
    _row("Anthropic", r"cannot end with trailing whitespace", _do("trim_end")),
    _row("Mistral", r"unexpected role 'user' after role 'tool'", _do("part_after_results"), "openai-chat"),
    _row(
        "vLLM, Anthropic, Google, Perplexity",
        wordings.ALTERNATE,
        _do("merge_roles"),
    ),
    _row("Anthropic, vLLM", r"first message must (?:use the|be|have).{0,20}user", _do("begin_with_user")),
    _row("Google", r"call turn comes immediately after a user turn", _do("begin_with_user"), "gemini"),
    _row(
        "Mistral",
        r"not the same number of function calls",
        _always(_do("rewrite", passing=True), _do("part_after_results")),
        "openai-chat",
        together=True,
    ),
    _row("all", wordings.UNPAIRED, _do("rewrite", passing=True)),
    _row("all", wordings.EMPTY, _do("drop_empty")),
    _row("OpenAI", r"tool_calls\S*: empty array", _do("drop_empty")),
    _row("all", wordings.PLAIN, _do("plain_text")),
    # The form of the answer
    _row("OpenAI, DeepSeek", r"contain the word .?json", _do("say_json")),
    _row("Anthropic", r"schema: For '\w+' type, propert(?:y|ies) (.+?) (?:is|are) not supported", readers.keywords),
    _row(
        "Anthropic, OpenAI",
        r"additionalProperties'? (?:must be explicitly set|is required to be supplied and to be) (?:to )?false",
        _always(_do("describe_keywords"), _do("not_strict")),
    ),
    _row("Cerebras", r"invalid fields for schema with types \[.*?\]: \{(.+?)\}", readers.keywords),
    _row(
        "Groq, Google, Cerebras, Fireworks",
        wordings.FORMAT_WITH_TOOLS,
        _do("weaken", "schema", "json", passing=True),
    ),
    _row("DeepSeek, xAI, vLLM, LM Studio", wordings.FORMAT, readers.format_),
    # Members
    _row(
        "OpenAI", r"['`\"]?([\w.]+)['`\"]? is not supported.{0,60}Use ['`\"]?([\w.]+)['`\"]? instead", readers.renamed
    ),
    _row("all", wordings.RANGE, readers.number),
    _row("all", wordings.CUT, readers.cut),
    _row("all", wordings.UNKNOWN, readers.unknown, together=True),
    _row(
        "Google",
        r"penalty is not enabled",
        _drops("generationConfig.presencePenalty", "generationConfig.frequencyPenalty"),
        "gemini",
        together=True,
    ),
    _row(
        "Google",
        r"logprobs is not enabled",
        _drops("generationConfig.responseLogprobs", "generationConfig.logprobs"),
        "gemini",
        together=True,
    ),
    _row(
        "Google",
        r"thinking is not (?:enabled|supported)",
        _do("drop", path="generationConfig.thinkingConfig"),
        "gemini",
    ),
    _row(
        "Google",
        r"include_?thoughts is only enabled",
        _do("drop", path="generationConfig.thinkingConfig.includeThoughts", passing=True),
        "gemini",
    ),
    _row("vLLM", r"parallel_tool_calls.{0,20}(?:must be|to) .?false", _do("put", False, path="parallel_tool_calls")),
    _row(
        "Google", r"multiple candidates is not enabled", _do("drop", path="generationConfig.candidateCount"), "gemini"
    ),
    _row("Anthropic", r"stop sequence must contain non-whitespace", _do("drop_blank", path="stop_sequences")),
    # Schemas, where nothing more exact was said
    _row("all", wordings.SCHEMA, readers.schemas),
)
