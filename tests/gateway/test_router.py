"""What the router puts into a plan: affinity, requirements, the state of the accounts."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from bm.accounts.pool import Lease
from bm.dispatch.candidates import Candidate
from bm.dispatch.outcome import AccountEffect, EffectKind
from bm.dispatch.plan import Plan, plan
from bm.dispatch.target import Target
from bm.gateway.call import Call
from bm.gateway.learned import LACKS
from bm.gateway.router import MAX_LINEUPS, _query
from bm.gateway.services import Services
from bm.names import PROTOCOLS
from bm.remedies.remedy import Remedy
from tests.accounts.build import NOON, credential
from tests.gateway.build import call, settings

GROQ = '[providers.groq]\nenabled = true\nmode = "pooled"\nprotocols = ["anthropic"]\n'


@pytest.fixture
async def services(bm_home: Path) -> AsyncIterator[Services]:
    """Four Gemini accounts."""
    services = Services(settings(bm_home))
    services.pool.reload([credential(name) for name in "abcd"])
    yield services
    await services.close()


def planned(services: Services, asked: Call, random_number: float = 0.0) -> Plan:
    return services.router.plan(services.settings, asked, random_number=random_number)


def first(services: Services, asked: Call) -> set[str]:
    """The accounts that come first, over all random numbers."""
    return {planned(services, asked, step / 8).choices[0].target.account for step in range(8)}


def serve(services: Services, asked: Call, account: str) -> None:
    target = Target("gemini", account, "gemini-3-flash", "gemini")
    services.router.served(services.settings, asked, target)


async def test_a_conversation_stays_with_the_account_that_served_it(services: Services) -> None:
    serve(services, call("session", continues=True), "c")
    assert first(services, call("session", continues=True)) == {"c"}
    assert first(services, call("another", continues=True)) == {"a", "b", "c", "d"}


async def test_a_first_turn_goes_to_a_random_account_and_its_second_follows(services: Services) -> None:
    serve(services, call("start:1"), "c")
    assert first(services, call("start:1")) == {"a", "b", "c", "d"}
    assert first(services, call("start:1", continues=True)) == {"c"}


async def test_affinity_can_be_switched_off(services: Services, bm_home: Path) -> None:
    serve(services, call("session", continues=True), "c")
    off = settings(bm_home, "[pool]\naffinity = false\n")
    firsts = {
        services.router.plan(off, call("session", continues=True), random_number=step / 8).choices[0].target.account
        for step in range(8)
    }
    assert firsts == {"a", "b", "c", "d"}


PICTURE = (
    b'{"messages": [{"role": "user", "content": [{"type": "image", "source": {}}]}, {"role": "user", "content": "hi"}]}'
)


@pytest.mark.parametrize(
    ("text", "past"),
    [("", frozenset()), (GROQ, frozenset({"images"})), (f"{GROQ}[pool]\nstrict = true\n", frozenset())],
    ids=["every model takes images", "some take text alone", "strict"],
)
async def test_a_body_is_searched_for_media_only_where_the_answer_matters(
    services: Services, bm_home: Path, text: str, past: frozenset[str]
) -> None:
    services.apply(settings(bm_home, text))
    assert planned(services, call(body=PICTURE)).replaceable == past


async def test_learned_context_limits_reach_the_plan(services: Services) -> None:
    services.context_limits.set_listed("gemini", {"gemini-3.1-pro-preview": 77})
    services.pool.reload([credential("a")])
    assert [choice.context for choice in planned(services, call()).choices] == [77]


SHARED = '[aliases]\nopus = { weighted = { "gemini:pro" = 1, "gemini:flash" = 1 } }\n'


async def test_a_conversation_keeps_what_was_chosen_for_it_by_weight(services: Services, bm_home: Path) -> None:
    weighted = settings(bm_home, SHARED)

    def models(asked: Call) -> set[str]:
        plans = [services.router.plan(weighted, asked, random_number=(step + 0.5) / 7) for step in range(7)]
        return {plan.choices[0].target.model for plan in plans}

    both = {"gemini-3.1-pro-preview", "gemini-3.8-flash"}
    turns = [models(call(f"session:{number}", continues=True)) for number in range(8)]
    assert {len(chosen) for chosen in turns} == {1} and set.union(*turns) == both
    assert models(call("start:1")) == both, "equal first turns are no conversation"


NEWEST = b'{"messages": [{"role": "user", "content": [{"type": "image", "source": {}}]}]}'


class Clock:
    """The time by which the router and the tests decide."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("bm.gateway.router.time", clock)
    return clock


