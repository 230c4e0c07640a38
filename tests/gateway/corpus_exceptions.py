"""The recorded exchanges that do not come through a translation, and why."""

from __future__ import annotations

from typing import Literal, NamedTuple

from bm.names import ProtocolName

Side = Literal["request", "answer", "pass-through"]


class Known(NamedTuple):
    """Cases that one side of a translation to `others` does not carry: the request to them, the answer for
    them; or that do not pass through between `others`."""

    side: Side
    reason: str
    others: tuple[ProtocolName, ...]
    cases: tuple[str, ...]


def known(side: Side, api: str, other: str) -> dict[str, str]:
    """Of each case of an API that does not come through, the reason."""
    mark = f"{api.replace('.', '-')}--"
    rows = [row for row in EXCEPTIONS if row.side == side and other in row.others]
    return {case: row.reason for row in rows for case in row.cases if case.startswith(mark)}


NOT_EXPRESSIBLE = frozenset(
    {
        "the target's models do not accept audio",
        "the target's models do not accept video",
        "several answers are requested, and the target gives only one",
        "the file was uploaded to one vendor and does not exist at the other",
        "the code execution container exists only at Anthropic",
        "the conversation is stored at OpenAI",
        "the earlier response is stored at OpenAI; bm remembers only those it produced itself",
        "a background response is available only where it is stored",
        "the model is named by a prompt stored at OpenAI",
        "the target does not accept office documents",
        "the document is in Google Cloud Storage, which only Google can read",
        "the URL field contains data",
        "two answers, while the client's protocol has room for one; such a client cannot ask for two",
        "no answer yet: queued in the background",
        "constructed: a second answer starts inside the first, which is reported as an error",
        "constructed: an answer without choices, which is reported as an error",
        "the recorded stream ends with an error, which is reported as one",
        "the model called an undeclared tool, which is reported as an error",
    }
)
"""What one of the two protocols has no words for, or keeps to itself, and what is no answer."""

