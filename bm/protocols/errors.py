"""Turn an upstream's error into a `Failure`, whether it is a response of its own or an event inside a stream.

Statuses and words have one table for all services and protocols. A body that is not an error of the API (a web page, a
proxy's block page, a captive portal) says nothing about a key, nor about the request.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import msgspec

from bm.chat.parts import Json
from bm.errors import Failure, FailureKind
from bm.protocols import limits
from bm.protocols.context_length import is_about_answer
from bm.protocols.reading import json_of, object_of, objects_of, string_of
from bm.surrogates import without_halves

NOT_IN_TIER = "not_in_tier"
"""The `code` of a failure that says the model is outside the account's tier, for good."""

_STATUSES: dict[int, FailureKind] = {
    401: "upstream_auth",
    402: "billing",
    403: "permission",
    404: "not_found",
    405: "method",
    407: "blocked",
    408: "timeout",
    409: "server",  # a conflict with another request, which passes
    410: "not_found",
    413: "too_large",
    414: "too_large",
    425: "server",  # too early: it may be sent again
    429: "rate_limited",
    498: "overloaded",  # Groq: flex tier at capacity
    499: "timeout",  # Google: cancelled
    502: "overloaded",
    503: "overloaded",
    504: "timeout",
    522: "timeout",  # Cloudflare
    524: "timeout",  # Cloudflare
    **dict.fromkeys((520, 521, 523, 525, 526, 527, 528, 529, 530), "overloaded"),
}
"""Any other status is `blocked` from 300 to 399 (a redirect), `bad_request` from 400 to 499, and `server` otherwise."""

_OF_REQUEST_ALONE = frozenset({400, 404, 405, 408, 410, 413, 414, 415, 422, 429, 498, 499})
"""Statuses that APIs also send without an error of theirs. Any other of 400 to 499 is then a proxy's."""
_OF_ANY_SERVER = frozenset({408, 413, 414, 429})
"""Statuses that mean the same where a web page comes with them."""

_STATUS_OF_WORD: dict[str, int] = {
    word: status
    for status, words in {
        400: ("invalid_request_error", "badrequesterror", "invalid_argument", "failed_precondition", "out_of_range"),
        401: ("authentication_error", "unauthenticated"),
        403: ("permission_error", "permission_denied"),
        404: ("not_found_error", "notfounderror", "not_found", "model_not_found"),
        409: ("aborted",),
        429: ("rate_limit_error", "rate_limit_exceeded", "rate_limit", "tokens", "requests", "resource_exhausted"),
        499: ("cancelled",),
        500: ("server_error", "internal_server_error", "internal_error", "api_error", "internal", "unknown"),
        503: ("overloaded_error", "service_unavailable", "unavailable"),
        504: ("timeout_error", "deadline_exceeded"),
    }.items()
    for word in words
}
"""The status that an error inside a stream would have had. It also makes the unspecific status 400 exact."""


class Row(msgspec.Struct, frozen=True):
    """What words (codes, types or reasons, in lower case) or a wording mean when one of `services` uses them.

    The row is limited to the statuses `at`, when there are any. `code` replaces the service's own code.
    """

    kind: FailureKind
    services: str
    words: str = ""
    wording: str = ""
    at: tuple[int, ...] = ()
    code: str = ""

    def fits(self, status: int, words: Collection[str], text: str) -> bool:
        """Whether the row applies to an error with these words and this text."""
        if self.at and status not in self.at:
            return False
        said = self.wording and re.search(self.wording, text, re.I)
        return bool(said) or not set(self.words.split()).isdisjoint(words)


