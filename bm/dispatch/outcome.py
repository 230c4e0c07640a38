"""The outcome of one attempt, and what it means for the account and for the request."""

from __future__ import annotations

from typing import Literal

import msgspec

from bm.errors import Failure

EffectKind = Literal[
    "none",
    "answered",  # the account works: health recovers, a half-open circuit closes
    "cooldown",  # the model cools down for `seconds`
    "backoff",  # the model cools down briefly, longer each time, counted once a burst
    "proactive",  # the model cools down for `seconds`: its limit is used up, although nothing was refused yet
    "daily",  # the model cools down until the daily reset; `seconds` is what the upstream said, if anything
    "excluded",  # the account does not have this model
    "disabled",  # the account is disabled until it is verified or enabled again
    "fault",  # counts against the account's health
    "overload",  # the model cools down briefly (`seconds` if given); repetition opens its circuit
]

RequestEffect = Literal[
    "done",
    "next",  # go to the next target
    "silent",  # go to the next target, and never back to this one
    "retry",  # try the same target once more, shortly
    "resume",  # continue a cut response on another target, or once more on this one if there is no other
    "larger",  # go to a target with a larger context
    "heal",  # try the same target once more with a changed request
    "ask",  # ask the same target once more for the tool call that it has left out
    "again",  # ask the same target once more, since it has answered with nothing
    "return",  # return the failure to the client
]


class AccountEffect(msgspec.Struct, frozen=True):
    """What an attempt means for its account and model."""

    kind: EffectKind = "none"
    seconds: float | None = None
    reason: str = ""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of an attempt; `failure` is None once the response has started.

    The caller adds what only it knows: `cooldown`, the seconds until the target may be asked again; `answers_others`,
    whether the account has answered a request for the model that was sent after this one, although the refusal names no
    limit as used up; `worked_lately`, whether it had answered one within minutes before; `sent`, whether there was a
    call at all; `remedy`, what the request is changed by, in words; `elapsed`, the seconds the attempt took after
    its wait.
    """

    failure: Failure | None = None
    account: AccountEffect = AccountEffect()
    request: RequestEffect = "done"
    cooldown: float | None = None
    answers_others: bool = False
    worked_lately: bool = False
    sent: bool = True
    remedy: str = ""
    elapsed: float = 0.0
