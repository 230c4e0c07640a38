"""From a vendor's words to remedies: one row a way to say something. A new vendor rule is a new row.

Each row names who says it. The wordings are those of the vendors' documents, of their SDKs, and of refusals quoted in
public reports. The first rows are the most exact; those about tools are in `tool_rows`.
"""

from __future__ import annotations

from typing import Final

from bm.names import ProtocolName
from bm.remedies import readers, wordings
from bm.remedies.row import Row, always, do, drops, row
from bm.remedies.tool_rows import TOOL_ROWS

_ANY_THRESHOLD = do("replace", "OFF", "BLOCK_NONE", path="safetySettings.*.threshold")
_LEAST = (
    r"(?:reasoning is mandatory|cannot be disabled|only works in thinking mode|always engages in thinking"
    r"|only type=enabled)"
)

_ANY_BUT_GEMINI: Final[tuple[ProtocolName, ...]] = ("openai-chat", "openai-responses", "anthropic")
"""The protocols that ask for a stream in the body."""

ROWS: Final[tuple[Row, ...]] = (
    # Which API
    row(
        "OpenAI, Azure, Copilot",
        r"only supported in v1/responses|use /?v1/responses|not accessible via the /chat/completions"
        r"|not supported in the v1/chat/completions|chatCompletion operation does not work",
        do("speak", "openai-responses"),
    ),
    row(
        "OpenAI, Azure, Copilot",
        r"only (?:supported|available) (?:in|via) (?:the )?/?v1/chat/completions|responses operation does not work"
        r"|not accessible via the /responses|not support (?:the )?responses api",
        do("speak", "openai-chat"),
    ),
    row("Azure", r"does not support file content types", do("speak", "openai-responses"), "openai-chat"),
    row(
        "xAI, Command Code",
        r"input\S*: unknown variant|unsupported responses api input|(?:^|\n)invalid input\s*(?:\n|$)"
        r"|missing required parameter: '\S*filename",
        do("rewrite"),
        "openai-responses",
    ),
    row("Anthropic", r"unexpected values?\(?s?\)? (.{1,400}?) for the .anthropic-beta. header", readers.betas),
    row("Bedrock, Vertex AI", r"invalid beta flag", do("drop_values", "*", path="anthropic-beta"), "anthropic"),
    row("Anthropic", r"long context beta is not", do("drop_values", "context-1m-*", path="anthropic-beta")),
    # Streams
    row("DashScope, Codex, Fireworks", wordings.STREAM, do("put", True, path="stream")),
    row(
        "Bedrock",
        r"tool use in streaming mode",
        always(do("put", False, path="stream", passing=True), do("drop", path="stream_options", passing=True)),
        together=True,
    ),
    row(
        "OpenAI",
        wordings.NO_STREAM,
        always(do("put", False, path="stream"), do("drop", path="stream_options")),
        *_ANY_BUT_GEMINI,
        together=True,
    ),
    # How long an answer may be
    row("vLLM, OpenAI, OpenRouter", wordings.ROOM, readers.room),
    row("Kimi", wordings.OVERSHOT, readers.overshot),
    row("OpenRouter", r"can only afford (\d+)", readers.affordable),
    row("all", wordings.LENGTH, readers.length),
    # Thinking
    row("Anthropic", r"thinking\.type\.enabled\S* is not supported", do("adaptive"), "anthropic"),
    row("MiniMax", r"thinking\.type: .enabled. \(allowed: adaptive", do("adaptive")),
    row(
        "Anthropic",
        r"thinking\.type\.adaptive\S* is not supported|adaptive thinking is not supported|'adaptive' found using"
        r"|thinking\.type: Input should be 'enabled'",
        do("budgeted"),
        "anthropic",
    ),
    row("Anthropic", r"thinking\.type\.disabled\S* is not supported", do("think_least"), "anthropic"),
    row("Anthropic", r"thinking\.type\.between_tools\S* is not supported", do("not_between_tools"), "anthropic"),
    row("Anthropic", r"not supported when thinking is disabled.*Use effort '(\w+)' or below", readers.effort_up_to),
    row("Anthropic", r"max_tokens. must be greater than .thinking\.budget_tokens", do("smaller_budget")),
    row("Anthropic", r"thinking may not be enabled when tool_choice", do("no_thinking", passing=True)),
    row(
        "Anthropic",
        r"must start with a thinking block|Expected .thinking. or .redacted_thinking.",
        do("no_thinking", passing=True),
    ),
    row(
        "Anthropic",
        r"invalid .signature. in .thinking|bound to a different conversation|thinking\.signature: Field required"
        r"|thinking. blocks? .{0,60}cannot be modified",
        do("strip_thinking", passing=True),
    ),
    row(
        "OpenAI",
        r"encrypted content .{0,80}(?:could not be|cannot be|invalid)|invalid_encrypted_content|decrypt reasoning",
        do("strip_thinking", passing=True),
    ),
    row("OpenAI", r"of type 'reasoning' was provided without its required", do("strip_thinking", passing=True)),
    row("OpenAI", r"was provided without its required 'reasoning' item", do("drop_item_ids")),
    row(
        "OpenAI",
        r"Expected an ID that begins with|Item with id '\S+' not found|items are not persisted|duplicate item found"
        r"|input\S*\.id': string too long",
        do("drop_item_ids"),
    ),
    row("OpenAI", r"encrypted.content is not supported", do("not_encrypted")),
    row(
        "Kimi, DeepSeek, MiMo",
        r"(?:reasoning_content|content\[\]\.thinking).{0,80}(?:missing|passed back|required)"
        r"|missing.{0,20}reasoning_content",
        do("send_reasoning"),
    ),
    row("llama.cpp", r"cannot pass both content and thinking", do("not_both"), "openai-chat"),
    row("OpenRouter", r"provider returned error.*missing a thought_?signature", do("stand_in_signatures", "details")),
    row("Google", r"missing a thought_?signature", do("stand_in_signatures")),
    row(
        "Google",
        r"thought.?signature.{0,40}(?:not valid|invalid|corrupt|base64)|(?:invalid|corrupted) thought",
        do("stand_in_signatures", "wrong", passing=True),
    ),
    row("Z.AI, OpenRouter, Google", _LEAST, readers.least),
    row(
        "Copilot, Ollama",
        r"does not support (?:reasoning effort|thinking)\b(?! mode)|reasoning effort is not supported",
        readers.no_effort,
        together=True,
    ),
    row("Ollama", r"think value .?(\w+)\W+is not supported", readers.refused_level),
    row("DashScope", r"enable_thinking must be set to false", do("put", False, path="enable_thinking")),
    row("OpenAI", r"verified to generate reasoning summar", do("drop", path="reasoning.summary")),
    row("Codex", r"store must be (?:set to )?false|store ?= ?true is not supported", do("put", False, path="store")),
    row("OpenRouter", r"reasoning_effort and reasoning\.effort", do("drop", path="reasoning_effort")),
    row(
        "Google",
        r"only one of thinking budget and thinking level",
        do("drop", path="generationConfig.thinkingConfig.thinkingBudget"),
    ),
    row("Google", r"thinking level is not supported", do("drop", path="generationConfig.thinkingConfig.thinkingLevel")),
    row("Google", r"thinking level (\w+) is not supported", readers.refused_level),
    row("OpenAI", r"cannot be used with reasoning\.effort '(\w+)'", readers.refused_level),
    row("xAI", r"does not support .?(?:reasoning_effort|reasoning\.effort).? value .?(\w+)", readers.refused_level),
    row("Anthropic", r"does not support the effort parameter", do("drop", path="output_config.effort"), "anthropic"),
    row(
        "Anthropic",
        r"(?:temperature|top_p|top_k). is deprecated for this model",
        drops("temperature", "top_p", "top_k"),
        "anthropic",
        together=True,
    ),
    row(
        "Google",
        r"thinking budget is not supported",
        do("drop", path="generationConfig.thinkingConfig.thinkingBudget"),
    ),
    row(
        "Google",
        r"Unknown name \"id\" at 'contents",
        drops("contents.*.parts.*.functionCall.id", "contents.*.parts.*.functionResponse.id"),
        "gemini",
        together=True,
    ),
    row("Anthropic", r"clear_thinking\S* strategy requires", do("drop", path="context_management", passing=True)),
    # Values that a refusal lists
    row("OpenAI", r"'messages\[\d+\]\.role' does not support 'system'", do("system_as_user"), "openai-chat"),
    row("all", wordings.LISTED, readers.listed),
    row(
        "OpenAI",
        r"only the default \(?\S+?\)? value is supported|only [\d.]+ is allowed|only '[^']+' is supported"
        r"|must be (?:set to |equal to )?[\d.]+(?=\s*$|[,;\n]| when| for| while| if)|appears to contain"
        r"|invalid \w+ argument|parameter is only allowed when|can only be (?:defined|set|used) when"
        r"|only n ?= ?1 is|requires? \w+ to be set|\(TYPE_\w+\)",
        readers.named_member,
    ),
    *TOOL_ROWS,
    # Turns
    row(
        "Llama's template, OpenAI",
        r"only supports single tool-calls|tool_calls\W{1,3}array too long.{0,40}maximum length 1\b",
        do("one_call_each"),
        "openai-chat",
    ),
    row(
        "Anthropic, llama.cpp, Google",
        wordings.SYSTEM,
        always(do("move_system"), do("replace", "assistant", "model", path="contents.*.role")),
    ),
    row(
        "Azure, vLLM, Ollama",
        wordings.DEVELOPER,
        always(*(do("replace", "developer", "system", path=f"{name}.*.role") for name in ("messages", "input"))),
    ),
    row(
        "Google",
        r"developer instruction is not enabled"
        r"|system (?:instruction|role|prompt)\S* (?:is |are )?not (?:supported|enabled)"
        r"|images is incompatible with system messages|only user(?: and|,) assistant.{0,20} roles",
        do("system_as_user"),
    ),
    row("Codex", r"system messages are not allowed", do("replace", "system", "developer", path="input.*.role")),
    row("all", wordings.PREFILL, always(do("go_on"), do("move_system"))),
    row("Google, Anthropic", r"at least one (?:non-system )?message is required", do("system_as_user")),
    row(
        "OpenAI, Groq",
        r"but got null|not be null\b|value: None\b|\bdescription: input should be a valid string",
        do("drop_nulls"),
    ),
    row(
        "MiniMax, vLLM, llama.cpp",
        r"function arguments json string|parse tool call arguments|expecting '.' delimiter|unterminated string starting"
        r"|expecting value: line|arguments\W{1,3}empty string",
        do("rewrite", passing=True),
        "openai-chat",
    ),
    row("Anthropic", r"cannot end with trailing whitespace", do("trim_end")),
    row("Mistral", r"unexpected role 'user' after role 'tool'", do("part_after_results"), "openai-chat"),
    row(
        "vLLM, Anthropic, Google, Perplexity",
        wordings.ALTERNATE,
        do("merge_roles"),
    ),
    row(
        "Anthropic, vLLM, Bedrock, Qwen's template",
        r"first message must (?:use the|be|have).{0,20}user|must start with a user message|no user query found"
        r"|not contain elements with the role of user",
        do("begin_with_user"),
    ),
    row("Google", r"call turn comes immediately after a user turn", do("begin_with_user"), "gemini"),
    row(
        "Mistral",
        r"not the same number of function calls",
        always(do("rewrite", passing=True), do("part_after_results")),
        "openai-chat",
        together=True,
    ),
    row("all", wordings.UNPAIRED, do("rewrite", passing=True)),
    row("all", wordings.EMPTY, do("drop_empty")),
    row("OpenAI", r"tool_calls\S*: empty array", do("drop_empty")),
    row("all", wordings.PLAIN, do("plain_text")),
    # The form of the answer
    row("OpenAI", r"(?:json_schema|text\.format)\.name\b", do("name_format")),
    row("OpenAI, DeepSeek", r"contain the word .?json", do("say_json")),
    row("Anthropic", r"schema: For '\w+' type, propert(?:y|ies) (.+?) (?:is|are) not supported", readers.keywords),
    row(
        "Anthropic, OpenAI",
        r"additionalProperties'? (?:must be explicitly set|is required to be supplied and to be) (?:to )?false",
        always(do("describe_keywords"), do("not_strict")),
    ),
    row("Cerebras", r"invalid fields for schema with types \[.*?\]: \{(.+?)\}", readers.keywords),
    row(
        "Groq, Google, Cerebras, Fireworks",
        wordings.FORMAT_WITH_TOOLS,
        do("weaken", "schema", "json", passing=True),
    ),
    row("DeepSeek, xAI, vLLM, LM Studio", wordings.FORMAT, readers.format_),
    # Members
    row("xAI", r"live search is deprecated", do("drop", path="search_parameters")),
    row("Anthropic", r"fast mode is not supported", do("drop", path="speed"), "anthropic"),
    row("NVIDIA, Groq", r"not support parallel (?:tool|function) call", do("drop", path="parallel_tool_calls")),
    row("Google", r"safety_?settings\S*threshold", _ANY_THRESHOLD),
    row("Google", r"safety_?settings", do("drop", path="safetySettings"), "gemini"),
    row("Go, pydantic", r"\bstop\b.{0,60}(?:valid list|type \[\]string|expected an array)", do("as_list", path="stop")),
    row("OpenAI", r"\b(?:flex|priority) is not available for", do("drop", path="service_tier")),
    row("OpenAI", r"['`\"]?([\w.]+)['`\"]? is not supported.{0,60}Use ['`\"]?([\w.]+)['`\"]? instead", readers.renamed),
    row("all", wordings.RANGE, readers.number),
    row("all", wordings.CUT, readers.cut),
    row("all", wordings.UNKNOWN, readers.unknown, together=True),
    row(
        "Google",
        r"penalty is not enabled",
        drops("generationConfig.presencePenalty", "generationConfig.frequencyPenalty"),
        "gemini",
        together=True,
    ),
    row(
        "Google",
        r"logprobs is not enabled",
        drops("generationConfig.responseLogprobs", "generationConfig.logprobs"),
        "gemini",
        together=True,
    ),
    row(
        "Google",
        r"thinking is not (?:enabled|supported)",
        do("drop", path="generationConfig.thinkingConfig"),
        "gemini",
    ),
    row(
        "Google",
        r"include_?thoughts is only enabled",
        do("drop", path="generationConfig.thinkingConfig.includeThoughts", passing=True),
        "gemini",
    ),
    row("vLLM", r"parallel_tool_calls.{0,20}(?:must be|to) .?false", do("put", False, path="parallel_tool_calls")),
    row("Google", r"multiple candidates is not enabled", do("drop", path="generationConfig.candidateCount"), "gemini"),
    row(
        "Anthropic, vLLM",
        r"stop sequence must contain non-whitespace|stop cannot contain an empty",
        always(do("drop_blank", path="stop_sequences"), do("drop_blank", path="stop")),
    ),
    row(
        "OpenAI, Anthropic, Go",
        r"expected an integer, but got a decimal|valid integer, got a number with a fractional part"
        r"|cannot unmarshal number \S+ into Go struct field \S+ of type u?int",
        readers.fraction,
    ),
    row(
        "OpenAI, Together",
        r"invalid type for 'metadata\.|logprobs\W.{0,40}valid integer|cannot unmarshal bool into Go struct field",
        readers.named_member,
    ),
    # Schemas, where nothing more exact was said
    row("all", wordings.SCHEMA, readers.schemas),
)