_TOO_LONG = (
    r"context[ _-]?(?:length|window|size|limit)|maximum context|too many (?:prompt_)?tokens"
    r"|exceeds? the (?:model'?s )?(?:maximum |max )?(?:context|input|prompt)"
    r"|(?:prompt|input) (?:is )?too long|total length of all messages is too long"
    r"|input length (?:of )?\d+ exceeds the maximum"
    r"|reduce the length of the (?:messages|input)|token count.{0,40}exceeds the maximum"
)
"""The wordings of Anthropic, OpenAI, OpenRouter, DeepSeek, Groq, Mistral, Perplexity, Ollama, vLLM and Google."""
_RETIRED = (
    r"model\b.{0,120}(?:has been|is|was) (?:retired|decommissioned|removed|shut ?down)"
    r"|model\b.{0,120}has been deprecated"
    r"|model\b.{0,120}no longer (?:available|supported|exists)"
)
"""How Groq, OpenAI, Google and Together say that a model is gone."""
_NO_MODEL = (
    r"(?:unknown|invalid|no such) model(?: id)?(?:\s*[:,.'\"`]|$| [a-z]+\S*\d)|model not exist|模型不存在"
    r"|not a valid model id|model identifier is invalid|model\b[^,;]{0,80}(?:does not exist|not found, make sure)"
    r"|unable to access (?:non-serverless )?model|requested model (?:\S+ )?is not supported"
    r"|with on-demand throughput"
)
"""How services say with status 400 that they have no such model.

Z.AI: JailbrokenAI/wallbreaker#20 (2026-07-20); OpenRouter: OpenRouterTeam/openrouter-examples#74 (2026-05-06).
"""
_NO_TOOLS = (
    r"does not support tools\W*$|endpoints found that support tool use|tool calling is not supported"
    r"|function calling is not enabled"
)
_NO_BILLING = r"enable billing|billing (?:is )?(?:disabled|not enabled)|billing account"
_BAD_KEY = r"api[ _]key (?:not valid|expired|not found)|reported as leaked|(?:invalid|incorrect) api key"
_REGION = (
    r"(?:location|country|region|territory) (?:is |are )?not (?:supported|available)"
    r"|not (?:supported|available) in your (?:location|country|region)"
)
_CONTENT = r"content polic|usage (?:guidelines|polic)|content violates|moderation|flagged|safety_check"
"""How services refuse the content of one request."""
_DAILY = r"per[ _-]?day|\((?:TPD|RPD|ASPD)\)|\bdaily\b"
_LONGER = (
    r"\b(?:week|month)ly[\w /-]{0,20}\b(?:limit|cap|quota|allowance)|\bAPI calls / month"
    r"|usage limit for this billing cycle"
)
"""A limit of weeks or months, which is asked for once a day.

Ollama: perminder-klair/subwave#440 (2026-06-18); Kimi: kimi.com/code/docs/en/kimi-code/error-reference.html.
"""
_KEY_LIMIT = r"key limit exceeded \((?:dai|week|month)ly limit\)"
"""The spending limit of a key, which its owner has set, returns by itself: gptme/gptme#1449 (2026-02-23)."""
_NO_CREDIT = (
    r"credits are depleted|used all available credits|insufficient (?:account )?balance|balance is insufficient"
    r"|overdue balance|credit limit is insufficient|key limit exceeded"
    r"|account\b.{0,80}\bis suspended\b.{0,80}(?:spending|billing)"
)
"""No credit by words alone.

With 429: Google, dyad-sh/dyad#3626 (2026-06-10); xAI, continuedev/continue#10373 (2026-02-09); Z.AI,
experientiallabs/experiential#958 (2026-09-15); Moonshot, forum.moonshot.ai/t/429-insufficient-balance/244.
With 412: Fireworks, pollinations/pollinations#12136 (2026-07-01).
"""
_THROTTLED = r"allocated quota exceeded|exceeded your current quota\b.{0,120}(?:aliyun|alibabacloud)"
"""Alibaba's limit of tokens per minute, with OpenAI's code for no credit: help.aliyun.com/en/model-studio/rate-limit"""
_RESTRICTED = r"organization has been (?:disabled|restricted)|make sure your account is in good standing"
"""An account that was closed, with 400: anthropics/claude-code#72457 (2026-06-30), songquanpeng/one-api#1764
(2024-08-24), tencentmusic/supersonic#1572 (2024-08-16)."""

