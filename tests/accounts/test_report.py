"""The accounts as they are shown, one row each."""

from __future__ import annotations

import msgspec

from bm.accounts.credentials import Credential
from bm.accounts.pool import Pool
from bm.accounts.report import Quota, counts, rows
from bm.dispatch.outcome import AccountEffect
from tests.accounts.build import DAY, NOON, apply, credential, target

SECRET = "planted-secret-value-0123456789"


def pool() -> Pool:
    made = Pool(
        [
            credential("a", key=SECRET, project="p"),
            credential("b"),
            credential("c"),
            credential("d", enabled=False),
            Credential(account=credential("e").account, problem="no key"),
        ]
    )
    apply(made, "cooldown", 0, to=target("b", "m"), seconds=60, reason="quota of a minute")
    apply(made, "cooldown", 0, to=target("b", "n"), seconds=20, reason="another")
    apply(made, "excluded", 0, to=target("b", "o"), reason="not in the tier")
    apply(made, "disabled", 0, to=target("c"), reason="API key not valid")
    made.begin(target("a"), now=5, wall=NOON + 5)
    made.begin(target("a"), now=6, wall=NOON + 6).end()
    apply(made, "fault", 7, to=target("a"), reason="500")
    return made


def test_each_account_has_its_state_and_the_reason() -> None:
    assert [(row.name, row.state, row.reason) for row in rows(pool(), now=10, wall=NOON + 10)] == [
        ("a", "usable", ""),
        ("b", "cooling down", "another"),
        ("c", "disabled", "API key not valid"),
        ("d", "off", "switched off (bm accounts enable d)"),
        ("e", "disabled", "no key"),
    ]
    assert counts(pool(), now=10, wall=NOON + 10) == {"usable": 1, "cooling down": 1, "disabled": 2, "off": 1}


def test_cooldowns_are_listed_with_the_time_left_the_soonest_first() -> None:
    row = rows(pool(), now=10, wall=NOON + 10)[1]
    assert [(each.model, each.seconds, each.reason) for each in row.cooldowns] == [
        ("n", 10, "another"),
        ("m", 50, "quota of a minute"),
    ]
    assert row.excluded == {"o": "not in the tier"}


def test_use_is_shown_in_wall_time_and_counted_by_day() -> None:
    today = rows(pool(), now=10, wall=NOON + 10)[0]
    assert (today.last_used, today.requests_today, today.failures_today, today.inflight) == (NOON + 6, 2, 1, 1)
    assert (today.health, today.last_error, today.project) == (0.8, "500", "p")
    later = rows(pool(), now=90_000, wall=NOON + 90_000)[0]
    assert (later.last_used, later.requests_today, later.failures_today) == (NOON + 6, 0, 0)


def test_the_next_answer_clears_the_last_error() -> None:
    made = pool()
    apply(made, "answered", 8, to=target("a"))
    assert rows(made, now=10, wall=NOON + 10)[0].last_error == ""
    tested = pool()
    tested.record_probe(target("a"), AccountEffect("answered"), now=8, wall=NOON + 8)
    assert rows(tested, now=10, wall=NOON + 10)[0].last_error == ""


def test_a_row_shows_a_hint_and_never_the_key() -> None:
    found = rows(pool(), now=10, wall=NOON + 10)
    assert found[0].key_hint == "plan…6789"
    assert SECRET not in msgspec.json.encode(found).decode() + repr(found)


def test_usage_of_quotas_is_shown_in_wall_time() -> None:
    made = Pool([credential("a", project="p"), credential("b", project="p")])
    lease = made.begin(target("a"), now=0, wall=NOON)
    made.begin(target("b"), now=1, wall=NOON + 1)
    made.begin(target("b"), now=1, wall=NOON + 1, metered=False)
    lease.runtime.meter.learn(DAY, 250, left=None, resets=None, now=1, wall=NOON + 1)
    lease.runtime.meter.count("m", 50, "tokens", now=1, wall=NOON + 1)
    for row in rows(made, now=2, wall=NOON + 2):
        assert row.quotas == (
            Quota("m", "minute", "requests", 2, None, int(NOON) + 60),
            Quota("m", "day", "requests", 2, 250, int(NOON) + 12 * 3600),
        ), "accounts of one project share their quota; tokens without a limit are not shown"
