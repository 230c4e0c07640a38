"""Sixteen faults of an upstream, how each is played, and what its client must get.

A fault strikes the account that is asked first; another target stands behind it. Two ways to put them up: the *pool*,
where a Gemini account fails and a fallback provider of another protocol helps, and *own*, where both speak the client's
protocol and bytes could pass through.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from bm import sse
from bm.chat.events import Event
from bm.chat.parts import Text
from bm.protocols.codec import IdFactory
from bm.protocols.registry import CODECS
from bm.simulator import Rule
from bm.simulator import Usage as SimulatedUsage
from tests.gateway.world import MODELS, PROTOCOLS, PROTOCOLS_LINE, Answer, World
from tests.support import grammar_anthropic, grammar_gemini, grammar_openai_chat, grammar_openai_responses
from tests.support.folding import ChatResponse, fold

Setting = Literal["pool", "own"]
PATIENCE = 0.6
"""Seconds of silence that bm allows in these tests: before an answer until another target is asked, and inside one."""

TEXT = "".join(f"word{number:02d} " for number in range(60)).strip() + "."
"""What a good answer says, in 60 pieces."""

HELPING_MODEL = "acme-large"
STREAM_USAGE: dict[str, Any] = {"stream_options": {"include_usage": True}}
USAGE = SimulatedUsage(input=111, output=222)
"""What a good answer of the helping target takes."""


@dataclass(frozen=True)
class Fault:
    """One fault. `most` calls may go to the account that fails.

    `late` faults strike after the client has received a part of the answer: they are mended where rescue is on, and
    reported in the stream where it is not. `refuses` is how the helping target refuses to continue an answer, if it
    does; `helper` is its model.
    """

    name: str
    rule: Rule
    most: int = 1
    late: bool = False
    settings: tuple[Setting, ...] = ("pool", "own")
    whole: bool = True
    refuses: Rule | None = None
    helper: str = HELPING_MODEL


def _late(name: str, **fields: Any) -> Fault:
    rule = Rule(text=TEXT, chunks=60, **{key: value for key, value in fields.items() if key in Rule.__struct_fields__})
    more = {key: value for key, value in fields.items() if key not in Rule.__struct_fields__}
    return Fault(name, rule, late=True, whole=False, **more)


REFUSAL = Rule(status=400, message="This model does not support assistant message prefill.", times=1)

FAULTS = (
    Fault("429 with a delay", Rule(status=429, retry_info="30s", retry_after=30.0)),
    Fault("429 without a delay", Rule(status=429)),
    Fault("500 once", Rule(status=500), most=2),
    Fault("503 for ever", Rule(status=503, times=None), settings=("pool",)),
    Fault("reset before the head", Rule(reset=True), most=2),
    Fault("silence", Rule(silent=True)),
    Fault("slow first token", Rule(first_token_delay=20.0, text=TEXT, usage=USAGE), whole=False),
    _late("cut after 40 of 60 tokens", cut_after=40),
    _late("stall after 40 of 60 tokens", stall_after=40),
    _late("malformed chunk after 40 of 60 tokens", malformed_after=40),
    _late("no [DONE]", no_done=True),
    Fault("context too long", Rule(error="context_too_long"), settings=("pool",)),
    Fault("content filter", Rule(text="", finish="content_filter")),
    _late(
        "cut, the fallback rejects prefill",
        cut_after=40,
        settings=("pool",),
        refuses=REFUSAL,
        helper="claude-haiku-4-5",
    ),
    Fault("down, then healthy", Rule(status=503), settings=("pool",)),
    Fault("accounting of a failover", Rule(status=500, times=None), most=2, settings=("pool",)),
)


@dataclass
class Case:
    """One fault, met by a client of one protocol."""

    fault: Fault
    protocol: str
    setting: Setting = "pool"
    stream: bool = True
    rescue: bool = True

    def __str__(self) -> str:
        words = [self.fault.name, self.protocol, self.setting, "stream" if self.stream else "whole"]
        return ", ".join([*words, *([] if self.rescue else ["no rescue"])])


@dataclass
class Outcome:
    """What came of a case: the calls in all and to the failing target, and what is not as it must be."""

    case: Case
    answer: Answer
    attempts: int
    struck: int
    faults: list[str] = field(default_factory=list)

    def check(self, holds: bool, otherwise: str) -> None:
        """Note what is wrong."""
        if not holds:
            self.faults.append(otherwise)

    def grammar(self, answer: Answer) -> None:
        """Note a departure from the grammar of the client's protocol."""
        try:
            GRAMMARS[answer.protocol](answer.body)
        except AssertionError as error:
            self.faults.append(f"grammar: {error}")