PAID = (
    '[providers.one]\nenabled = true\nprotocol = "openai-chat"\nbase_url = "https://one.example/v1"\nmode = "{one}"\n'
    "protocols = {all}\n"
    '[providers.two]\nenabled = true\nprotocol = "openai-chat"\nbase_url = "https://two.example/v1"\nmode = "{two}"\n'
    "protocols = {all}\n"
    '[providers.two.models]\ndefault = "two-large"\n'
)


def paid(one: str, two: str) -> str:
    """The configuration of two providers in these modes."""
    return PAID.format(one=one, two=two, all=[*PROTOCOLS])


MODES = [("fallback", "fallback"), ("pooled", "fallback"), ("pooled", "pooled"), ("exclusive", "off")]
KEYS = [credential("key1", provider="one"), credential("key2", provider="one"), credential("key", provider="two")]
POOL = [credential(name, project="p" if name in "cd" else "", weight=1 + (name == "b")) for name in "abcdef"]
KINDS = tuple(kind for kind in get_args(EffectKind) if kind != "none")
LISTS = [frozenset[str](), frozenset({"gemini-3-flash", "gemini-3.1-pro-preview"}), frozenset({"gemini-3-flash"})]
BODIES = [b"{}", PICTURE, b'{"tools": [{"name": "t"}]}', b'{"x": "' + b"a" * 400_000 + b'"}']
NAMES = ["opus", "gemini-3-flash", "gpt-5", "one:own-model", "two:opus", "nick", "grock:x"]


class Life:
    """A daemon's life: settings, accounts, lists and limits that change, requests and time that pass."""

    def __init__(self, services: Services, clock: Clock, home: Path, seed: int) -> None:
        self.services, self.clock, self.home, self.rng = services, clock, home, random.Random(seed)
        self.leases: list[Lease] = []
        self.apply_settings()

    def apply_settings(self) -> None:
        one, two = self.rng.choice(MODES)
        text = '[aliases]\nnick = ["gemini-3-flash", "two:large"]\n' + paid(one, two)
        self.services.apply(settings(self.home, text))
        self.reload()

    def reload(self) -> None:
        enabled = [each for each in POOL if self.rng.random() < 0.8]
        off = [credential(each.account.name, enabled=False) for each in POOL if each not in enabled]
        self.services.pool.reload([*enabled, *off, *KEYS])

    def change(self) -> None:
        """Make one change of any kind."""
        services, rng, now = self.services, self.rng, self.clock.now
        runtime = rng.choice([*services.pool.runtimes.values()])
        provider = services.settings.providers[runtime.id[0]]
        model = rng.choice(["gemini-3-flash", "gemini-3.1-pro-preview", "own-model", "two-large", "opus"])
        target = Target(*runtime.id, model, provider.protocol)
        match rng.choices(range(9), weights=[1, 1, 2, 6, 6, 8, 1, 1, 4])[0]:
            case 0:
                self.apply_settings()
            case 1:
                self.reload()
            case 2:
                services.pool.learn_models(runtime.id, rng.choice(LISTS))
            case 3:
                self.leases.append(services.pool.begin(target, now=now, wall=NOON + now))
            case 4 if self.leases:
                self.leases.pop().end()
            case 5:
                seconds = rng.choice([None, 3.0, 30.0, 7200.0])
                lease = services.pool.lease(target, sent=now)
                effect = AccountEffect(rng.choice(KINDS), seconds, "it said so")
                lease.apply(effect, now=now, wall=NOON + now, jitter=rng.random())
            case 6:
                services.context_limits.learn(provider, model, rng.choice([1_000, 100_000]), wall=NOON)
            case 7:
                remedy = Remedy(LACKS, values=("images",), reason="it takes none")
                services.remedies.learn(provider, target, remedy, wall=NOON)
            case _:
                self.clock.now += rng.choice([0.0, 1.0, 3.0, 30.0, 400.0])

    def asked(self) -> Call:
        """A request of any kind."""
        rng = self.rng
        conversation = rng.choice(["", "c1", "c2"])
        made = call(conversation, continues=conversation != "" and rng.random() < 0.7, body=rng.choice(BODIES))
        protocol = rng.choice(PROTOCOLS)
        return msgspec.structs.replace(made, model=rng.choice(NAMES), protocol=protocol)


