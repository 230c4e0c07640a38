"""One request of each client protocol that uses much of what the protocol has."""

from __future__ import annotations

from bm.names import ProtocolName
from tests.gateway.features import PNG, Body

PDF = "JVBERi0xLjQK"
_SCHEMA = {
    "type": "object",
    "title": "Place",
    "properties": {
        "city": {"type": "string", "description": "Where.", "minLength": 2, "pattern": "^[A-Z]", "examples": ["Bern"]},
        "days": {"type": "integer", "minimum": 1, "maximum": 9, "default": 3},
        "unit": {"enum": ["C", "F"]},
        "tags": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 4},
    },
    "required": ["city"],
    "additionalProperties": False,
}
_CACHED = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
_ARGUMENTS = '{"city":"Bern"}'

ANTHROPIC: Body = {
    "model": "m",
    "max_tokens": 4321,
    "system": [{"type": "text", "text": "Be brief.", **_CACHED}],
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Weather?"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
                {
                    "type": "document",
                    "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
                    "title": "Atlas",
                    "context": "It is old.",
                    "citations": {"enabled": True},
                },
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "I look."},
                {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Bern"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_1",
                    "is_error": True,
                    "content": [{"type": "text", "text": "storm"}],
                    **_CACHED,
                }
            ],
        },
    ],
    "tools": [
        {
            "name": "weather",
            "description": "Tells it.",
            "input_schema": _SCHEMA,
            "strict": True,
            "input_examples": [{"city": "Basel"}],
            **_CACHED,
        },
        {
            "type": "web_search_20250305",
            "name": "web_search",
            "max_uses": 2,
            "allowed_domains": ["a.example"],
            "user_location": {"type": "approximate", "city": "Thun"},
        },
    ],
    "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
    "temperature": 0.4,
    "top_p": 0.8,
    "top_k": 7,
    "stop_sequences": ["END", "FIN", "ENDE", "KONEC", "SLUT"],
    "metadata": {"user_id": "ann"},
    "service_tier": "standard_only",
    "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": _SCHEMA}},
    "mcp_servers": [{"type": "url", "url": "https://mcp.example", "name": "mcp"}],
    "unheard_of": {"a": 1},
}

ANTHROPIC_THINKING: Body = {
    "model": "m",
    "max_tokens": 9000,
    "thinking": {"type": "enabled", "budget_tokens": 2345, "display": "omitted"},
    "context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]},
    "messages": [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [{"type": "text", "text": "ho"}]},
        {"role": "user", "content": [{"type": "text", "text": "go on"}]},
    ],
    "speed": "fast",
    "inference_geo": "eu",
}

CHAT: Body = {
    "model": "m",
    "messages": [
        {"role": "developer", "content": "Be brief.", "name": "boss"},
        {
            "role": "user",
            "name": "ann",
            "content": [
                {"type": "text", "text": "Weather?"},
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}", "detail": "low"}},
                {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}},
            ],
        },
        {
            "role": "assistant",
            "content": "I look.",
            "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": _ARGUMENTS}}
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "storm"},
    ],
    "tools": [
        {
            "type": "function",
            "function": {"name": "weather", "description": "Tells it.", "parameters": _SCHEMA, "strict": True},
        }
    ],
    "tool_choice": {"type": "function", "function": {"name": "weather"}},
    "parallel_tool_calls": False,
    "max_completion_tokens": 4321,
    "temperature": 0.4,
    "top_p": 0.8,
    "seed": 5,
    "presence_penalty": 0.1,
    "frequency_penalty": 0.2,
    "logit_bias": {"7": 3},
    "logprobs": True,
    "top_logprobs": 3,
    "stop": ["END", "FIN", "ENDE", "KONEC"],
    "reasoning_effort": "low",
    "response_format": {
        "type": "json_schema",
        "json_schema": {"name": "place", "description": "A place.", "schema": _SCHEMA, "strict": True},
    },
    "metadata": {"run": "r1"},
    "user": "ann",
    "store": True,
    "service_tier": "flex",
    "prompt_cache_key": "key",
    "verbosity": "low",
    "web_search_options": {"search_context_size": "low"},
    "unheard_of": {"a": 1},
}