SHORT = f"[timeouts]\nhedge = {PATIENCE}\nwhole = {4 * PATIENCE}\nidle = {PATIENCE}\n"


def put_up(world: World, case: Case, timeouts: str) -> str:
    """Set the world up for a case. Gives the provider that helps."""
    rescue = "" if case.rescue else "rescue = false\n"
    more = f"{rescue}{timeouts}"
    models = ", ".join(f'"{name}" = "{case.fault.helper}"' for name in ("default", *sorted(set(MODELS.values()))))
    table = f"{PROTOCOLS_LINE}\nmodels = {{ {models} }}\nprotocol = "
    if case.setting == "pool":
        world.set_up(1, {"acme": "fallback"}, pool=more, tables={"acme": f'{table}"anthropic"'})
    elif case.protocol == "gemini":
        world.set_up(2, {}, pool=more)
    else:
        world.set_up(0, {"acme": "exclusive"}, pool=more, keys=2, tables={"acme": f'{table}"{case.protocol}"'})
    return "gemini" if case.setting == "own" and case.protocol == "gemini" else "acme"


def play(world: World, case: Case, timeouts: str = SHORT) -> Outcome:
    """Meet a fault. The first call meets it; in a pool of one all calls to that account do, as often as it says."""
    fault, helper = case.fault, put_up(world, case, timeouts)
    struck = msgspec.structs.replace(fault.rule, account=world.pool[0]) if case.setting == "pool" else fault.rule
    refusal = [fault.refuses] if fault.refuses else []
    world.sim.script(struck, *refusal, Rule(text=TEXT, usage=USAGE, times=None))
    with_usage = case.protocol == "openai-chat" and case.stream
    answer = world.ask(case.protocol, stream=case.stream, **(STREAM_USAGE if with_usage else {}))
    calls = world.calls()
    outcome = Outcome(case, answer, len(calls), sum(call.account == calls[0].account for call in calls))
    # A late fault that comes in one piece with the first content is met before the client has a byte of the answer. A
    # target that is the only one is then asked once more, which the head of the answer says.
    unseen = case.setting == "own" and fault.late and answer.complete and answer.bm("attempts") == "2"
    most = 2 if unseen else fault.most
    outcome.check(outcome.struck <= most, f"{outcome.struck} calls to the failing target")
    if fault.name == "content filter":
        judge_refusal(outcome)
    elif fault.late and not case.rescue:
        judge_reported(outcome)
    else:
        judge_good(outcome, helper, retried=outcome.struck == outcome.attempts)
    if not outcome.faults and fault.name == "down, then healthy":
        judge_recovery(world, outcome)
    return outcome


def judge_good(outcome: Outcome, helper: str, *, retried: bool) -> None:
    """A whole answer, word by word, once, under one id, with the usage and the name of who gave it."""
    case, answer = outcome.case, outcome.answer
    outcome.check(answer.complete, f"not complete: {answer.status} {answer.broken}")
    if outcome.faults:
        return
    read = reading(answer)
    text = "".join(part.text for choice in read.choices for part in choice.parts if isinstance(part, Text))
    outcome.check(text == TEXT, f"the text is {text[:400]!r}")
    outcome.check(read.failure is None, f"it holds an error: {read.failure}")
    if case.fault.late:
        judge_late(outcome, read)
    elif not retried:
        # The head of a stream whose client was kept waiting names no provider.
        named = answer.bm("provider")
        outcome.check(named == helper or (case.stream and not named), f"said to be from {named}")
        outcome.check(case.setting == "own" or read.model == HELPING_MODEL, f"said to be by {read.model}")
        reported = read.usage
        outcome.check(
            reported is not None and (reported.prompt, reported.output) == (USAGE.input, USAGE.output),
            f"usage {reported}",
        )
    if case.stream:
        outcome.grammar(answer)


