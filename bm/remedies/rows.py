"""From a vendor's words to remedies: one row a way to say something. A new vendor rule is a new row.

Each row names who says it. The wordings are those of the vendors' documents, of their SDKs, and of refusals quoted in
public reports.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import reduce
from typing import Any, Final

import msgspec

from bm.chat.capabilities import Capabilities
from bm.chat.parts import Json
from bm.chat.remedy import Remedy, joined
from bm.errors import UNREADABLE, Failure
from bm.names import ProtocolName
from bm.remedies import readers, thinking
from bm.remedies.members import EFFORTS
from bm.remedies.readers import Refusal

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


_LEAST = r"(?:reasoning is mandatory|cannot be disabled|only works in thinking mode|always engages in thinking)"

_NO_FAULT: Final = re.compile(r"jinja|template|not supported|unsupported|validation error|invalid request", re.I)
"""What a service says with status 500 although the request is refused: llama.cpp, vLLM and Ollama do."""

MAX_TEXT: Final = 2000
"""Characters of a refusal that are read; what is longer repeats the prompt."""
_THINKING: Final = frozenset({"adaptive", "budgeted", "think_least", "not_between_tools"})

ROWS: Final[tuple[Row, ...]] = (
    # Which API
    _row("OpenAI, Azure", r"only supported in v1/responses|use /?v1/responses", _do("speak", "openai-responses")),
    _row(
        "OpenAI", r"only (?:supported|available) (?:in|via) (?:the )?/?v1/chat/completions", _do("speak", "openai-chat")
    ),
    _row("Azure", r"does not support file content types", _do("speak", "openai-responses"), "openai-chat"),
    _row("xAI", r"input\S*: unknown variant", _do("rewrite"), "openai-responses"),
    _row("Anthropic", r"unexpected values?\(?s?\)? (.{1,400}?) for the .anthropic-beta. header", readers.betas),
    # How long an answer may be
    _row("vLLM, OpenAI, OpenRouter", readers.ROOM, readers.room),
    _row("OpenRouter", r"can only afford (\d+)", readers.affordable),
    _row("all", readers.LENGTH, readers.length),
    # Thinking
    _row("Anthropic", r"thinking\.type\.enabled\S* is not supported", _do("adaptive"), "anthropic"),
    _row(
        "Anthropic",
        r"thinking\.type\.adaptive\S* is not supported|adaptive thinking is not supported",
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
        r"invalid .signature. in .thinking|bound to a different conversation"
        r"|thinking. blocks? .{0,60}cannot be modified",
        _do("strip_thinking", passing=True),
    ),
    _row(
        "OpenAI",
        r"encrypted content .{0,80}(?:could not be|cannot be)|invalid_encrypted_content",
        _do("strip_thinking", passing=True),
    ),
    _row("OpenAI", r"of type 'reasoning' was provided without its required", _do("strip_thinking", passing=True)),
    _row("OpenAI", r"was provided without its required 'reasoning' item", _do("drop_item_ids")),
    _row(
        "OpenAI",
        r"Expected an ID that begins with|Item with id '\S+' not found|items are not persisted",
        _do("drop_item_ids"),
    ),
    _row("OpenAI", r"encrypted content is not supported", _do("not_encrypted")),
    _row(
        "Kimi, DeepSeek, MiMo",
        r"reasoning_content.{0,80}(?:missing|passed back|required)|missing.{0,20}reasoning_content",
        _do("send_reasoning"),
    ),
    _row("Google", r"missing a thought_?signature", _do("stand_in_signatures")),
    _row(
        "Google",
        r"thought.?signature.{0,40}(?:not valid|invalid|corrupt)|(?:invalid|corrupted) thought",
        _do("stand_in_signatures", "wrong", passing=True),
    ),
    _row("Z.AI, OpenRouter, Google", _LEAST, readers.least),
    _row("DashScope", r"enable_thinking must be set to false", _do("put", False, path="enable_thinking")),
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
    # Values that a refusal lists
    _row("all", readers.LISTED, readers.listed),
    _row(
        "OpenAI",
        r"only the default \(?\S+?\)? value is supported|only [\d.]+ is allowed|only '[^']+' is supported"
        r"|must be (?:set to |equal to )?[\d.]+(?=\s*$|[,;\n]| when| for| while| if)",
        readers.named_member,
    ),
    # Tools
    _row(
        "xAI, OpenAI, Mistral",
        r"tool_choice.{0,80}(?:no tools|without tools|only allowed when|while providing)",
        _do("drop_choice"),
    ),
    _row("Google", r"calling config is set without function_declarations", _do("drop_choice"), "gemini"),
    _row("OpenAI", r"parallel_tool_calls.{0,40}only allowed when", _do("drop_choice")),
    _row("LM Studio", r"invalid tool_choice type.{0,20}object", _do("choose_by_word"), "openai-chat"),
    _row(
        "Anthropic, DeepSeek, Kimi",
        r"tool_choice.{0,100}(?:not supported|unsupported|incompatible|only supports?|must be .?auto)"
        r"|(?:not|n't) support .{0,60}tool_choice|only .?auto.? is supported",
        _do("choose_freely"),
    ),
    _row("Cerebras", r"mixed values for .strict", _do("not_strict")),
    _row("OpenAI", r"'required' is required to be supplied|strict.{0,60}schema|schema.{0,60}strict", _do("not_strict")),
    _row("Groq, OpenAI", r"'tools'.{0,60}maximum (?:number of items is|length) (\d+)", readers.most_tools),
    _row(
        "Anthropic",
        r"the image appears to be an? image/|Property keys should match pattern",
        _do("rewrite", passing=True),
        "anthropic",
    ),
    _row("Anthropic", r"tool names must be unique|duplicate (?:tool|function)", _do("rewrite", passing=True)),
    _row("OpenAI", r"object schema missing properties", _do("add_properties")),
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
    _row("OpenAI, xAI", r"tool '(\w+)' is not supported|tools\S*type: unknown variant .(\w+)", readers.refused_tool),
    _row("Mistral", r"tool call id .{0,200}length of (\d+)", readers.exact_call_id),
    _row("OpenAI", r"tool_calls?\S*id'?: string too long.{0,60}maximum length (\d+)", readers.longest_call_id),
    _row(
        "Anthropic", r"(?:tool_use|tool_result)\.\S*id: String should match pattern", _do("shorten_call_ids", None, 64)
    ),
    _row(
        "Ollama, llama.cpp, vLLM",
        r"arguments.{0,80}(?:valid dictionary|must be an? (?:object|dict)|expected (?:an? )?(?:object|map|dict))"
        r"|tool_use\.input: Input should be",
        _do("arguments_as_objects"),
    ),
    _row(
        "OpenAI",
        r"arguments.{0,80}(?:expected (?:a )?string|should be a valid string|must be a string)",
        _do("arguments_as_objects", "text"),
    ),
    # Turns
    _row(
        "Anthropic, llama.cpp, Google",
        readers.SYSTEM,
        _always(_do("move_system"), _do("replace", "assistant", "model", path="contents.*.role")),
    ),
    _row(
        "Azure, vLLM, Ollama",
        r"\bdeveloper\b.{0,80}(?:is not one of|not supported|unknown|unexpected|invalid)"
        r"|(?:unknown variant|unexpected role|invalid role).{0,20}developer",
        _always(*(_do("replace", "developer", "system", path=f"{name}.*.role") for name in ("messages", "input"))),
    ),
    _row(
        "Google",
        r"developer instruction is not enabled"
        r"|system (?:instruction|role|prompt)\S* (?:is |are )?not (?:supported|enabled)",
        _do("system_as_user"),
    ),
    _row("all", readers.PREFILL, _do("go_on")),
    _row("Anthropic", r"cannot end with trailing whitespace", _do("trim_end")),
    _row("Mistral", r"unexpected role 'user' after role 'tool'", _do("part_after_results"), "openai-chat"),
    _row(
        "vLLM, Anthropic",
        r"roles? must alternate|alternate user/assistant|consecutive (?:user|assistant)",
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
    _row("all", readers.UNPAIRED, _do("rewrite", passing=True)),
    _row("all", readers.EMPTY, _do("drop_empty")),
    _row(
        "all",
        r"content\S*:? .{0,60}(?:should be a valid string|must be a string|expected (?:a )?string|null)",
        _do("plain_text"),
    ),
    # The form of the answer
    _row("OpenAI, DeepSeek", r"contain the word .?json", _do("say_json")),
    _row("Anthropic", r"schema: For '\w+' type, propert(?:y|ies) (.+?) (?:is|are) not supported", readers.keywords),
    _row(
        "Anthropic, OpenAI",
        r"additionalProperties'? (?:must be explicitly set|is required to be supplied and to be) (?:to )?false",
        _do("describe_keywords"),
    ),
    _row(
        "Groq, Google",
        r"(?:json mode|response mime type|response_format).{0,80}(?:tool|function)|function calling with a response",
        _do("weaken", "schema", "json", passing=True),
    ),
    _row("DeepSeek, xAI, vLLM, LM Studio", readers.FORMAT, readers.format_),
    # Members
    _row(
        "OpenAI", r"['`\"]?([\w.]+)['`\"]? is not supported.{0,60}Use ['`\"]?([\w.]+)['`\"]? instead", readers.renamed
    ),
    _row("all", readers.RANGE, readers.number),
    _row("all", r"(?:maximum length|at most|maximum number of items is|no more than|up to) (\d+)", readers.cut),
    _row("all", readers.UNKNOWN, readers.unknown, together=True),
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
    _row("all", readers.SCHEMA, readers.schemas),
)


def remedies_for(
    failure: Failure, body: bytes, protocol: ProtocolName, takes: Capabilities | None = None
) -> Iterator[tuple[Remedy, ...]]:
    """What may heal a refusal of a request, the most exact first: remedies that are tried together.

    `takes` is what is known of the model. A refusal of how thinking is asked for is answered with all of that at once.
    """
    refused = failure.kind in ("bad_request", "not_found")
    if not refused and not (failure.kind == "server" and _NO_FAULT.search(failure.message)):
        return
    try:
        document: Json = msgspec.json.decode(body)
    except UNREADABLE:
        return
    failure = msgspec.structs.replace(failure, message=failure.message[:MAX_TEXT], code=failure.code[:MAX_TEXT])
    text = f"{failure.message}\n{failure.code}"
    reason = " ".join(failure.message.split())[:200]
    refusal = Refusal(failure, document, protocol)
    for row in ROWS:
        match = row.wording.search(text) if not row.protocols or protocol in row.protocols else None
        if match is None:
            continue
        found = list(row.read(refusal, match))
        for group in [tuple(found)] if row.together and found else [(remedy,) for remedy in found]:
            if takes is not None and any(each.operation in _THINKING or each.path in EFFORTS for each in group):
                group = reduce(joined, group, thinking.known(document, takes))
            yield tuple(msgspec.structs.replace(remedy, reason=reason) for remedy in group)
