"""What a call's key allows: checked before the call is planned, settled when it has ended."""

from __future__ import annotations

import time
from contextlib import suppress

from bm.chat.estimate import estimate
from bm.errors import Failure, RequestError
from bm.gateway.adapter import Adapter
from bm.gateway.record import Record
from bm.gateway.services import Services
from bm.gateway.settings import Settings
from bm.keys.key import MAIN, Key
from bm.names import FITTED

_BYTES_PER_TOKEN = 4

_RETRIED = 60
"""Seconds that clients wait at most before they try again by themselves: the official SDKs' limit."""


class Allowance:
    """One call against the limits of its key. Costs next to nothing where the key has none."""

    def __init__(self, services: Services, settings: Settings, adapter: Adapter, record: Record) -> None:
        self._services, self._adapter, self._record = services, adapter, record
        self._key = settings.keys.named(record.key)
        self._providers = settings.providers
        self._taken = 0

    def check(self) -> None:
        """Refuse what the key does not allow, and take what it is limited to.

        Raises:
            RequestError: the key was revoked meanwhile, the model is not one of its own, or it is at a rate limit.
        """
        key = self._key
        if key is MAIN:
            return
        if key is None:
            message = f"the key {self._record.key} is revoked"
            raise RequestError(Failure(kind="unauthorized", message=message, should_retry=False))
        if not key.names(self._record.model):
            raise RequestError(_foreign_model(key, self._record.model))
        if key.rpm or key.tpm:
            self._take(key)

    def _take(self, key: Key) -> None:
        """Take the request, and the tokens of its prompt as far as they can be estimated."""
        tokens = self._prompt_tokens() if key.tpm else 0
        seconds = self._services.buckets.admit(key, tokens, time.monotonic())
        if seconds:
            limits = [f"{key.rpm:,} requests" if key.rpm else "", f"{key.tpm:,} tokens" if key.tpm else ""]
            text = f"the key {key.name} is limited to {' and '.join(filter(None, limits))} per minute"
            message = f"{text}: try again in {seconds} s"
            retried = seconds <= _RETRIED
            failure = Failure(kind="rate_limited", message=message, retry_after=seconds, should_retry=retried)
            raise RequestError(failure)
        self._taken = tokens

    def _prompt_tokens(self) -> int:
        """The tokens of the prompt; the provider refuses a body that bm cannot read."""
        call = self._adapter.call
        if call.operation in FITTED:
            with suppress(RequestError):
                return estimate(self._adapter.chat)
        return len(call.body) // _BYTES_PER_TOKEN

    def barred(self) -> dict[str, str]:
        """The providers that the call may not go to, and why."""
        key = self._key
        if key is None or not key.providers:
            return {}
        reason = f"the key {key.name} may use {', '.join(key.providers)} only"
        return {name: reason for name in self._providers if not key.uses(name)}

    def settle(self) -> None:
        """The call has ended, and its record says what it has used."""
        if self._key is not None and self._key.tpm:
            usage = self._record.usage
            used = usage.prompt + usage.output if usage is not None else 0
            self._services.buckets.settle(self._key, used - self._taken, time.monotonic())


def _foreign_model(key: Key, model: str) -> Failure:
    """The API's own answer where a key has no access to a model, so that clients know it."""
    message = (
        f"the key {key.name} may not use {model}, but {', '.join(key.models)}; "
        f"whoever runs bm can change that: bm keys change {key.name} --models …"
    )
    return Failure(kind="not_found", message=message, param="model", should_retry=False)