def judge_late(outcome: Outcome, read: ChatResponse) -> None:
    """One usage for the whole answer, whoever wrote it: that of the target that ended it and of what it was given."""
    ended_by_itself = outcome.attempts == 1
    least, most = (1, len(TEXT)) if ended_by_itself else (USAGE.output or 0, (USAGE.output or 0) + len(TEXT))
    outcome.check(read.usage is not None and least <= read.usage.output <= most, f"usage {read.usage}")
    if not ended_by_itself:
        outcome.check(read.usage is not None and read.usage.prompt == USAGE.input, f"usage {read.usage}")


def judge_reported(outcome: Outcome) -> None:
    """Without rescue: part of the text and then the client's in-stream error, or a whole text without a fault.

    Google's SDKs take a stream that ends in order for complete, so theirs breaks after the error.
    """
    answer = outcome.answer
    read = reading(answer)
    text = "".join(part.text for choice in read.choices for part in choice.parts if isinstance(part, Text))
    outcome.check(TEXT.startswith(text) and len(text) > 0, f"the text is {text[:400]!r}")
    outcome.check(read.failure is not None or text == TEXT, "a cut answer looks complete")
    breaks = answer.protocol == "gemini" and read.failure is not None
    outcome.check(bool(answer.broken) is breaks, f"how the connection ended: {answer.broken or 'in order'}")
    if read.failure is not None:
        outcome.check(ENDS[answer.protocol] not in answer.body, "an error and an end")


def judge_refusal(outcome: Outcome) -> None:
    """A refusal is an answer: it is returned in the client's protocol, and no other target is asked."""
    read = reading(outcome.answer)
    finish = read.choices[0].finish if read.choices else None
    outcome.check(outcome.answer.status == 200, f"status {outcome.answer.status}")
    outcome.check(finish is not None and finish.reason == "refusal", f"finish {finish}")
    outcome.check(outcome.attempts == 1, f"{outcome.attempts} calls")


def judge_recovery(world: World, outcome: Outcome) -> None:
    """While an account is down the other target serves; once its cooldown is over it serves again."""
    first = world.pool[0]
    if world.account(first)["state"] == "cooling down":
        meanwhile = world.ask(outcome.case.protocol, stream=outcome.case.stream)
        outcome.check(meanwhile.complete, f"not served meanwhile: {meanwhile.status}")
        cooling = world.account(first)["state"] == "cooling down"
        outcome.check(not cooling or world.asked().count(first) == 1, "it is asked while it is cooling down")
    limit = time.monotonic() + 10
    while world.account(first)["state"] != "usable" and time.monotonic() < limit:
        time.sleep(0.05)
    answer = world.ask(outcome.case.protocol, stream=outcome.case.stream)
    outcome.check(answer.complete and answer.bm("account") == first, f"it is not used again: {answer.bm('account')}")


def reading(answer: Answer) -> ChatResponse:
    """What a client of the protocol makes of the bytes."""
    codec, ids = CODECS[answer.protocol], IdFactory(lambda prefix: f"{prefix}{'0' * 16}")  # type: ignore[index]
    if not answer.stream:
        return fold(codec.decode_response(answer.json, ids))
    decoder, parser = codec.stream_decoder(ids), sse.Parser()
    events: list[Event] = []
    for item in [*parser.feed(answer.body), *parser.close()]:
        events += decoder.feed(item)
    return fold([*events, *decoder.close()])


ENDS = {
    "anthropic": b"event: message_stop",
    "openai-chat": b"data: [DONE]",
    "openai-responses": b"event: response.completed",
    "gemini": b'"finishReason"',
}
"""By what each protocol ends a good answer."""

GRAMMARS: dict[str, Callable[[bytes], object]] = {
    "anthropic": grammar_anthropic.check,
    "openai-chat": lambda raw: grammar_openai_chat.check_stream(raw, usage=True, sparing=True),
    "openai-responses": grammar_openai_responses.check,
    "gemini": lambda raw: grammar_gemini.check(raw, complete=True),
}


def cases() -> Iterator[Case]:
    """Every fault for every client, in every way it can be met."""
    for fault in FAULTS:
        for protocol in PROTOCOLS:
            for setting in fault.settings:
                yield Case(fault, protocol, setting)
                if fault.late:
                    yield Case(fault, protocol, setting, rescue=False)
            if fault.whole:
                yield Case(fault, protocol, stream=False)
