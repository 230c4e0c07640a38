"""The JSON fields that the Gemini API knows, by message.

Source: the types of google-genai 3.4.0 and the REST reference. Every field is known in camelCase and snake_case.
"""

from __future__ import annotations

from typing import Any

_REQUEST = {
    "model": "",
    "contents": "Content",
    "systemInstruction": "Content",
    "tools": "Tool",
    "toolConfig": "ToolConfig",
    "safetySettings": "SafetySetting",
    "generationConfig": "GenerationConfig",
    "cachedContent": "",
    "labels": "",
    "serviceTier": "",
    "store": "",
    "modelArmorConfig": "",
}


def _opaque(names: str) -> dict[str, str]:
    return dict.fromkeys(names.split(), "")


MESSAGES: dict[str, dict[str, str]] = {
    "GenerateContentRequest": _REQUEST,
    "CountTokensRequest": _REQUEST | {"generateContentRequest": "GenerateContentRequest"},
    "EmbedContentRequest": {"content": "Content"}
    | _opaque("model taskType title outputDimensionality embedContentConfig"),
    "BatchEmbedContentsRequest": {"requests": "EmbedContentRequest"},
    "Content": {"parts": "Part", "role": ""},
    "Part": {
        "inlineData": "Blob",
        "fileData": "FileData",
        "functionCall": "FunctionCall",
        "functionResponse": "FunctionResponse",
    }
    | _opaque(
        "text thought thoughtSignature mediaResolution codeExecutionResult executableCode videoMetadata toolCall"
        " toolResponse partMetadata audioTranscription mediaProcessing speechMetadata documentMetadata"
        " spreadsheetMetadata audioMetadata"
    ),
    "Blob": _opaque("data displayName mimeType"),
    "FileData": _opaque("displayName fileUri mimeType"),
    "FunctionCall": _opaque("id args name partialArgs willContinue"),
    "FunctionResponse": _opaque("willContinue scheduling parts id name response"),
    "Tool": {"functionDeclarations": "FunctionDeclaration"}
    | _opaque(
        "retrieval computerUse fileSearch googleSearch googleMaps codeExecution enterpriseWebSearch"
        " googleSearchRetrieval parallelAiSearch urlContext mcpServers exaAiSearch"
    ),
    "FunctionDeclaration": {"parameters": "Schema", "response": "Schema"}
    | _opaque("description name parametersJsonSchema responseJsonSchema behavior"),
    "ToolConfig": {"functionCallingConfig": "FunctionCallingConfig"}
    | _opaque("retrievalConfig includeServerSideToolInvocations"),
    "FunctionCallingConfig": _opaque("allowedFunctionNames mode streamFunctionCallArguments"),
    "SafetySetting": _opaque("category method threshold"),
    "ThinkingConfig": _opaque("includeThoughts thinkingBudget thinkingLevel"),
    "GenerationConfig": {"thinkingConfig": "ThinkingConfig", "responseSchema": "Schema"}
    | _opaque(
        "modelSelectionConfig responseJsonSchema audioTimestamp candidateCount enableAffectiveDialog frequencyPenalty"
        " logprobs maxOutputTokens mediaResolution presencePenalty responseLogprobs responseMimeType"
        " responseModalities routingConfig seed speechConfig stopSequences temperature topK topP imageConfig"
        " enableEnhancedCivicAnswers responseFormat translationConfig audioTranscriptionConfig"
    ),
    "Schema": {"anyOf": "Schema", "items": "Schema", "properties": "{}Schema", "defs": "{}Schema"}
    | _opaque(
        "additionalProperties ref default description enum example format maxItems maxLength maxProperties maximum"
        " minItems minLength minProperties minimum nullable pattern propertyOrdering required title type"
    ),
}
"""Message → field → the message it holds; empty if its content is not checked; `{}` before the values of a map."""


def snake(name: str) -> str:
    """`functionCall` → `function_call`."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


CAMEL = {snake(name): name for fields in MESSAGES.values() for name in fields}
"""The camelCase spelling of every field by the snake_case one."""


def camel_keys(value: Any, message: str) -> Any:
    """`value` with its known fields in camelCase. Keys that are data, such as those of arguments, are kept."""
    if isinstance(value, list):
        return [camel_keys(item, message) for item in value]
    if not isinstance(value, dict):
        return value
    fields = MESSAGES[message]
    out: dict[str, Any] = {}
    name: str
    for name, item in value.items():
        known = CAMEL.get(name, name)
        below = fields.get(known, "")
        if below.startswith("{}") and isinstance(item, dict):
            out[known] = {key: camel_keys(inner, below[2:]) for key, inner in item.items()}
        else:
            out[known] = camel_keys(item, below) if below else item
    return out


def unknown(value: Any, message: str, where: str = "") -> list[tuple[str, str]]:
    """The unknown fields of `value`, as received, as pairs (place, name) in their order."""
    if isinstance(value, list):
        return [fault for place, item in enumerate(value) for fault in unknown(item, message, f"{where}[{place}]")]
    if not isinstance(value, dict):
        return []
    fields = MESSAGES[message]
    faults: list[tuple[str, str]] = []
    for name, item in value.items():
        known = CAMEL.get(name, name)
        if known not in fields:
            faults.append((where, name))
            continue
        below = fields[known]
        path = f"{where}.{snake(known)}".lstrip(".")
        if below.startswith("{}"):
            pairs = item.items() if isinstance(item, dict) else ()
            for key, inner in pairs:
                faults += unknown(inner, below[2:], f"{path}[{key!r}].value".replace("'", ""))
        elif below:
            faults += unknown(item, below, path)
    return faults