RESPONSES: Body = {
    "model": "m",
    "instructions": "Be brief.",
    "input": [
        {
            "type": "message",
            "role": "user",
            "content": [
                {"type": "input_text", "text": "Weather?"},
                {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": "low"},
                {"type": "input_file", "filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"},
            ],
        },
        {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": _ARGUMENTS},
        {
            "type": "function_call_output",
            "call_id": "call_1",
            "output": [
                {"type": "input_text", "text": "storm"},
                {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": "high"},
            ],
        },
    ],
    "tools": [
        {
            "type": "function",
            "name": "weather",
            "description": "Tells it.",
            "parameters": _SCHEMA,
            "strict": True,
        },
        {
            "type": "custom",
            "name": "patch",
            "description": "Patches.",
            "format": {"type": "grammar", "syntax": "lark", "definition": "start: A"},
        },
        {
            "type": "web_search",
            "filters": {"allowed_domains": ["a.example"]},
            "search_context_size": "low",
            "user_location": {"type": "approximate", "city": "Thun"},
        },
        {"type": "file_search", "vector_store_ids": ["vs_1"]},
    ],
    "tool_choice": {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "weather"}]},
    "parallel_tool_calls": False,
    "max_output_tokens": 4321,
    "max_tool_calls": 3,
    "temperature": 0.4,
    "top_p": 0.8,
    "top_logprobs": 2,
    "reasoning": {"effort": "low", "summary": "auto"},
    "text": {
        "verbosity": "low",
        "format": {
            "type": "json_schema",
            "name": "place",
            "description": "A place.",
            "schema": _SCHEMA,
            "strict": True,
        },
    },
    "include": ["reasoning.encrypted_content"],
    "metadata": {"run": "r1"},
    "safety_identifier": "ann",
    "prompt_cache_key": "key",
    "service_tier": "flex",
    "store": False,
    "truncation": "auto",
    "unheard_of": {"a": 1},
}

GEMINI: Body = {
    "systemInstruction": {"parts": [{"text": "Be brief."}]},
    "contents": [
        {
            "role": "user",
            "parts": [
                {"text": "Weather?"},
                {
                    "inlineData": {"mimeType": "image/png", "data": PNG, "displayName": "map"},
                    "mediaResolution": {"level": "MEDIA_RESOLUTION_LOW"},
                },
                {"inlineData": {"mimeType": "application/pdf", "data": PDF}},
            ],
        },
        {
            "role": "model",
            "parts": [
                {"text": "I look.", "partMetadata": {"a": "b"}},
                {"functionCall": {"id": "c1", "name": "weather", "args": {"city": "Bern"}}},
            ],
        },
        {
            "role": "user",
            "parts": [{"functionResponse": {"id": "c1", "name": "weather", "response": {"output": "storm"}}}],
        },
    ],
    "tools": [
        {
            "functionDeclarations": [
                {
                    "name": "weather",
                    "description": "Tells it.",
                    "parametersJsonSchema": _SCHEMA,
                    "responseJsonSchema": {"type": "string"},
                    "behavior": "BLOCKING",
                }
            ]
        },
        {"googleSearch": {"excludeDomains": ["b.example"]}},
        {"googleMaps": {"enableWidget": True}},
    ],
    "toolConfig": {
        "functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["weather"]},
        "retrievalConfig": {"latLng": {"latitude": 46.9, "longitude": 7.4}, "languageCode": "rm"},
    },
    "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
    "labels": {"run": "r1"},
    "generationConfig": {
        "maxOutputTokens": 4321,
        "temperature": 0.4,
        "topP": 0.8,
        "topK": 7,
        "seed": 5,
        "candidateCount": 1,
        "presencePenalty": 0.1,
        "frequencyPenalty": 0.2,
        "responseLogprobs": True,
        "logprobs": 2,
        "stopSequences": ["END", "FIN", "ENDE", "KONEC", "SLUT"],
        "responseMimeType": "application/json",
        "responseJsonSchema": _SCHEMA,
        "thinkingConfig": {"thinkingLevel": "LOW", "includeThoughts": True},
        "mediaResolution": "MEDIA_RESOLUTION_LOW",
        "unheardOf": {"a": 1},
    },
    "unheardOf": {"a": 1},
}

RICH: list[tuple[ProtocolName, Body]] = [
    ("anthropic", ANTHROPIC),
    ("anthropic", ANTHROPIC_THINKING),
    ("openai-chat", CHAT),
    ("openai-responses", RESPONSES),
    ("gemini", GEMINI),
]