def facts(choice: Candidate) -> Candidate:
    """A choice without its account and rank, which are chosen at random among equals."""
    target = msgspec.structs.replace(choice.target, account="")
    stand_in = choice.stand_in and facts(choice.stand_in)
    return msgspec.structs.replace(choice, target=target, stand_in=stand_in, rank=NO_RANK)


NO_RANK = (False, False, 0, False, 0, 0.0)


def by_target(choices: Iterable[Candidate]) -> dict[Target, Candidate]:
    return {each.target: each for each in choices}


def without(candidates: Iterable[Candidate], target: Target) -> list[Target]:
    return [each.target for each in candidates if each.target != target]


@pytest.mark.parametrize("seed", range(8))
async def test_a_partial_plan_begins_as_a_whole_one_would(clock: Clock, bm_home: Path, seed: int) -> None:
    services = Services(settings(bm_home))
    life = Life(services, clock, bm_home, seed)
    partial = 0
    for _ in range(60):
        life.change()
        asked, number = life.asked(), life.rng.random()
        if life.rng.random() < 0.3:
            services.router.served(services.settings, asked, Target("gemini", life.rng.choice("abc"), "m", "gemini"))
        made = planned(services, asked, number)
        snapshot = services.router.snapshot(services.settings, services.router._affinity(services.settings, asked))
        query = made.query or _query(services.settings, asked, number, "")
        whole = plan(snapshot, query, random_number=number)
        if made.query is None:
            assert made == whole
            continue
        partial += 1
        first = made.choices[0]
        same = by_target(whole.choices)[first.target]
        # Of equals, the two may choose another one.
        assert (same.rank, facts(first)) == (whole.choices[0].rank, facts(whole.choices[0]))
        assert made.steps == whole.steps
        assert whole.failure is None
        completed = services.router.complete(services.settings, asked, made)
        assert sorted(without(completed.choices, first.target), key=str) == sorted(
            without(whole.choices, first.target), key=str
        )
        assert {*completed.targets, *without(completed.cooling_down, first.target)} == {
            *whole.targets,
            *without(whole.cooling_down, first.target),
        }
        assert (completed.choices[0], completed.failure, completed.query) == (first, None, None)
        assert completed.disabled == whole.disabled
        assert len({*completed.targets}) == len(completed.targets)
    assert partial > 15
    await services.close()


ONE = paid("fallback", "off")
SEVEN_PM = 1_775_095_200.0
"""2026-04-01 19:00 in Los Angeles: five hours before the daily quotas of Gemini reset."""


class Change(msgspec.Struct, frozen=True):
    """Something that decides changes: where the same call goes before and after it."""

    name: str
    before: str
    make: Callable[[Services, Clock, Path], object]
    after: str
    asked: Call = msgspec.structs.replace(call(), model="gemini-3-flash")
    accounts: str = "a"
    text: str = ONE
    earlier: Callable[[Services, Clock, Path], object] = lambda services, clock, home: None


def configured(text: str) -> Callable[[Services, Clock, Path], object]:
    """The configuration file is edited; the accounts stay."""

    def make(services: Services, clock: Clock, home: Path) -> None:
        services.apply(settings(home, text))
        services.pool.reload([credential("a"), *KEYS])

    return make


def opened(services: Services, clock: Clock, home: Path) -> None:
    """Repeated overload opens the circuit of the account."""
    for _ in range(3):
        clock.now += 40.0
        effect("overload")(services, clock, home)


def effect(kind: EffectKind, seconds: float | None = None) -> Callable[[Services, Clock, Path], object]:
    """A request to the first account has had this effect on it."""

    def make(services: Services, clock: Clock, home: Path) -> None:
        target = Target("gemini", "a", "gemini-3-flash", "gemini")
        lease = services.pool.lease(target, sent=clock.now)
        lease.apply(AccountEffect(kind, seconds, "it said so"), now=clock.now, wall=SEVEN_PM + clock.now - 1000.0)

    return make