_ROWS: tuple[Row, ...] = (
    # Groq refuses a malformed call of its own model. The request is sound.
    Row("malformed", "Groq", "tool_use_failed"),
    Row("quota_exhausted", "Anthropic", wording=r"specified (?:api )?usage limits|regain access"),
    # The request asks for more than the credit pays; a smaller one is served.
    Row("declined", "OpenRouter", wording=r"can only afford [1-9]|fewer max_tokens(?!.*afford 0\b)", at=(402, 403)),
    Row("quota_exhausted", "OpenRouter", wording=_KEY_LIMIT, at=(402, 403)),
    # Each model has a free quota of its own, and it does not return: axoviq-ai/synthadoc#215 (2026-07-21).
    Row("quota_exhausted", "Alibaba", "allocationquota.freetieronly", at=(400, 403, 429), code=NOT_IN_TIER),
    Row("rate_limited", "Alibaba", wording=_THROTTLED, at=(429,)),
    # Another service or a larger plan may take it: openclaw/openclaw#147644, anthropics/claude-code#44863.
    Row("declined", "Groq, OpenAI", wording=r"request too large for .{0,160}\btokens per min", at=(413, 429)),
    Row("declined", "Anthropic", wording=r"required for long context", at=(429,)),
    Row("billing", "Google, xAI, Z.AI, Moonshot, Fireworks", wording=_NO_CREDIT, at=(403, 412, 429)),
    Row("billing", "OpenAI", "insufficient_quota billing_hard_limit_reached billing_not_active"),
    Row("billing", "DeepSeek", "insufficient_balance payment_required"),
    Row("billing", "Anthropic", "billing_error", wording=r"credit balance is too low|purchase credits"),
    Row("billing", "Google", "billing_disabled billing_not_enabled"),
    Row("billing", "Google", wording=_NO_BILLING, at=(400, 403)),
    Row("upstream_auth", "OpenAI", "invalid_api_key account_deactivated invalid_authentication token_expired"),
    Row("upstream_auth", "Anthropic", "authentication_error"),
    Row("upstream_auth", "Google", "api_key_invalid api_key_expired access_token_expired credentials_missing"),
    Row("upstream_auth", "Google, xAI", wording=_BAD_KEY, at=(400, 403)),
    Row("permission", "Anthropic, Groq, Alibaba", "organization_restricted arrearage", _RESTRICTED, at=(400,)),
    # The region is that of the network, whatever the account. Anthropic's: anthropics/claude-code#30318.
    Row("blocked", "Anthropic", wording=r"^request not allowed$", at=(403,)),
    Row("blocked", "OpenAI", "unsupported_country_region_territory"),
    Row("blocked", "Google, OpenAI, Anthropic", wording=_REGION, at=(400, 403, 451)),
    Row("context_too_long", "OpenAI", "context_length_exceeded too_many_prompt_tokens"),
    Row("context_too_long", "all", wording=_TOO_LONG, at=(400, 413, 422)),
    Row("too_large", "Google", wording=r"request payload size exceeds", at=(400, 403)),
    Row("too_large", "Anthropic", "request_too_large"),
    Row("not_found", "OpenAI", "model_not_found", at=(400, 403, 404)),
    Row("not_found", "Groq, Together", "model_decommissioned model_not_available", at=(400, 403, 404)),
    Row("not_found", "all", wording=_RETIRED, at=(400, 403, 410)),
    Row("not_found", "Z.AI, OpenRouter, DeepSeek, Mistral, Bedrock", wording=_NO_MODEL, at=(400, 422)),
    # A model without tools, or a route to none with them: NousResearch/hermes-agent#58451 (2026-07-04).
    Row("declined", "Ollama, OpenRouter, Perplexity, Google", wording=_NO_TOOLS, at=(400, 404)),
    # Metadata of a moderation, which is about the content of one request and not about the account.
    Row("declined", "OpenRouter", "flagged_input reasons", at=(403,)),
    Row("declined", "xAI, OpenRouter, OpenAI", "content_policy_violation content_filter", _CONTENT, at=(403,)),
    Row("bad_request", "OpenAI", "invalid_prompt bio_policy misalignment_policy_violation data_residency_mismatch"),
    Row("quota_exhausted", "Google", wording=r"limit:\s*0(?![\d.])", at=(429,), code=NOT_IN_TIER),
    Row("quota_exhausted", "Google, OpenAI, Groq", wording=_DAILY, at=(429,)),
    Row("quota_exhausted", "Ollama, Google, Cohere, Kimi", wording=_LONGER, at=(403, 429)),
    # Alishahryar1/free-claude-code#1012 (2026-07-07)
    Row("overloaded", "NVIDIA", wording=r"degraded function cannot be invoked", at=(400,)),
    Row("overloaded", "Anthropic, OpenAI", "overloaded_error slow_down server_is_overloaded"),
    Row("timeout", "OpenAI", "vector_store_timeout"),
)
"""What errors say beyond their status. The first row that fits counts."""

_OF_REQUEST: frozenset[FailureKind] = frozenset({"context_too_long", "too_large", "malformed"})
"""What a service behind a gateway may say of a request; its words about keys and credit are not about bm's account."""
_PASSING: frozenset[FailureKind] = frozenset({"rate_limited", "quota_exhausted", "overloaded"})
_PLACE = re.compile(r"([a-z_]+(?:\.[A-Za-z0-9_]+)*): ")
_ABOUT_ACCOUNT = re.compile(
    r"key|token|credential|permission|authori[sz]|credit|balance|billing|model|safety|content|usage", re.I
)
"""What only a service speaks of, in whatever shape."""
_TITLE = re.compile(r"<title>([^<]+)</title>", re.I)
_MARKUP = re.compile(r"<(script|style)\b.*?</\1>|<[^>]*>", re.I | re.S)
_MAX_TEXT = 300
_MAX_MESSAGE = 8_000
"""Characters of an error's text; what is longer repeats the prompt."""
_MAX_QUOTE = 1000
TEXTS = ("message", "detail", "msg", "error_msg", "error_message", "errors")
"""What services call the text of an error."""


