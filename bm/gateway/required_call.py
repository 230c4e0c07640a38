"""Asks a model once more for the tool call that the client requires, where it could not be forced to make one."""

from __future__ import annotations

from bm.accounts.account import Access
from bm.chat.repair import with_retry_hint
from bm.dispatch.failover import Attempt
from bm.dispatch.outcome import AccountEffect, Outcome
from bm.errors import Failure
from bm.gateway.adapter import Adapter
from bm.gateway.call import json_object
from bm.gateway.upstream_call import UpstreamCall
from bm.protocols.passthrough import Watch
from bm.protocols.words import CHOICES
from bm.providers.provider import Provider
from bm.remedies.tools import forces_call


class RequiredCall:
    """The tool call that one exchange requires. `answer` is what the model has said instead of making it."""

    def __init__(self, adapter: Adapter, max_attempts: int) -> None:
        self._adapter, self._max_attempts = adapter, max_attempts
        self.answer: str | None = None

    def awaited(self, upstream: UpstreamCall, attempt: Attempt) -> bool:
        """Whether the model may be asked again, once, if its answer to this request holds no call."""
        call = self._adapter.call
        if call.operation != "generate" or CHOICES.isdisjoint(call.words):
            return False
        if self.answer is not None or attempt.number >= self._max_attempts or not self._adapter.readable:
            return False
        chat = self._adapter.chat
        required = chat.tool_choice.mode == "required" and bool(chat.tools)
        return required and not forces_call(json_object(upstream.request.body), upstream.target.protocol)

    def missed(self, watch: Watch) -> Outcome:
        """The outcome of an answer without the call, of which the client has received nothing."""
        self.answer = "".join(watch.said or ())
        message = "the model has called no tool, although the client requires a call"
        failure = Failure(kind="malformed", message=message)
        return Outcome(failure=failure, account=AccountEffect("answered"), request="ask")

    def ask(self, attempt: Attempt, provider: Provider, access: Access) -> UpstreamCall:
        """The request with the answer and the question for the call.

        Raises:
            Unable: the target cannot serve it.
            RequestError: `strict` refuses what would be lost.
        """
        chat = with_retry_hint(self._adapter.chat, self.answer)
        return self._adapter.translate(chat, attempt, provider, access)
