"""The pool in simulated time: what counts against an account, for how long, and what ends it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bm.accounts.account import Account
from bm.accounts.credentials import Credential
from bm.accounts.pool import Pool, Receipt
from bm.accounts.suspects import Place
from bm.dispatch.outcome import AccountEffect, EffectKind, Outcome
from bm.dispatch.target import Target
from tests.accounts.build import DAY, NOON, apply, credential, target, usable

HOUR = 3600.0


def pool_of(*names: str) -> Pool:
    return Pool(credential(name) for name in names or ("a",))


Event = tuple[float, EffectKind, float | None]
"""When, what, and the delay that the upstream named."""

SEQUENCES: dict[str, tuple[list[Event], dict[float, bool]]] = {
    "nothing": ([], {0: True}),
    "a 429 with a delay": ([(0, "cooldown", 20)], {0: False, 19.9: False, 20: True}),
    "a delay of days may be probed": ([(0, "cooldown", 1e12)], {HOUR / 2 - 1: False, HOUR / 2: True}),
    "the longer of two delays counts": ([(0, "cooldown", 20), (1, "cooldown", 5)], {6.5: False, 19.9: False, 20: True}),
    "an answer does not end a delay": ([(0, "cooldown", 20), (5, "answered", None)], {6: False, 20: True}),
    "a delay of zero is a short cooldown": ([(0, "cooldown", 0)], {0: False, 1.9: False, 2: True}),
    "a 429 without a delay": ([(0, "backoff", None)], {0: False, 1.9: False, 2: True}),
    "a burst counts once": (
        [(0, "backoff", None), (0.5, "backoff", None), (1, "backoff", None)],
        {1.9: False, 2: True},
    ),
    "the next backoff is longer": ([(0, "backoff", None), (3, "backoff", None)], {6.9: False, 7: True}),
    "an answer makes it short again": (
        [(0, "backoff", None), (3, "backoff", None), (8, "answered", None), (9, "backoff", None)],
        {10.9: False, 11: True},
    ),
    "an answer during the cooldown does not": (
        [(0, "backoff", None), (1, "answered", None), (3, "backoff", None)],
        {6.9: False, 7: True},
    ),
    "long quiet makes it short again": ([(0, "backoff", None), (700, "backoff", None)], {701.9: False, 702: True}),
    "a quota of the day": ([(0, "daily", 20)], {21: False, HOUR / 2 - 1: False, HOUR / 2: True}),
    "a model outside the tier": ([(0, "excluded", None)], {1: False, 6 * HOUR - 1: False, 6 * HOUR: True}),
    "a refused key": ([(0, "disabled", None)], {1: False, 100 * HOUR: False}),
    "a refused key that works again": ([(0, "disabled", None), (5, "answered", None)], {5: True, 100 * HOUR: True}),
    "one fault": ([(0, "fault", None)], {0: True}),
    "many faults": ([(0, "fault", None)] * 20, {0: True}),
    "an overload": ([(0, "overload", None)], {0.9: False, 1: True}),
    "an overload with a delay": ([(0, "overload", 30)], {29.9: False, 30: True}),
    "no effect": ([(0, "none", None)], {0: True}),
}


@pytest.mark.parametrize(("events", "expected"), SEQUENCES.values(), ids=SEQUENCES)
def test_events_and_when_the_account_is_usable(events: list[Event], expected: dict[float, bool]) -> None:
    pool = pool_of("a")
    for at, kind, seconds in events:
        apply(pool, kind, at, seconds=seconds)
    assert {at: usable(pool, at) for at in expected} == expected


def test_a_rate_limit_is_about_one_model_and_a_refusal_about_all() -> None:
    pool = pool_of("a", "b")
    apply(pool, "cooldown", 0, seconds=20)
    assert not usable(pool, 1)
    assert usable(pool, 1, target(model="other"))
    assert usable(pool, 1, target("b"))
    apply(pool, "disabled", 1, to=target("b"), reason="API key not valid")
    assert not usable(pool, 1, target("b", "other"))
    assert pool.states(1)["gemini"][1].disabled == "API key not valid"


@pytest.mark.parametrize(
    ("effect", "steps"),
    [("backoff", [2, 4, 8, 16, 32, 60, 60]), ("overload", [1, 2, 4, 8, 16, 24, 24])],
)
def test_each_step_of_a_backoff_is_longer_up_to_a_limit(effect: EffectKind, steps: list[float]) -> None:
    """The end of an outage is noticed within half a minute, jitter included."""
    pool, now, seconds = pool_of(), 0.0, []
    for _ in steps:
        seconds.append(apply(pool, effect, now).seconds)
        now += seconds[-1]
    assert seconds == steps


def test_jitter_lengthens_a_backoff_by_up_to_a_quarter() -> None:
    seconds = [apply(pool_of(), "backoff", 0, jitter=jitter).seconds for jitter in (0.0, 0.5, 1.0)]
    assert seconds == [2.0, 2.25, 2.5]


def test_a_late_429_of_the_same_burst_does_not_count_again() -> None:
    pool = pool_of()
    apply(pool, "backoff", 1, sent=0)
    apply(pool, "backoff", 10, sent=0.5)
    assert usable(pool, 10)
    assert apply(pool, "backoff", 11, sent=10.5).seconds == 4


@pytest.mark.parametrize(
    ("provider", "delay", "seconds"),
    [("gemini", None, 12 * HOUR), ("gemini", 30, 12 * HOUR), ("groq", 5000, 5000), ("groq", None, HOUR)],
)
def test_the_cooldown_of_a_daily_quota(provider: str, delay: float | None, seconds: float) -> None:
    pool = Pool([credential("a", provider=provider)])
    assert apply(pool, "daily", 0, to=target(provider=provider), seconds=delay).seconds == pytest.approx(seconds)


def circuit(pool: Pool, now: float) -> Literal["closed", "half_open", "open"]:
    return pool.states(now)["gemini"][0].state("m").circuit


def test_repeated_overload_opens_the_circuit_and_one_probe_closes_it() -> None:
    pool = pool_of()
    for at in (0, 10, 20):
        assert circuit(pool, at) == "closed"
        apply(pool, "overload", at)
    assert (circuit(pool, 20), pool.cooldown_left(target(), 20)) == ("open", 4)
    assert circuit(pool, 24) == "half_open"
    lease = pool.begin(target(), now=24, wall=NOON)
    assert circuit(pool, 25) == "open"
    lease.end()
    assert circuit(pool, 26) == "half_open"
    apply(pool, "answered", 26, sent=24)
    assert circuit(pool, 26) == "closed"


def test_a_probe_that_fails_opens_the_circuit_for_longer() -> None:
    pool = pool_of()
    for at in (0, 10, 20):
        apply(pool, "overload", at)
    lease = pool.begin(target(), now=24, wall=NOON)
    assert apply(pool, "overload", 25, sent=24).seconds == 8
    lease.end()
    assert (circuit(pool, 32.9), circuit(pool, 33)) == ("open", "half_open")


def test_an_answer_from_before_the_overload_does_not_close_the_circuit() -> None:
    pool = pool_of()
    for at in (0, 10, 20):
        apply(pool, "overload", at)
    apply(pool, "answered", 30, sent=19)
    assert circuit(pool, 30) == "half_open"


def test_an_unused_circuit_closes_in_time() -> None:
    pool = pool_of()
    for at in (0, 10, 20):
        apply(pool, "overload", at)
    assert (circuit(pool, 600), circuit(pool, 700)) == ("half_open", "closed")


def health(pool: Pool, now: float) -> float:
    return pool.states(now)["gemini"][0].health


def test_faults_lower_health_and_time_and_answers_restore_it() -> None:
    pool = pool_of()
    assert health(pool, 0) == 1
    apply(pool, "fault", 0)
    assert health(pool, 0) == 0.8
    for _ in range(5):
        apply(pool, "fault", 1)
    assert health(pool, 1) < 0.5
    low = health(pool, 1)
    for _ in range(5):
        apply(pool, "answered", 2)
    assert low < health(pool, 2) < 1
    assert health(pool, 400) == 1


def test_requests_in_flight_and_time_of_last_use() -> None:
    pool = pool_of("a", "b")
    assert [(each.idle, each.inflight) for each in pool.states(5)["gemini"]] == [(None, 0), (None, 0)]
    leases = [pool.begin(target(), now=5, wall=NOON), pool.begin(target(model="n"), now=6, wall=NOON)]
    assert [(each.idle, each.inflight) for each in pool.states(8)["gemini"]] == [(2, 2), (None, 0)]
    for lease in leases:
        lease.end()
    assert pool.states(8)["gemini"][0].inflight == 0


def test_a_disabled_account_has_a_reason() -> None:
    pool = Pool(
        [
            credential("off", enabled=False),
            Credential(account=credential("lost").account, problem="env:LOST: the environment variable is not set"),
            credential("config", provider="groq", enabled=False),
        ]
    )
    assert [each.disabled for each in pool.states(0)["gemini"]] == [
        "switched off (bm accounts enable off)",
        "env:LOST: the environment variable is not set",
    ]
    assert pool.states(0)["groq"][0].disabled == "switched off (bm providers enable groq)"


SHARED: list[EffectKind] = ["cooldown", "backoff", "daily", "excluded"]


def test_accounts_of_one_project_share_rate_limits_but_not_refusals_or_overload() -> None:
    pool = Pool(credential(name, project=project) for name, project in zip("abcd", ("p", "p", "q", ""), strict=True))
    for kind in SHARED:
        apply(pool, kind, 0, to=target("a", kind), seconds=20)
        assert [usable(pool, 1, target(name, kind)) for name in "abcd"] == [False, False, True, True]
    apply(pool, "overload", 1, to=target("a", "n"))
    assert [usable(pool, 1, target(name, "n")) for name in "ab"] == [False, True]
    apply(pool, "disabled", 1, to=target("a"))
    assert [usable(pool, 1, target(name, "n")) for name in "ab"] == [False, True]


def test_accounts_of_two_providers_with_one_project_name_share_nothing() -> None:
    pool = Pool([credential("a", project="p"), credential("a", provider="groq", project="p")])
    apply(pool, "cooldown", 0, seconds=20)
    assert usable(pool, 1, target(provider="groq"))


def test_whether_others_were_answered_meanwhile() -> None:
    def settled(sent: float, now: float = 300, to: Target | None = None) -> tuple[bool, bool]:
        outcome = pool.lease(to or target(), sent=sent).settle(Outcome(), now=now, wall=NOON)
        return outcome.answers_others, outcome.worked_lately

    pool = pool_of("a", "b")
    assert settled(0) == (False, False)
    apply(pool, "answered", 5)
    assert (settled(4), settled(5), settled(5, now=400)) == ((True, True), (False, True), (False, False))
    assert settled(4, to=target(model="other")) == settled(4, to=target("b")) == (False, False)
    apply(pool, "answered", 9, sent=3)
    assert settled(4.9) == (True, True), "an answer to an earlier request takes nothing back"


def test_overload_is_distinguished_from_a_limit() -> None:
    pool = Pool([credential("a"), credential("b")])
    apply(pool, "overload", 0)
    apply(pool, "cooldown", 0, to=target("b"))
    assert [pool.overloaded(target(name), 0.5) for name in ("a", "b")] == [True, False]
    assert not pool.overloaded(target(), 60), "it is over"
    assert not pool.overloaded(target("gone"), 0.5)


def test_a_reload_keeps_what_is_known_of_accounts_that_stay() -> None:
    pool = pool_of("a", "b", "c")
    for name in "abc":
        apply(pool, "cooldown", 0, to=target(name), seconds=20)
    lease = pool.begin(target(), now=1, wall=NOON)
    pool.learn_models(("gemini", "a"), frozenset({"m"}))
    pool.reload([credential("new"), credential("b", key="another key"), credential("a")])
    assert [each.name for each in pool.states(2)["gemini"]] == ["new", "b", "a"]
    assert [usable(pool, 2, target(name)) for name in ("new", "b", "a")] == [True, True, False]
    assert (pool.states(2)["gemini"][2].inflight, pool.states(2)["gemini"][2].models) == (1, frozenset({"m"}))
    lease.end()
    assert pool.states(2)["gemini"][2].inflight == 0


def test_a_request_that_outlives_its_account_changes_nothing() -> None:
    pool = pool_of("a", "b")
    lease = pool.begin(target(), now=1, wall=NOON)
    pool.reload([credential("b")])
    lease.end()
    lease.apply(AccountEffect("cooldown", 20), now=2, wall=NOON)
    apply(pool, "cooldown", 2, seconds=20)
    pool.begin(target(), now=2, wall=NOON).end()
    assert pool.states(2) == pool_of("b").states(2)
    assert pool.credential(("gemini", "a")) is None


def test_a_request_in_flight_follows_its_account_to_a_new_name() -> None:
    pool = pool_of("a", "b")
    for at in (0, 10, 20):
        apply(pool, "overload", at)
    lease = pool.begin(target(), now=24, wall=NOON)
    renamed = credential("work", key=credential("a").secret)
    pool.reload([renamed, credential("b")])
    pool.reload([renamed, credential("a", key="another"), credential("b")])
    work = pool.states(25)["gemini"][0]
    assert (work.inflight, work.state("m").circuit) == (1, "open")
    lease.end()
    lease.apply(AccountEffect("disabled", reason="API key not valid"), now=26, wall=NOON)
    work, other, _ = pool.states(26)["gemini"]
    assert (work.inflight, work.state("m").circuit, work.disabled) == (0, "half_open", "API key not valid")
    assert (other.name, other.disabled, other.inflight) == ("a", "", 0)


def test_accounts_that_join_a_project_share_its_cooldowns() -> None:
    pool = pool_of("a", "b")
    apply(pool, "cooldown", 0, seconds=20)
    pool.reload([credential("a", project="p"), credential("b", project="p")])
    assert [usable(pool, 1, target(name)) for name in "ab"] == [False, False]
    pool.reload([credential("a"), credential("b")])
    assert [usable(pool, 19, target(name)) for name in "ab"] == [False, True], "only one of them was refused"
    assert usable(pool, 20)


def test_an_account_that_moves_to_another_project_takes_only_its_own_cooldowns() -> None:
    def tagged(name: str, project: str) -> Credential:
        return credential(name, project=project)

    pool = Pool([tagged("a", "p"), tagged("b", "p"), tagged("c", "q")])
    apply(pool, "cooldown", 0, to=target("b"), seconds=20)
    pool.runtimes["gemini", "b"].meter.learn(DAY, 250, left=0, resets=None, now=0, wall=NOON)
    pool.reload([tagged("a", "q"), tagged("b", "p"), tagged("c", "q")])
    assert [usable(pool, 1, target(name)) for name in "abc"] == [True, False, True]
    assert not list(pool.runtimes["gemini", "a"].meter.all())
    pool.reload([tagged("a", "q"), tagged("b", "q"), tagged("c", "q")])
    assert [usable(pool, 1, target(name)) for name in "abc"] == [False, False, False]


def test_a_renamed_account_keeps_its_state() -> None:
    pool = pool_of("a", "b")
    apply(pool, "cooldown", 0, seconds=20)
    apply(pool, "disabled", 0, to=target("b"))
    key_of_a = credential("a").secret
    moved = pool.reload([credential("work", key=key_of_a), credential("b"), credential("new")])
    assert moved == {("gemini", "work"): ("gemini", "a")}
    assert [usable(pool, 1, target(name)) for name in ("work", "b", "new")] == [False, False, True]


def test_an_empty_list_of_models_means_unknown() -> None:
    pool = pool_of("a")
    pool.learn_models(("gemini", "a"), frozenset())
    assert pool.states(0)["gemini"][0].models is None


def test_an_ambiguous_rename_is_not_guessed() -> None:
    pool = Pool([credential("a", key="same"), credential("b", key="same")])
    assert pool.reload([credential("c", key="same")]) == {}
    assert pool.reload([credential("c", key="same", provider="groq")]) == {}


def test_an_account_that_is_enabled_or_verified_is_usable_again() -> None:
    def refused() -> Pool:
        pool = pool_of("a")
        apply(pool, "disabled", 0)
        apply(pool, "excluded", 0, to=target(model="n"))
        apply(pool, "cooldown", 0, to=target(model="o"), seconds=20)
        return pool

    account = credential("a").account
    renewed = msgspec.structs.replace(account, renewed_at=datetime(2026, 4, 1, tzinfo=UTC))
    for again in (account, renewed):
        pool = refused()
        if again is account:
            pool.reload([credential("a", enabled=False)])
        pool.reload([Credential(account=again, secret=credential("a").secret)])
        assert [usable(pool, 1, target(model=model)) for model in "mno"] == [True, True, True]
    pool = refused()
    pool.reload([credential("a")])
    assert not usable(pool, 1)


def test_one_request_at_a_time_probes_a_long_cooldown_and_its_answer_ends_it() -> None:
    pool = pool_of("a")
    apply(pool, "cooldown", 0, seconds=18 * 24 * HOUR)
    later = HOUR / 2
    assert pool.states(later)["gemini"][0].states["m"].circuit == "half_open"
    probe = pool.begin(target(), now=later, wall=later)
    assert not usable(pool, later)
    probe.apply(AccountEffect("cooldown", 18 * 24 * HOUR), now=later, wall=later)
    probe.end()
    assert not usable(pool, later + HOUR / 2 - 1)
    probe = pool.begin(target(), now=2 * later, wall=2 * later)
    probe.apply(AccountEffect("answered"), now=2 * later, wall=2 * later)
    probe.end()
    assert pool.states(2 * later)["gemini"][0].states == {}


class Permits:
    """Permits for probes, which a team of nodes gives: `open` are those that this node may make."""

    def __init__(self) -> None:
        self.open: set[Place] = set()
        self.asked: list[Place] = []

    def may_probe(self, place: Place) -> bool:
        self.asked.append(place)
        return place in self.open

    async def decided(self, seconds: float) -> bool:
        return False

    def begun(self, place: Place) -> None:
        self.open.discard(place)

    def ended(self, place: Place) -> None:
        self.open.add(place)


def test_a_node_probes_only_with_a_permit_and_gives_it_back() -> None:
    pool, later = pool_of("a"), HOUR / 2
    permits = pool.probes = Permits()
    apply(pool, "cooldown", 0, seconds=18 * 24 * HOUR)
    assert pool.cooldown_left(target(), later) > 0 and permits.asked == [(("gemini", "a"), "m")]
    permits.open.update(permits.asked)
    assert pool.cooldown_left(target(), later) == 0
    probe = pool.begin(target(), now=later, wall=later)
    assert permits.open == set()
    probe.end()
    assert permits.open == set(permits.asked)


def test_what_needs_no_probe_needs_no_permit() -> None:
    pool = pool_of("a")
    permits = pool.probes = Permits()
    assert pool.cooldown_left(target(), 0) == 0
    pool.begin(target(), now=0, wall=0).end()
    assert permits.asked == [] and permits.open == set()


def test_an_answer_to_a_test_ends_cooldowns_only_if_a_person_wants_it() -> None:
    pool = pool_of("a")
    apply(pool, "cooldown", 0, seconds=600)
    pool.record_probe(target(), AccountEffect("answered"), now=1, wall=1)
    assert not usable(pool, 2)
    pool.record_probe(target(), AccountEffect("answered"), now=2, wall=2, wake=True)
    assert usable(pool, 2)


def test_a_key_quoted_by_the_upstream_is_masked() -> None:
    pool = Pool([credential("a", key="planted-secret-value-0123456789")])
    apply(pool, "disabled", 0, reason="no such key:\n planted-secret-value-0123456789")
    assert pool.states(0)["gemini"][0].disabled == "no such key: plan…6789"
    assert "planted-secret" not in repr(pool.runtimes["gemini", "a"].credential)
    held = pool.credential(("gemini", "a"))
    assert held is not None and held.secret == "planted-secret-value-0123456789"


KINDS: list[EffectKind] = ["cooldown", "backoff", "daily", "excluded", "disabled", "overload", "fault"]

updates = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c"]),
        st.sampled_from(["m", "n"]),
        st.sampled_from(KINDS),
        st.floats(0, 60),
        st.booleans(),
        st.floats(0, 5),
    ),
    max_size=25,
)


def three() -> Pool:
    return Pool([credential("a", project="p"), credential("b", project="p"), credential("c")])


@given(updates)
def test_a_rollback_leaves_what_would_be_there_without_the_request(
    events: list[tuple[str, str, EffectKind, float, bool, float]],
) -> None:
    with_request, without, receipts, now = three(), three(), [], 0.0
    for name, model, kind, seconds, undone, pause in events:
        now += pause
        receipt = apply(with_request, kind, now, to=target(name, model), seconds=seconds)
        if undone:
            receipts.append(receipt)
        else:
            apply(without, kind, now, to=target(name, model), seconds=seconds)
    with_request.roll_back(receipts)
    for later in (0.0, 1.0, 30.0, 700.0):
        assert with_request.states(now + later) == without.states(now + later)


def test_a_rollback_of_nothing_changes_nothing() -> None:
    pool = pool_of()
    receipt = apply(pool, "cooldown", 0, seconds=20)
    pool.roll_back([Receipt()])
    assert not usable(pool, 1)
    pool.roll_back([receipt, receipt])
    pool.roll_back([receipt])
    assert usable(pool, 1)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b", "c"]),
            st.sampled_from([*KINDS, "answered", "none"]),
            st.floats(0, 600),
            st.floats(0, 30),
            st.floats(0, 1, exclude_max=True),
        ),
        max_size=40,
    ),
    st.floats(0, 700),
)
def test_no_account_is_usable_before_a_delay_it_was_given_has_passed(
    events: list[tuple[str, EffectKind, float, float, float]], later: float
) -> None:
    pool, now, ends = three(), 0.0, {"a": 0.0, "b": 0.0, "c": 0.0}
    for name, kind, seconds, pause, jitter in events:
        now += pause
        applied = apply(pool, kind, now, to=target(name), seconds=seconds, jitter=jitter)
        assert kind != "cooldown" or applied.seconds >= seconds - 1e-6
        if kind == "cooldown":
            for other in "ab" if name in "ab" else "c":
                ends[other] = max(ends[other], now + seconds)
        for each, end in ends.items():
            for moment in (now, now + later):
                assert not usable(pool, moment, target(each)) or moment >= end - 1e-6


def test_vertex_and_the_gemini_api_count_one_project_apart() -> None:
    def at(name: str, location: str) -> Credential:
        return Credential(account=Account(name=name, kind="adc", project="p", location=location))

    pool = Pool([at("a", ""), at("b", "global"), at("c", "global")])
    apply(pool, "cooldown", 0.0, to=target("b"), seconds=60.0)
    assert [usable(pool, 1.0, target(name)) for name in "abc"] == [True, False, False]


def test_a_proactive_cooldown_is_no_failure() -> None:
    pool = Pool([credential("a")])
    assert apply(pool, "proactive", 0, seconds=20, jitter=0.5).seconds == 20
    state = pool.states(5.0)["gemini"][0]
    assert state.state("m").cooldown == 15.0 and state.health == 1.0
    runtime = pool.runtimes["gemini", "a"]
    assert runtime.today.failures == 0 and runtime.last_error == ""


def test_a_proactive_cooldown_is_a_minute_at_most() -> None:
    pool = Pool([credential("a")])
    assert apply(pool, "proactive", 0, seconds=3600).seconds == 60


def test_the_time_left_until_a_target_may_be_asked() -> None:
    pool = Pool([credential("a")])
    assert pool.cooldown_left(target(), 0.0) == 0.0
    apply(pool, "cooldown", 0.0, seconds=20.0)
    left = [pool.cooldown_left(to, now) for to, now in ((target(), 5), (target(model="other"), 5), (target(), 21))]
    assert left == [15, 0, 0]
    for step in range(3):
        apply(pool, "overload", 100.0 * (step + 1))
    assert pool.cooldown_left(target(), 310.0) == 0.0
    pool.begin(target(), now=310.0, wall=NOON)
    assert pool.cooldown_left(target(), 311.0) == 1.0
    assert pool.cooldown_left(target("gone"), 0.0) == 0.0
