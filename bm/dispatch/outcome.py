"""What came of one attempt, and what it means for the account and for the request."""

from __future__ import annotations

from typing import Literal

import msgspec

from bm.errors import Failure

EffectKind = Literal[
    "none",
    "answered",  # it works: health recovers, a half-open circuit closes
    "cooldown",  # this model rests for `seconds`
    "backoff",  # this model rests briefly, longer each time, counted once a burst
    "paced",  # this model rests for `seconds`: its limit is used up, though nothing was refused yet
    "daily",  # this model rests until the daily reset; `seconds` is what the upstream said, if anything
    "excluded",  # this model is not to be had with this account
    "out_of_use",  # the account rests until it is verified or enabled again
    "strike",  # counts against its health over a window
    "overload",  # this model rests briefly (`seconds` if told); repetition opens its circuit
]

RequestEffect = Literal[
    "done",
    "next",  # on to the next target
    "silent",  # on to the next target, and never back to this one
    "retry",  # once more on the same target, shortly
    "resume",  # on to another target, which goes on with a cut answer; once more to this one if there is no other
    "larger",  # on to a target with a larger context
    "simplify",  # once more on the same target with the simplified tool schema
    "return",  # the client is told at once
]


class AccountEffect(msgspec.Struct, frozen=True):
    """What the pool books for (account, model)."""

    kind: EffectKind = "none"
    seconds: float | None = None
    reason: str = ""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of an attempt; `failure` is None when the answer has begun.

    The caller adds what only it knows: `cooldown`, the seconds the pool has booked for the target; `answers_others`,
    whether the account has answered another request for the model that was sent after this one, although no limit that
    it names was used up; `worked_lately`, whether it had answered one within minutes before; `sent`, whether there was
    a call at all; `elapsed`, the seconds the attempt took after its wait.
    """

    failure: Failure | None = None
    account: AccountEffect = AccountEffect()
    request: RequestEffect = "done"
    cooldown: float | None = None
    answers_others: bool = False
    worked_lately: bool = False
    sent: bool = True
    elapsed: float = 0.0