EXCEPTIONS = (
    Known(
        "request",
        "the file was uploaded to one vendor and does not exist at the other",
        ("openai-responses", "gemini"),
        ("anthropic-messages--anthropic--test-anthropic-file-lifecycle-async-1-c076db",),
    ),
    Known(
        "request",
        "the file was uploaded to one vendor and does not exist at the other",
        ("anthropic", "gemini"),
        (
            "openai-chat--openai--test-multimodal-tool-return-matrix-tool-return-c-1-d0f767",
            "openai-responses--openai--uploadedfile-live-uploads-openai-gpt-5-nano-reus-1-5bc0a8",
        ),
    ),
    Known(
        "request",
        "the file was uploaded to one vendor and does not exist at the other",
        ("anthropic", "openai-chat", "gemini"),
        ("openai-responses--openai--test-multimodal-tool-return-matrix-tool-return-c-1-39526b",),
    ),
    Known(
        "request",
        "the code execution container exists only at Anthropic",
        ("gemini",),
        (
            "anthropic-messages--anthropic--test-anthropic-code-execution-files-cache-prefix-2-188aa9",
            "anthropic-messages--anthropic--test-anthropic-code-execution-files-cache-prefix-2-39d0a4",
            "anthropic-messages--anthropic--test-anthropic-code-execution-files-multi-turn-2-50565d",
            "anthropic-messages--anthropic--test-anthropic-code-execution-tool-container-reu-1-ac4965",
        ),
    ),
    Known(
        "request",
        "the target's models do not accept audio",
        ("anthropic", "openai-responses"),
        (
            "openai-chat--mistral--chat-audio-models-mistral-voxtral-small-latest-c-0-f813ef",
            "openai-chat--openai--encodes-audio-content-0-4eed6f",
            "openai-chat--openai--openai-gpt-audio-0-09f10e",
            "openai-chat--openai--test-audio-as-binary-content-input-0-e03e05",
            "openai-chat--openai--test-chat-completions-with-audio-input-0-00b2cd",
        ),
    ),
    Known(
        "request",
        "the target's models do not accept audio",
        ("anthropic", "openai-chat", "openai-responses"),
        (
            "gemini-generateContent--gemini--google-gemini-2-5-flash-0-256626",
            "gemini-generateContent--gemini--test-model-call-with-audio-content-0-c4a410",
            "gemini-generateContent--vertex--test-google-url-input-audiourl-0-2ae50a",
            "gemini-generateContent--vertex--transcription-basic-functionality-vertexai-gemin-1-175a70",
            "gemini-generateContent--vertex--transcription-basic-functionality-vertexai-gemin-1-30b576",
            "gemini-generateContent--gemini--test-multimodal-tool-return-matrix-direct-upload-1-1c82a5",
            "gemini-generateContent--gemini--test-multimodal-tool-return-matrix-direct-url-au-2-1f9bd1",
            "gemini-generateContent--gemini--test-multimodal-tool-return-matrix-direct-upload-2-ae51c3",
            "gemini-generateContent--vertex--test-multimodal-tool-return-matrix-direct-url-au-2-cc87e2",
            "gemini-generateContent--gemini--test-multimodal-tool-return-matrix-tool-return-c-1-184339",
            "gemini-generateContent--gemini--test-multimodal-tool-return-matrix-tool-return-c-2-1a6f3f",
            "gemini-generateContent--gemini--test-multimodal-tool-return-matrix-tool-return-c-2-074fc1",
            "gemini-generateContent--vertex--test-multimodal-tool-return-matrix-tool-return-c-2-6ec6b3",
            "gemini-generateContent--vertex--test-multimodal-tool-return-matrix-tool-return-c-2-cd16c1",
        ),
    ),
    Known(
        "request",
        "several answers are requested, and the target gives only one",
        ("anthropic", "openai-responses"),
        (
            "openai-chat--openai--completion-multiple-choices-0-8741d1",
            "openai-chat--openai--completion-multiple-choices-with-tools-0-33f26f",
            "openai-chat--openai--completion-stream-multiple-choices-0-00f606",
            "openai-chat--openai--completion-stream-multiple-choices-exclude-usage-0-d341c9",
            "openai-chat--openai--completion-stream-multiple-choices-with-tools-0-b7fb44",
        ),
    ),
    Known(
        "request",
        "several answers are requested, and the target gives only one",
        ("gemini",),
        (
            "openai-chat--openai--completion-multiple-choices-with-tools-0-33f26f",
            "openai-chat--openai--completion-stream-multiple-choices-0-00f606",
            "openai-chat--openai--completion-stream-multiple-choices-exclude-usage-0-d341c9",
            "openai-chat--openai--completion-stream-multiple-choices-with-tools-0-b7fb44",
        ),
    ),
    Known(
        "request",
        "the target's models do not accept video",
        ("anthropic", "openai-responses"),
        ("openai-chat--openrouter--test-openrouter-video-url-public-api-0-b848d4",),
    ),
    Known(
        "request",
        "the target's models do not accept video",
        ("anthropic", "openai-chat", "openai-responses"),
        (
            "gemini-generateContent--gemini--test-google-model-youtube-video-url-input-0-e73995",
            "gemini-generateContent--gemini--test-google-model-youtube-video-url-input-with-v-0-0d3c87",
            "gemini-generateContent--vertex--test-google-url-input-force-download-1-003651",
            "gemini-generateContent--vertex--test-google-url-input-videourl-0-a83ce0",
            "gemini-generateContent--vertex--test-google-url-input-videourl-gs-0-048320",
            "gemini-generateContent--vertex--test-google-url-input-videourl-youtube-0-829109",
            "gemini-generateContent--gemini--test-multimodal-tool-return-matrix-tool-return-c-2-faa2d9",
            "gemini-generateContent--vertex--test-multimodal-tool-return-matrix-direct-url-vi-2-cb1276",
        ),
    ),
    Known(
        "request",
        "the URL field contains data",
        ("gemini",),
        ("openai-chat--perplexity--chat-document-models-perplexity-sonar-pro-unders-0-b6e64b",),
    ),
    Known(
        "request",
        "the target does not accept office documents",
        ("anthropic", "gemini"),
        (
            "openai-responses--openai--chat-spreadsheet-models-openai-gpt-5-nano-unders-0-3a3f94",
            "openai-responses--openai--test-openai-document-docx-0-d99ef7",
        ),
    ),
    Known(
        "request",
        "the model is named by a prompt stored at OpenAI",
        ("anthropic", "openai-chat", "gemini"),
        ("openai-responses--openai--response-with-mixed-prompt-url-preserved-0-659d85",),
    ),
    Known(
        "request",
        "the earlier response is stored at OpenAI; bm remembers only those it produced itself",
        ("anthropic", "openai-chat", "gemini"),
        (
            "openai-responses--openai--test-agent-with-tool-calls-1-7806f8",
            "openai-responses--openai--test-openai-previous-response-id-auto-mode-0-79ec1e",
            "openai-responses--openai--test-openai-previous-response-id-seed-auto-chain-1-4a27bb",
            "openai-responses--openai--test-openai-previous-response-id-seed-auto-chain-2-80871a",
            "openai-responses--openai--test-openai-previous-response-id-seed-auto-chain-3-2fcd25",
            "openai-responses--openai--test-openai-responses-compact-with-auto-previous-1-0fcd7b",
            "openai-responses--openai--test-tool-with-complex-return-type-1-ae6dbd",
        ),
    ),
    Known(
        "request",
        "a background response is available only where it is stored",
        ("anthropic", "openai-chat", "gemini"),
        (
            "openai-responses--openai--test-background-mode-with-tool-vcr-0-1488d8",
            "openai-responses--openai--test-background-mode-with-tool-vcr-2-a9462e",
        ),
    ),
    Known(
        "request",
        "the conversation is stored at OpenAI",
        ("anthropic", "openai-chat", "gemini"),
        (
            "openai-responses--openai--test-openai-conversation-id-explicit-and-auto-1-88e93e",
            "openai-responses--openai--test-openai-conversation-id-explicit-and-auto-2-d51a04",
            "openai-responses--openai--test-openai-conversation-id-preserves-mismatched-1-86702e",
            "openai-responses--openai--test-openai-conversation-id-streaming-provider-d-1-30a767",
        ),
    ),
    Known(
        "request",
        "the document is in Google Cloud Storage, which only Google can read",
        ("openai-chat",),
        (
            "gemini-generateContent--vertex--test-google-url-input-documenturl-gs-0-b064ce",
            "gemini-generateContent--vertex--test-multimodal-tool-return-matrix-tool-return-c-2-0df117",
        ),
    ),
    Known(
        "answer",
        "code run by Anthropic called tools; the calls are shown, so the finish reason is that of tool calls",
        ("openai-chat", "openai-responses", "gemini"),
        ("anthropic-messages--anthropic--fx-anthropic-programmatic-tool-calling-1-427689",),
    ),
    Known(
        "answer",
        "constructed: a second answer starts inside the first, which is reported as an error",
        ("openai-chat", "openai-responses", "gemini"),
        (
            "anthropic-messages--anthropic--fx-duplicate-message-start-stream-e823a3",
            "anthropic-messages--anthropic--fx-spliced-message-start-stream-dae623",
        ),
    ),
    Known(
        "answer",
        "the recorded stream ends with an error, which is reported as one",
        ("anthropic", "openai-responses", "gemini"),
        (
            "openai-chat--groq--test-tool-use-failed-error-streaming-0-8e947b",
            "openai-chat--groq--test-tool-use-failed-error-streaming-with-text-0-9e866a",
        ),
    ),
    Known(
        "answer",
        "two answers, while the client's protocol has room for one; such a client cannot ask for two",
        ("anthropic", "openai-responses"),
        (
            "openai-chat--openai--completion-multiple-choices-0-8741d1",
            "openai-chat--openai--completion-multiple-choices-with-tools-0-33f26f",
            "openai-chat--openai--completion-stream-multiple-choices-0-00f606",
            "openai-chat--openai--completion-stream-multiple-choices-exclude-usage-0-d341c9",
            "openai-chat--openai--completion-stream-multiple-choices-with-tools-0-b7fb44",
        ),
    ),
    Known(
        "answer",
        "constructed: an answer without choices, which is reported as an error",
        ("anthropic", "openai-responses", "gemini"),
        ("openai-chat--other--test-invalid-response-0-829e19",),
    ),
    Known(
        "answer",
        "max_tokens cut off the arguments of a call; the part that was written arrives",
        ("anthropic", "openai-chat"),
        ("openai-responses--openai--handles-refusal-for-stream-0-fe0d10",),
    ),
    Known(
        "answer",
        "no answer yet: queued in the background",
        ("anthropic", "openai-chat", "gemini"),
        (
            "openai-responses--openai--test-background-mode-with-tool-vcr-0-1488d8",
            "openai-responses--openai--test-background-mode-with-tool-vcr-2-a9462e",
        ),
    ),
    Known(
        "answer",
        "a call of a custom tool; OpenAI's types lack such a call in a stream, although its service sends them",
        ("openai-chat",),
        ("openai-responses--openai--fx-openai-custom-tool-1-stream-1ba877",),
    ),
    Known(
        "answer",
        "the model called an undeclared tool, which is reported as an error",
        ("anthropic", "openai-chat", "openai-responses"),
        ("gemini-generateContent--vertex--test-multimodal-tool-return-matrix-direct-binary-0-69f1b2",),
    ),
    Known(
        "pass-through",
        "constructed: an answer without choices, which is reported as an error",
        ("openai-chat",),
        ("openai-chat--other--test-invalid-response-0-829e19",),
    ),
    Known(
        "pass-through",
        "constructed: a second answer starts inside the first, which is reported as an error",
        ("anthropic",),
        (
            "anthropic-messages--anthropic--fx-duplicate-message-start-stream-e823a3",
            "anthropic-messages--anthropic--fx-spliced-message-start-stream-dae623",
        ),
    ),
    Known(
        "pass-through",
        "constructed: another answer follows the end of the first, and does not pass",
        ("anthropic",),
        (
            "anthropic-messages--anthropic--fx-anthropic-programmatic-tool-calling-1-stream-221f85",
            "anthropic-messages--anthropic--fx-anthropic-tool-search-deferred-bm25-stream-376a5e",
            "anthropic-messages--anthropic--fx-anthropic-tool-search-deferred-regex-stream-233951",
        ),
    ),
    Known(
        "pass-through",
        "constructed: another answer follows the end of the first, and does not pass",
        ("openai-responses",),
        (
            "openai-responses--openai--fx-openai-reasoning-encrypted-content-1-stream-62a8c8",
            "openai-responses--openai--fx-openai-shell-tool-1-stream-ec248f",
        ),
    ),
    Known(
        "pass-through",
        "the service leaves the last event out, which is added",
        ("openai-chat",),
        (
            "openai-chat--huggingface--test-huggingface-data-extraction-3-75c0fe",
            "openai-chat--huggingface--test-huggingface-respects-turns-interface-0-dbe71b",
            "openai-chat--huggingface--test-huggingface-respects-turns-interface-2-04bb9d",
            "openai-chat--huggingface--test-huggingface-tools-async-0-22e6cc",
        ),
    ),
    Known(
        "pass-through",
        "the service sends an error after the finish reason, which does not pass",
        ("openai-chat",),
        ("openai-chat--openrouter--test-openrouter-stream-error-0-d46e6c",),
    ),
    Known(
        "pass-through",
        "the service sends an error after some text, which is reported once no other target can finish it",
        ("openai-chat",),
        ("openai-chat--groq--test-tool-use-failed-error-streaming-with-text-0-9e866a",),
    ),
    Known(
        "pass-through",
        "the service sends the usage unasked, which bm takes out as if it had been the one to ask",
        ("openai-chat",),
        ("openai-chat--huggingface--test-cancel-recorded-provider-stream-huggingface-1-e23d53",),
    ),
    Known(
        "pass-through",
        "the model does not accept audio, and bm says so before the service does",
        ("openai-chat",),
        ("openai-chat--openai--test-multimodal-tool-return-matrix-tool-return-c-2-30b962",),
    ),
    Known(
        "pass-through",
        "the service refuses the file in a tool result, and bm asks again with a note in its place",
        ("openai-responses",),
        ("openai-responses--openai--test-multimodal-tool-return-matrix-direct-url-au-1-ddab34",),
    ),
    Known(
        "pass-through",
        "the model called an undeclared tool, which is reported as an error",
        ("gemini",),
        ("gemini-generateContent--vertex--test-multimodal-tool-return-matrix-direct-binary-0-69f1b2",),
    ),
)
