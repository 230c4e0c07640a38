"""The simulator is no stricter than the services: what they took, it takes."""

from __future__ import annotations

import pytest

from bm.simulator.app import WIRES
from bm.simulator.faults import Refused
from bm.simulator.request import Request, target
from tests.support.shared import Case, corpus_cases, needs_corpus

pytestmark = [pytest.mark.corpus, needs_corpus]

KINDS = (
    "anthropic.messages",
    "anthropic.count_tokens",
    "openai.chat",
    "openai.responses",
    "openai.embeddings",
    "gemini.generateContent",
    "gemini.streamGenerateContent",
    "gemini.countTokens",
    "gemini.embedContent",
)
FOREIGN = (
    "Invalid `signature`",
    "Invalid `data` in `redacted_thinking`",
    "Corrupted thought signature",
    "could not be verified",
    "Previous response with id",
)
"""Refusals of what another server issued; the simulator cannot know it."""
OTHERWISE = {"anthropic-messages--anthropic--anthropic-completion-tools-call-with-tool-result-0-2fb18a"}
"""An old model's answer to a tool result that names no call; the documentation says that it is refused."""
PREFIXES = {"groq": "/groq/openai", "together": "/together", "openai": ""}


def request_of(case: Case) -> Request | None:
    """A recorded request; None when its path is none of the simulator's."""
    sent = case.request
    headers = {name.lower(): str(value) for name, value in (sent.get("headers") or {}).items()}
    headers = {"anthropic-version": "2023-06-01", "anthropic-beta": "not recorded"} | headers
    wanted = target("POST", sent["path"].partition("?")[0], headers)
    if wanted is None:
        return None
    return Request(
        number=1,
        method="POST",
        path=sent["path"],
        query={},
        headers=headers,
        body=case.request_body,
        api=wanted.api,
        operation=wanted.operation,
        prefix=PREFIXES.get(case.provider, "/other"),
        model=wanted.model or str(case.request_body.get("model") or ""),
        verb=wanted.verb,
        key="k",
        stream=False,
    )


def refusal(request: Request) -> str:
    """Why the simulator refuses it; empty when it does not, or because the model was retired since."""
    try:
        WIRES[request.api].check(request)
    except Refused as refused:
        return "" if refused.trouble.status == 404 else str(refused)
    WIRES[request.api].prompt(request)
    return ""


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_service_took_is_taken(kind: str) -> None:
    cases = [case for case in corpus_cases(kind) if case.kind == "traffic" and case.status < 400]
    asked = {case.id: request_of(case) for case in cases if isinstance(case.request_body, dict)}
    reasons = {name: refusal(request) for name, request in asked.items() if request and name not in OTHERWISE}
    assert len(reasons) > len(cases) * 0.9
    assert {name: why for name, why in reasons.items() if why and not any(words in why for words in FOREIGN)} == {}
