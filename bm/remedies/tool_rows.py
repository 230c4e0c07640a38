"""The rows about tools, their schemas and their calls."""

from __future__ import annotations

from typing import Final

from bm.remedies import readers, wordings
from bm.remedies.row import Row, always, do, row

TOOL_ROWS: Final[tuple[Row, ...]] = (
    row(
        "xAI, OpenAI, Mistral",
        r"tool_choice.{0,80}(?:no tools|without tools|only allowed when|while providing|tools. must)"
        r"|tools\W.{0,20}(?:empty array|at least 1 item)",
        do("drop_choice"),
    ),
    row("Google", r"calling config is set without function_declarations", do("drop_choice"), "gemini"),
    row(
        "OpenAI, vLLM, Anthropic",
        r"tool.choice\b.{0,60}not found in|tool_choice\W.{0,20}does not match any",
        do("drop", path="tool_choice", passing=True),
    ),
    row("OpenAI", r"parallel_tool_calls.{0,40}only allowed when", do("drop_choice")),
    row(
        "LM Studio, llama.cpp, vLLM",
        r"invalid tool_choice type.{0,20}object|invalid tool_choice.{0,80}expected string"
        r"|invalid value for .tool_choice",
        do("choose_by_word"),
        "openai-chat",
    ),
    row(
        "Google",
        r"allowed_function_names should be set only",
        do("drop", path="toolConfig.functionCallingConfig.allowedFunctionNames"),
        "gemini",
    ),
    row(
        "Google",
        r"calling mode VALIDATED is not",
        do("replace", "VALIDATED", "AUTO", path="toolConfig.functionCallingConfig.mode"),
        "gemini",
    ),
    row("Google", r"calling mode ANY is not", do("choose_freely"), "gemini"),
    row("Anthropic", r"tool_choice\S* Input tag 'none' found", do("drop", path="tool_choice"), "anthropic"),
    row(
        "Anthropic, DeepSeek, Kimi",
        r"tool_choice.{0,100}(?:not support|unsupported|incompatible|only supports?|must be .?auto|must either be)"
        r"|(?:not|n't) support .{0,60}tool_choice|only .?auto.? is supported",
        do("choose_freely"),
    ),
    row("Cerebras", r"mixed values for .strict", do("not_strict")),
    row(
        "OpenAI, Anthropic",
        r"\W?required\W? is required to be supplied|additionalProperties\W{1,3}false\W{1,3}must be set"
        r"|strict.{0,60}schema|schema.{0,60}strict|strict tools"
        r"|too many (?:optional )?parameters\b",
        do("not_strict"),
    ),
    row("Groq, OpenAI, xAI, Z.AI", wordings.TOOLS, readers.most_tools),
    row(
        "Anthropic",
        r"the image appears to be an? image/|Property keys should match pattern|must be type .?text.? if .?is_error",
        do("rewrite", passing=True),
        "anthropic",
    ),
    row(
        "Anthropic, Google, Kimi",
        r"tool names must be unique|duplicate (?:tool|function)|function name \S+ is duplicated",
        do("rewrite", passing=True),
    ),
    row("Google", r"invalid function name", do("rewrite", passing=True), "gemini"),
    row("OpenAI", r"image URLs are only allowed for messages with role", do("rewrite", passing=True), "openai-chat"),
    row(
        "OpenAI",
        r"tool_calls\[\d+\]\.function\.name': string (?:does not match|too long)|toolUse\.name' failed to satisfy"
        r"|tool_use\.name: String should|invalid tool type",
        do("rewrite", passing=True),
    ),
    row(
        "OpenAI",
        r"messages\[\d+\]\.name'?: string (?:does not match|too long)",
        do("drop", path="messages.*.name"),
        "openai-chat",
    ),
    row(
        "Bedrock",
        r"(?:must define|without).{0,3}tools\W*(?:$|=|param)|toolConfig field must be defined",
        do("declare_called"),
    ),
    row(
        "OpenAI, MiniMax",
        r"object schema missing properties|function (?:name or )?parameters is empty",
        do("add_properties"),
    ),
    row(
        "OpenAI, Anthropic",
        r"array schema missing items|input_schema(?:\.type)?: Field required",
        do("complete_schemas"),
    ),
    row("Cerebras", r"object fields require at least one", always(do("not_strict"), do("complete_schemas"))),
    row("Kimi", r"type should be defined in anyOf items", do("type_into_branches")),
    row("Kimi", r"json schema.{0,80}type is not defined", do("add_types")),
    row("Google", r"only one of parameters and parameters_?json_?schema", do("as_json_schema"), "gemini"),
    row("Google", r"Unknown name \"[^\"]+\" at '(?:request\.)?tools[^']*parameters", do("as_json_schema"), "gemini"),
    row(
        "Google",
        r"include_?server_?side_?tool_?invocations to use",
        do("put", True, path="toolConfig.includeServerSideToolInvocations"),
        "gemini",
    ),
    row(
        "Google",
        r"tool call context circulation is not enabled",
        do("drop", path="toolConfig.includeServerSideToolInvocations"),
        "gemini",
    ),
    row("llama.cpp", r"'type' of tool must be 'function'", readers.functions_only),
    row(
        "Anthropic",
        r"does not support tool types|Input tag '\w+_20\d{6}' found using 'type'",
        readers.other_tool_type,
        "anthropic",
    ),
    row("Copilot", r"use of the (web.search) tool is not supported", do("drop_tool", "web_search")),
    row(
        "Google",
        r"(search grounding|code execution|url context|maps grounding|file search)\S* is not (?:supported|enabled)",
        readers.built_in_tool,
        "gemini",
    ),
    row(
        "Google",
        r"only when they are all search tools|tool use with function calling is unsupported",
        readers.no_built_in_tools,
        "gemini",
        together=True,
    ),
    row("OpenAI, xAI", r"tool '(\w+)' is not supported|tools\S*type: unknown variant .(\w+)", readers.refused_tool),
    row("Mistral", r"tool call ids? .{0,200}length (?:of )?(\d+)", readers.exact_call_id),
    row(
        "OpenAI", r"(?:tool_calls?\S*id|call_id)'?: string too long.{0,60}maximum length (\d+)", readers.longest_call_id
    ),
    row(
        "Anthropic, Bedrock",
        r"(?:tool_use|tool_result)\.\S*id: String should (?:match pattern|have at most)|toolUseId.{0,40}constraint",
        do("shorten_call_ids", None, 64),
    ),
    row(
        "Ollama, llama.cpp, vLLM",
        r"arguments.{0,80}(?:valid dictionary|must be an? (?:object|dict)|expected (?:an? )?(?:object|map|dict))"
        r"|tool_use\.input: Input should be|toolUse\.input is invalid|item pairs from a mapping"
        r"|cannot unmarshal string into Go struct field \S*arguments",
        do("arguments_as_objects"),
    ),
    row(
        "OpenAI",
        r"arguments.{0,80}(?:expected (?:a )?string|should be a valid string|must be a string)",
        do("arguments_as_objects", "text"),
    ),
    row("DashScope", r"function\.arguments\W.{0,40}must be in JSON format", do("rewrite", passing=True)),
)