def decode_error(status: int, headers: Mapping[str, str], body: bytes) -> Failure:
    """Read an error response. `headers` have lower-case names.

    `upstream_body` is empty when the body is not the API's, because a client could not read it.
    """
    document = json_of(without_halves(body))
    error = error_in(document)
    if error is not None and not _is_of_api(status, document):
        error = None
    if error is None:
        kind = _kind_of_page(status, headers, body)
        failure = Failure(kind=kind, message=f"the upstream answered {_of_page(kind, status, body)}")
    else:
        failure = _failure(error, status, f"the upstream answered {status} and gave no reason")
    wait = None if _is_daily_at_google(failure, error) else limits.delay_in_headers(headers)
    return msgspec.structs.replace(
        failure,
        retry_after=failure.retry_after if wait is None else wait,
        should_retry=limits.should_retry(headers),
        param=failure.param or _place(failure, document),
        upstream_status=status,
        upstream_body=b"" if error is None else body,
    )


def in_band(document: Any) -> Failure:
    """Read an error that came inside a stream, or as a response with status 200."""
    error = error_in(document) or {}
    values = (error.get(name) for name in ("status_code", "code", "status"))
    status = next((found for value in values if (found := _number(value))), 0) or _status_of(_words(error))
    failure = _failure(error, status or 500, "the upstream reported an error and gave no reason")
    return msgspec.structs.replace(failure, upstream_status=status)


def error_in(document: Any) -> Json | None:
    """The error object of a document; None when it has none.

    The shapes are `error` of OpenAI, Anthropic and Google, alone or in a list; `error` as a string (Ollama, xAI); flat
    members (Mistral, vLLM); and a text under another name.
    """
    if isinstance(document, list):
        document = document[0] if document else None
    if not isinstance(document, dict):
        return None
    match document.get("error"):
        case dict(error):
            return _with_message(error)
        case str(text):
            return {**document, "message": document.get("message") or text}
    found = _with_message(document)
    return found if found.keys() & {"message", "code", "type"} else None


def _with_message(error: Json) -> Json:
    said = "" if "message" in error else next(filter(error.get, TEXTS), "")
    return {**error, "message": error[said]} if said else error


def _failure(error: Json, status: int, unexplained: str) -> Failure:
    words, details, quoted = _words(error), error.get("details"), _quoted(error)
    if status == 400 and 400 < (named := _status_of(words)) < 500:
        status = named
    try:
        own, behind = (_message(each.get("message"))[:_MAX_MESSAGE] for each in (error, quoted))
    except RecursionError:
        own = behind = ""
    text = "\n".join((own, *_quotas(details)))[:_MAX_MESSAGE]
    row = _row_for(status, [*words, *_reasons(error)], text)
    if row is None and (found := _row_for(status, _words(quoted), behind)) is not None and found.kind in _OF_REQUEST:
        row = found
    message = ": ".join(dict.fromkeys(filter(None, (own, behind))))
    kind = row.kind if row is not None else _kind_of(status)
    if kind == "context_too_long" and is_about_answer(message):
        kind = "bad_request"
    code = next(iter((*words, *_words(quoted))), "")
    failure = Failure(
        kind=kind,
        message=message or code or unexplained,
        code=row.code if row is not None and row.code else code,
        param=string_of(error.get("param")) or string_of(quoted.get("param")) or _located(details),
    )
    if kind not in _PASSING or _is_daily_at_google(failure, error):
        return failure
    wait = limits.delay_in_details(details)
    return msgspec.structs.replace(failure, retry_after=limits.delay_in_text(message) if wait is None else wait)


def _row_for(status: int, words: Iterable[str], text: str) -> Row | None:
    lower = [word.lower() for word in words]
    return next((row for row in _ROWS if row.fits(status, lower, text)), None)


def _quoted(error: Json) -> Json:
    """The error of the service behind a gateway, where the gateway's own error quotes it (OpenRouter)."""
    raw = object_of(error.get("metadata")).get("raw")
    inner = error_in(json_of(raw) if isinstance(raw, str) else raw)
    return inner if inner is not None else {"message": string_of(raw)[:_MAX_QUOTE]}