def later(seconds: float) -> Callable[[Services, Clock, Path], object]:
    def make(services: Services, clock: Clock, home: Path) -> None:
        clock.now += seconds

    return make


def learned(operation: str, *values: str) -> Callable[[Services, Clock, Path], object]:
    def make(services: Services, clock: Clock, home: Path) -> None:
        provider = services.settings.providers["one"]
        target = Target("one", "key1", "own-model", "openai-chat")
        services.remedies.learn(provider, target, Remedy(operation, values=values, reason="so it said"), wall=NOON)

    return make


def limited(services: Services, clock: Clock, home: Path) -> None:
    services.context_limits.learn(services.settings.providers["one"], "own-model", 1_000, wall=NOON)


def suspected(services: Services, clock: Clock, home: Path) -> None:
    """Another request has been refused by both accounts that have answered others: it may be the cause."""
    leases = []
    for name in "ab":
        target = Target("gemini", name, "gemini-3-flash", "gemini")
        services.pool.lease(target, sent=1.0).apply(AccountEffect("answered"), now=clock.now, wall=NOON)
        lease = services.pool.lease(target, sent=clock.now, fingerprint=7)
        lease.apply(AccountEffect("cooldown", 50.0, "it said so"), now=clock.now, wall=NOON)
        leases.append(lease)
    services.pool.suspect(leases, now=clock.now)


def served(services: Services, clock: Clock, home: Path) -> None:
    target = Target("gemini", "b", "gemini-3-flash", "gemini")
    services.router.served(services.settings, CONVERSATION, target)


def lists(*models: str) -> Callable[[Services, Clock, Path], object]:
    return lambda services, clock, home: services.pool.learn_models(("gemini", "a"), frozenset(models))


CONVERSATION = msgspec.structs.replace(call("c", continues=True), model="gemini-3-flash")
LONG = msgspec.structs.replace(call(body=b'{"x": "' + b"a" * 400_000 + b'"}'), model="own-model")
SHOWN = msgspec.structs.replace(call(body=NEWEST), model="own-model")
OWN = msgspec.structs.replace(call(), model="own-model")
ALONE = paid("exclusive", "off")
CAN = f'{paid("pooled", "off")}[gemini.models]\ndefault = "gemini-3-flash"\n'
FLASH, KEY = "gemini/a gemini-3-flash", "one/key1 gemini-3-flash"

CHANGES = [
    Change("a mode is flipped", FLASH, configured(ALONE), KEY),
    Change("a mode is flipped back", KEY, configured(ONE), FLASH, text=ALONE),
    Change("a provider is switched off", KEY, configured(ALONE.replace("true", "false")), FLASH, text=ALONE),
    Change(
        "an account is switched off", FLASH, lambda s, c, h: s.pool.reload([credential("a", enabled=False), *KEYS]), KEY
    ),
    Change("an account is added", KEY, lambda s, c, h: s.pool.reload([credential("a"), *KEYS]), FLASH, accounts=""),
    Change("a key is refused", FLASH, effect("disabled"), KEY),
    Change("a cooldown begins", FLASH, effect("cooldown", 30.0), KEY),
    Change("a cooldown ends by time", KEY, later(30.1), FLASH, earlier=effect("cooldown", 30.0)),
    Change("a cooldown goes on", KEY, later(20.0), KEY, earlier=effect("cooldown", 30.0)),
    Change("an account has answered a probe", FLASH, effect("answered"), FLASH, earlier=effect("fault")),
    Change("a daily quota is used up", FLASH, effect("daily"), KEY),
    Change("a daily quota is not reset yet", KEY, later(1000.0), KEY, earlier=effect("daily")),
    Change("a daily quota is reset at midnight", KEY, later(5 * 3600 + 1), FLASH, earlier=effect("daily")),
    Change("a model is not in the tier", FLASH, effect("excluded"), KEY),
    Change(
        "a circuit opens",
        FLASH,
        opened,
        KEY,
    ),
    Change("a model list arrives", FLASH, lists("gemini-3.8-flash"), "gemini/a gemini-3.8-flash"),
    Change(
        "an account is another service's",
        "gemini/a gemini-3.8-flash",
        lambda s, c, h: s.pool.forget_models("gemini"),
        FLASH,
        earlier=lists("gemini-3.8-flash"),
    ),
    Change("a context limit is learned", "one/key1 own-model", limited, "", asked=LONG, text=CAN, accounts=""),
    Change("images are refused", "one/key1 own-model", learned(LACKS, "images"), "", asked=SHOWN, text=ALONE),
    Change(
        "a capability is set",
        "one/key1 own-model",
        configured(f'{ALONE}[capabilities."own-model"]\nimages = false\n'),
        "",
        asked=SHOWN,
        text=ALONE,
    ),
    Change(
        "an alias is set",
        "one/key1 own-model",
        configured(f'{ALONE}[aliases]\nown-model = "mine"\n'),
        "one/key1 mine",
        asked=OWN,
        text=ALONE,
    ),
    Change(
        "a conversation was served elsewhere",
        FLASH,
        served,
        "gemini/b gemini-3-flash",
        asked=CONVERSATION,
        accounts="ab",
    ),
    Change("another request is the cause", FLASH, suspected, FLASH, accounts="ab"),
]


@pytest.mark.parametrize("change", CHANGES, ids=[each.name for each in CHANGES])
async def test_no_change_is_missed(clock: Clock, bm_home: Path, change: Change) -> None:
    services = Services(settings(bm_home, change.text))
    services.pool.reload([*map(credential, change.accounts), *KEYS])
    change.earlier(services, clock, bm_home)

    def choice() -> str:
        chosen = planned(services, change.asked).targets
        return f"{chosen[0].provider}/{chosen[0].account} {chosen[0].model}" if chosen else ""

    assert [choice(), choice()] == [change.before] * 2
    change.make(services, clock, bm_home)
    assert choice() == change.after
    await services.close()


BLIND = f'{ALONE}[capabilities."own-model"]\nimages = false\n'
NARROW = PAID.format(one="exclusive", two="off", all='["openai-chat"]')
OTHERS = [
    (OWN, SHOWN, BLIND, ["one", ""]),
    (OWN, msgspec.structs.replace(OWN, protocol="openai-chat"), NARROW, ["gemini", "one"]),
    (OWN, msgspec.structs.replace(OWN, model="two:x"), paid("exclusive", "fallback"), ["one", "two"]),
]


@pytest.mark.parametrize(("one", "other", "text", "providers"), OTHERS, ids=["contents", "protocol", "name"])
async def test_calls_that_differ_in_what_decides_go_to_different_providers(
    bm_home: Path, one: Call, other: Call, text: str, providers: list[str]
) -> None:
    services = Services(settings(bm_home, text))
    services.pool.reload([credential("a"), *KEYS])
    found = [planned(services, each).choices for each in (one, other, one, other)]
    assert [choices[0].target.provider if choices else "" for choices in found] == providers * 2
    await services.close()


async def test_a_provider_that_a_key_may_not_use_is_not_asked_for_it_alone(bm_home: Path) -> None:
    services = Services(settings(bm_home, ALONE))
    services.pool.reload([credential("a"), *KEYS])
    barred: list[dict[str, str]] = [{}, {"one": "the key may use gemini only"}]
    plans = [services.router.plan(services.settings, OWN, random_number=0.0, barred=each) for each in barred * 2]
    assert [made.targets[0].provider for made in plans] == ["one", "gemini"] * 2
    await services.close()


@pytest.mark.parametrize(("seconds", "waits"), [(3.0, True), (30.0, False)])
async def test_a_fallback_is_no_partial_plan_while_an_account_is_worth_waiting_for(
    clock: Clock, bm_home: Path, seconds: float, waits: bool
) -> None:
    services = Services(settings(bm_home, ONE))
    services.pool.reload([credential("a"), *KEYS])
    effect("cooldown", seconds)(services, clock, bm_home)
    made = planned(services, msgspec.structs.replace(call(), model="gemini-3-flash"))
    assert (made.targets[0].provider, made.query is None, bool(made.cooling_down)) == ("one", waits, waits)
    await services.close()


async def test_model_names_without_end_are_forgotten(services: Services) -> None:
    for number in range(3 * MAX_LINEUPS):
        assert planned(services, msgspec.structs.replace(call(), model=f"gemini-{number}")).choices
    assert len(services.router._lineups) <= MAX_LINEUPS