def _kind_of(status: int) -> FailureKind:
    if 300 <= status < 400:
        return "blocked"
    return _STATUSES.get(status) or ("bad_request" if 400 <= status < 500 else "server")


def _kind_of_page(status: int, headers: Mapping[str, str], body: bytes) -> FailureKind:
    """The kind of a response whose body is no error of the API."""
    html = "html" in headers.get("content-type", "") or body[:512].lstrip()[:1] == b"<"
    known = _OF_ANY_SERVER if html else _OF_REQUEST_ALONE
    return "blocked" if 300 <= status < 500 and status not in known else _kind_of(status)


def _is_of_api(status: int, document: Any) -> bool:
    """Whether an error is the API's. Many proxies also refuse with 403 and a bare message."""
    if status not in (402, 403) or not isinstance(document, dict) or isinstance(document.get("error"), dict):
        return True
    return _ABOUT_ACCOUNT.search(str(document)) is not None


def _is_daily_at_google(failure: Failure, error: Json | None) -> bool:
    """Whether this is a daily quota of Google's. It returns at the daily reset, whatever delay the error names."""
    return failure.kind == "quota_exhausted" and bool(error and string_of(error.get("status")))


def _number(value: Any) -> int:
    """The HTTP status in a member, which some services write as a string of digits; 0 for anything else."""
    if isinstance(value, str) and value.isdecimal():
        value = int(value[:9])
    return value if isinstance(value, int) and 400 <= value <= 599 else 0


def _located(details: Any) -> str:
    """The place of the first fault in a list of them (Azure's Mistral)."""
    steps: list[Any] = next((row["loc"] for row in objects_of(details) if isinstance(row.get("loc"), list)), [])
    return ".".join(str(step) for step in steps)


def _words(error: Json) -> list[str]:
    """The code of an error, its type and its status word, the most exact first."""
    named = (
        object_of(error.get("details")).get("error_code"),
        error.get("code"),
        error.get("type"),
        error.get("status"),
    )
    return [word for word in map(string_of, named) if word not in ("", "error") and not word.isdecimal()]


def _status_of(words: Collection[str]) -> int:
    return next((_STATUS_OF_WORD[word.lower()] for word in words if word.lower() in _STATUS_OF_WORD), 0)


def _reasons(error: Json) -> list[str]:
    """The reasons in Google's details, and the names of OpenRouter's metadata."""
    return [
        *(string_of(row.get("reason")) for row in objects_of(error.get("details"))),
        *object_of(error.get("metadata")),
    ]


def _quotas(details: Any) -> list[str]:
    """The names of the quotas that Google reports as used up, and that one is 0 (tech-shrimp/gemini-playground#10)."""
    about = [object_of(row.get("metadata")) for row in objects_of(details)]
    named = [string_of(row.get("quota_limit")) for row in about]
    none = ["limit: 0" for row in about if row.get("quota_limit_value") == "0"]
    return [*named, *map(limits.quota_of, limits.quota_violations(details)), *none]


def _message(value: Any) -> str:
    """An error's text. Mistral and FastAPI send a list of faults with their places."""
    match value:
        case str():
            return value
        case {"detail": detail}:
            return _message(detail)
        case list():
            return "; ".join(filter(None, (_message(fault) for fault in value)))
        case {"message": str(text)}:
            return text
        case {"msg": str(text), "loc": list(steps)}:
            return f"{'.'.join(str(step) for step in steps)}: {text}"
        case None:
            return ""
        case _:
            return msgspec.json.encode(value).decode()


def _place(failure: Failure, document: Any) -> str:
    """The place at fault, with which Anthropic's message begins: `tools.0.name: …`."""
    if failure.kind != "bad_request" or object_of(document).get("type") != "error":
        return ""
    found = _PLACE.match(failure.message)
    return found.group(1) if found else ""


def _of_page(kind: FailureKind, status: int, body: bytes) -> str:
    """The status and the words of a body that is not the API's: the title of a page, or its text."""
    text = body[:4096].decode("utf-8", "replace").strip()
    if text.startswith("<") or "<html" in text.lower():
        title = _TITLE.search(text)
        text = title.group(1) if title is not None else _MARKUP.sub(" ", text)
    text = " ".join(text.split())[:_MAX_TEXT]
    said = f"{status} with a page that is not the API's" if kind == "blocked" else str(status)
    return f"{said}: {text}" if text else said
