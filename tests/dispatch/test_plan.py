from __future__ import annotations

from collections import Counter
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bm.config.schema import Choice, Routes
from bm.dispatch.plan import Plan
from bm.dispatch.snapshot import AccountState, Limits, Member, ModelState, Requirements
from bm.names import Mode
from tests.dispatch.transcript import attempts
from tests.dispatch.world import MODEL, account, gemini, order, paid, planned


def reasons(made: Plan) -> dict[str, str]:
    return {"/".join(filter(None, (row.provider, row.account))): row.reason for row in made.considered}


def test_off_is_never_used() -> None:
    made = planned(gemini("a"), paid("groq", "off"))
    assert order(made) == ["gemini/a"]
    assert reasons(made)["groq"] == "groq is off: bm providers mode groq fallback"


def test_off_is_not_used_even_by_its_prefix() -> None:
    made = planned(gemini("a"), paid("groq", "off"), model="groq:llama")
    assert made.targets == ()
    assert made.failure and made.failure.http_status == 400
    assert made.failure.message == "groq is off: bm providers mode groq fallback"


def test_exclusive_is_alone_with_its_own_accounts_in_turn() -> None:
    made = planned(gemini("a"), paid("groq", "exclusive", "one", "two"), paid("acme", "fallback"))
    assert order(made) == ["groq/one", "groq/two"]
    assert reasons(made)["gemini"] == reasons(made)["acme"] == "groq is exclusive"


def test_of_two_exclusive_providers_the_first_of_the_file_is_taken() -> None:
    assert order(planned(gemini("a"), paid("b", "exclusive"), paid("a", "exclusive"))) == ["b/key"]


def test_exclusive_is_exclusive_for_matching_requests_only() -> None:
    groq = paid("groq", "exclusive", protocols=("openai-chat",))
    assert order(planned(gemini("a"), groq, protocol="anthropic")) == ["gemini/a"]
    assert order(planned(gemini("a"), groq, protocol="openai-chat")) == ["groq/key"]


def test_exclusive_without_a_usable_key_fails_rather_than_going_elsewhere() -> None:
    made = planned(gemini("a"), paid("groq", "exclusive", account("key", disabled="401")))
    assert made.targets == ()
    assert made.failure and "key of groq: disabled: 401" in made.failure.message


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (0.0, ["gemini/a", "gemini/b", "gemini/c", "groq/key"]),
        (0.3, ["gemini/b", "gemini/c", "gemini/a", "groq/key"]),
        (0.6, ["gemini/c", "gemini/a", "gemini/b", "groq/key"]),
        (0.75, ["groq/key", "gemini/a", "gemini/b", "gemini/c"]),
        (0.9999, ["groq/key", "gemini/c", "gemini/a", "gemini/b"]),
    ],
)
def test_pooled_is_one_slot_beside_the_accounts_and_the_rest_of_the_pool_follows(
    number: float, expected: list[str]
) -> None:
    assert order(planned(gemini("a", "b", "c"), paid("groq", "pooled"), number=number)) == expected


def test_a_pooled_provider_has_one_slot_however_many_keys_it_has() -> None:
    made = planned(gemini("a"), paid("groq", "pooled", "one", "two", "three"), number=0.5)
    assert order(made) == ["groq/one", "groq/two", "groq/three", "gemini/a"]


@pytest.mark.parametrize("providers", [1, 2, 3])
@pytest.mark.parametrize("accounts", [1, 2, 3, 4, 5])
def test_every_slot_has_its_share(accounts: int, providers: int) -> None:
    members = [gemini(*(f"a{n}" for n in range(accounts))), *(paid(f"p{n}", "pooled") for n in range(providers))]
    slots, each = accounts + providers, 8
    evenly = [(n + 0.5) / (slots * each) for n in range(slots * each)]
    counts = Counter(order(planned(*members, number=number))[0] for number in evenly)
    assert len(counts) == slots and set(counts.values()) == {each}


def test_only_usable_accounts_are_slots() -> None:
    members = (gemini("a", account("b", cooldown=9), account("c", disabled="401")), paid("groq", "pooled"))
    assert order(planned(*members, number=0.49)) == ["gemini/a", "groq/key"]
    assert order(planned(*members, number=0.51)) == ["groq/key", "gemini/a"]


def test_a_pooled_provider_that_is_cooling_down_is_no_slot() -> None:
    assert order(planned(gemini("a"), paid("groq", "pooled", account("key", cooldown=9)), number=0.99)) == ["gemini/a"]


def test_without_accounts_the_pooled_providers_share_all() -> None:
    assert order(planned(gemini(), paid("x", "pooled"), paid("y", "pooled"), number=0.6)) == ["y/key", "x/key"]


def test_the_longest_unused_account_is_first() -> None:
    made = planned(gemini(account("a", idle=1), account("b", idle=30), account("c", idle=5)), number=0.99)
    assert order(made) == ["gemini/b", "gemini/c", "gemini/a"]


@pytest.mark.parametrize("number", [0.0, 0.4, 0.99])
def test_accounts_of_a_lower_tier_come_first_even_when_they_are_nearly_spent(number: float) -> None:
    spent = account("a", idle=1, states={"": ModelState(nearly_spent=True)})
    members = gemini(account("paid", tier=1), spent, account("b", idle=30), account("ill", health=0.1))
    made = planned(members, number=number)
    assert order(made) == ["gemini/b", "gemini/a", "gemini/paid", "gemini/ill"]
    assert reasons(made)["gemini/b"] == "in turn among the Gemini accounts of the lowest tier that is usable"


def test_fallback_comes_after_the_accounts() -> None:
    made = planned(gemini("a", "b"), paid("groq", "fallback", "one", "two"))
    assert order(made) == ["gemini/a", "gemini/b", "groq/one", "groq/two"]


def test_fallback_comes_first_when_no_account_is_usable_for_this_model() -> None:
    cooling = account("a", states={MODEL: ModelState(cooldown=600, reason="429")})
    members = (gemini(cooling), paid("groq", "fallback"))
    assert order(planned(*members)) == ["groq/key"]
    assert order(planned(*members, model="gemini-3.1-pro-preview")) == ["gemini/a", "groq/key"]


def test_fallbacks_that_need_no_translation_come_first() -> None:
    native = paid("n", "fallback", speaks=("anthropic",))
    assert order(planned(gemini("a"), paid("z", "fallback"), native)) == ["gemini/a", "n/key", "z/key"]
    assert order(planned(gemini("a"), native, paid("z", "fallback"), protocol="openai-chat"))[-2:] == ["z/key", "n/key"]


def test_a_misspelt_prefix_is_refused_with_the_nearest() -> None:
    made = planned(gemini("a"), paid("groq", "fallback"), model="gorq:llama")
    assert made.failure and made.failure.http_status == 404 and "groq:llama" in made.failure.message
    routed = planned(gemini("a"), paid("groq", "fallback"), model="gorq:llama", routes=Routes(default="groq:x"))
    assert routed.failure == made.failure, "a route makes no other model of it"
    comma = planned(gemini("a"), paid("groq", "fallback"), model="groq,openai/x")
    assert comma.failure and "did you mean groq:openai/x?" in comma.failure.message
    listed = account("a", models=frozenset({"gorq:llama"}))
    assert planned(gemini(listed), paid("groq", "fallback"), model="gorq:llama").failure is None


@pytest.mark.parametrize(
    ("model", "mode", "said"),
    [
        ("llama-9", "fallback", True),
        ("llama-9", "pooled", True),
        ("llama-9", "exclusive", False),
        ("groq:llama-9", "fallback", False),
        ("another", "fallback", False),
        (MODEL, "fallback", False),
        ("claude-sonnet-9", "fallback", False),
    ],
)
def test_a_name_that_a_provider_lists_and_the_pool_replaces_is_explained(model: str, mode: Mode, said: bool) -> None:
    lists = frozenset({"llama-9", MODEL, "claude-sonnet-9"})
    made = planned(
        gemini(account("a", models=frozenset({MODEL}))), paid("groq", mode, account("key", models=lists)), model=model
    )
    words = "groq lists llama-9, but its mode puts the pool first or beside it: ask for groq:llama-9"
    assert (words in made.steps) is said


def test_fallbacks_come_in_the_order_of_the_file() -> None:
    members = (gemini("a"), paid("z", "fallback"), paid("b", "fallback"), paid("m", "fallback"))
    assert order(planned(*members, number=0.9)) == ["gemini/a", "z/key", "b/key", "m/key"]


def test_pooled_comes_before_fallback() -> None:
    made = planned(gemini(), paid("z", "fallback"), paid("b", "pooled"))
    assert order(made) == ["b/key", "z/key"]


def test_targets_that_are_cooling_down_are_listed_with_the_soonest_first() -> None:
    made = planned(gemini(account("a", cooldown=20), account("b", cooldown=5)), paid("groq", "fallback"))
    assert [(choice.target.account, choice.seconds) for choice in made.cooling_down] == [("b", 5), ("a", 20)]
    assert made.failure is None


@pytest.mark.parametrize("mode", ["exclusive", "pooled", "fallback"])
def test_a_prefix_goes_to_that_provider_alone_whatever_its_mode(mode: Mode) -> None:
    groq = paid("groq", mode, protocols=())
    made = planned(gemini("a"), groq, paid("acme", "exclusive"), model="groq:llama-3.3-70b-versatile")
    assert [str(target) for target in made.targets] == ["groq/key llama-3.3-70b-versatile"]
    assert made.steps == ("the prefix asks for groq",)


def test_the_prefix_of_the_pool_asks_for_the_accounts_alone() -> None:
    made = planned(gemini("a", "b"), paid("groq", "exclusive"), model="gemini:gemini-2.5-pro")
    assert order(made) == ["gemini/a", "gemini/b"]


def test_a_prefix_goes_on_to_others_where_the_user_allows_it() -> None:
    made = planned(gemini("a"), paid("groq", "off"), paid("acme", "pooled", allow_failover=True), model="acme:sonnet")
    assert [str(target) for target in made.targets] == ["acme/key acme-model", f"gemini/a {MODEL}"]


def test_a_prefix_of_a_disabled_pool_names_the_command() -> None:
    on = gemini("a")
    off = msgspec.structs.replace(on, provider=msgspec.structs.replace(on.provider, enabled=False))
    made = planned(off, model="gemini:gemini-2.5-pro")
    assert made.failure and made.failure.message == "gemini is disabled: bm providers enable gemini"


def test_an_alias_leads_to_its_provider_and_model() -> None:
    made = planned(gemini("a"), paid("groq", "fallback"), model="fast", aliases={"fast": "groq:llama"})
    assert [str(target) for target in made.targets] == ["groq/key llama"]
    assert made.asked == "fast"


MIXED = (gemini("a", "b"), paid("groq", "fallback"), paid("acme", "pooled", "one", "two"))


@pytest.mark.parametrize(
    ("chain", "expected"),
    [
        (("groq:x", "gemini:pro"), ["groq/key", "gemini/a", "gemini/b"]),
        (("gemini:pro", "acme:x", "groq:y"), ["gemini/a", "gemini/b", "acme/one", "acme/two", "groq/key"]),
        (("acme:x", MODEL), ["acme/one", "acme/two", "gemini/a", "gemini/b", "acme/one", "acme/two", "groq/key"]),
        (("groq:x", "groq:y", "groq:x"), ["groq/key", "groq/key"]),
    ],
)
def test_a_chain_is_tried_in_its_order(chain: tuple[str, ...], expected: list[str]) -> None:
    made = planned(*MIXED, model="best", aliases={"best": chain})
    assert order(made) == expected
    assert [choice.link for choice in made.choices] == sorted(choice.link for choice in made.choices)
    assert made.choices[0].reason == f"choice 1: {chain[0]}"


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ((gemini("a"), paid("groq", "off")), ["gemini/a"]),
        ((gemini(account("a", disabled="401")), paid("groq", "fallback")), ["groq/key"]),
        ((gemini(account("a", cooldown=9)), paid("groq", "fallback")), ["groq/key"]),
        ((gemini(), paid("groq", "fallback")), ["groq/key"]),
    ],
)
def test_a_link_that_is_not_usable_is_passed_over(members: tuple[Member, ...], expected: list[str]) -> None:
    assert order(planned(*members, model="best", aliases={"best": ("gemini:pro", "groq:x")})) == expected


def test_a_chain_without_any_usable_link_says_why_of_all() -> None:
    made = planned(gemini(), paid("groq", "off"), model="best", aliases={"best": ("gemini:pro", "groq:x")})
    assert made.failure and made.failure.http_status == 400
    assert made.failure.message == (
        "no account can serve pro or x: gemini has no key: bm accounts add NAME; "
        "groq is off: bm providers mode groq fallback"
    )


def test_what_no_model_of_the_first_link_takes_goes_to_the_next() -> None:
    blind = paid("groq", "fallback", models={"default": "llama-3.3-70b"}, serves=("x",))
    aliases = {"best": ("groq:llama-3.3-70b", MODEL)}
    made = planned(gemini("a"), blind, model="best", aliases=aliases, requirements=Requirements(images=True))
    assert order(made) == ["gemini/a"]
    earlier = Requirements(images=True, replaceable=frozenset({"images"}))
    made = planned(gemini("a"), blind, model="best", aliases=aliases, requirements=earlier)
    assert order(made) == ["gemini/a", "groq/key"], "the model without images is a last resort of the whole chain"


def test_what_takes_no_part_in_a_chain_is_named_once_with_the_reason_that_helps() -> None:
    aliases = {"best": ("gemini:pro", "groq:x", "gemini:flash")}
    made = planned(gemini("a"), paid("groq", "off"), paid("acme", "fallback"), model="best", aliases=aliases)
    assert reasons(made) == {
        "gemini/a": "choice 1: gemini:pro",
        "groq": "groq is off: bm providers mode groq fallback",
        "acme": "the chain does not name it",
    }


PRICES = {("groq", "x"): 2.0, ("acme", "y"): 1.0, ("gemini", MODEL): 3.0}


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ((gemini("a"), paid("groq", "fallback"), paid("acme", "fallback")), ["acme", "groq", "gemini", "groq"]),
        ((gemini("a"), paid("groq", "fallback"), paid("acme", "off")), ["groq", "gemini", "groq"]),
    ],
)
def test_the_cheapest_that_can_comes_first_and_an_unknown_price_last(
    members: tuple[Member, ...], expected: list[str]
) -> None:
    aliases = {"frugal": Choice(cheapest=("groq:unknown", f"gemini:{MODEL}", "groq:x", "acme:y"))}
    made = planned(*members, model="frugal", aliases=aliases, prices=PRICES)
    assert [target.provider for target in made.targets] == expected


def test_a_conversation_stays_with_the_name_that_was_chosen_for_it() -> None:
    aliases = {"shared": Choice(weighted={"groq:x": 1, "gemini:pro": 1})}
    members = (gemini("a", "b"), paid("groq", "fallback"))
    assert order(planned(*members, model="shared", aliases=aliases, draw=0.0))[0] == "groq/key"
    assert order(planned(*members, model="shared", aliases=aliases, draw=0.9))[0] == "gemini/a"
    stays = planned(*members, model="shared", aliases=aliases, draw=0.0, affinity=("gemini", "b"))
    assert order(stays) == ["gemini/b", "gemini/a", "groq/key"]


def test_each_target_maps_the_family_for_itself() -> None:
    made = planned(
        gemini("a"), paid("groq", "fallback", models={"haiku": "gpt-oss-20b"}), model="claude-3-5-haiku-latest"
    )
    assert [target.model for target in made.targets] == ["gemini-3.5-flash-lite", "gpt-oss-20b"]


def test_match_models_are_compared_with_what_the_alias_stands_for() -> None:
    groq = paid("groq", "exclusive", match_models=("claude-*",))
    assert order(planned(gemini("a"), groq, model="best", aliases={"best": "claude-opus-5-5"})) == ["groq/key"]
    assert order(planned(gemini("a"), groq, model="gemini-2.5-pro")) == ["gemini/a"]


PICTURE_ONCE = Requirements(images=True, replaceable=frozenset({"images"}))
PLAIN: dict[str, Any] = {"models": {"default": "llama-3.3-70b"}, "serves": ("x",)}


@pytest.mark.parametrize("mode", ["pooled", "fallback"])
def test_a_model_that_takes_no_images_is_the_last_resort_for_a_conversation_with_pictures(mode: Mode) -> None:
    """It has no slot, and comes even after a fallback that takes them."""
    for number in (0.0, 0.5, 0.99):
        able = paid("acme", "fallback", models={"default": "acme-1"}, serves=("x",))
        made = planned(gemini("a", "b"), paid("groq", mode, **PLAIN), able, number=number, requirements=PICTURE_ONCE)
        assert set(order(made)[:2]) == {"gemini/a", "gemini/b"} and order(made)[2:] == ["acme/key", "groq/key"]
        assert [choice.without for choice in made.choices] == [frozenset()] * 3 + [{"images"}]


def test_an_exclusive_model_that_takes_no_images_continues_a_conversation_that_once_had_a_picture() -> None:
    made = planned(gemini("a"), paid("groq", "exclusive", **PLAIN), requirements=PICTURE_ONCE)
    assert order(made) == ["groq/key"] and made.failure is None
    assert next(attempts(made, Limits())).without == {"images"}
    refused = planned(gemini("a"), paid("groq", "exclusive", **PLAIN), requirements=Requirements(images=True)).failure
    assert refused is not None and refused.http_status == 400


def test_affinity_keeps_no_conversation_with_pictures_at_a_model_that_takes_no_images() -> None:
    stuck = ("groq", "key")
    made = planned(gemini("a"), paid("groq", "pooled", **PLAIN), requirements=PICTURE_ONCE, affinity=stuck)
    assert order(made) == ["gemini/a", "groq/key"]


def test_a_conversation_stays_where_it_was_served() -> None:
    made = planned(gemini("a", "b", "c"), paid("groq", "pooled"), affinity=("gemini", "c"))
    assert order(made) == ["gemini/c", "gemini/a", "gemini/b", "groq/key"]
    assert reasons(made)["gemini/c"] == "this conversation was served here before"


def test_a_conversation_stays_with_a_pooled_provider_too() -> None:
    made = planned(gemini("a", "b"), paid("groq", "pooled"), affinity=("groq", "key"))
    assert order(made) == ["groq/key", "gemini/a", "gemini/b"]


def test_a_conversation_moves_when_its_target_is_cooling_down() -> None:
    made = planned(gemini("a", account("b", cooldown=3)), affinity=("gemini", "b"))
    assert order(made) == ["gemini/a"]


def test_a_conversation_served_by_a_fallback_comes_back_to_the_accounts() -> None:
    made = planned(gemini("a"), paid("x", "fallback"), paid("y", "fallback"), affinity=("y", "key"))
    assert order(made) == ["gemini/a", "y/key", "x/key"]


def test_a_target_that_cannot_serve_the_request_is_skipped_with_the_reason() -> None:
    plain = paid("groq", "fallback", models={"default": "llama-3.3-70b"}, serves=("x",))
    made = planned(gemini("a"), plain, requirements=Requirements(images=True))
    assert order(made) == ["gemini/a"]
    assert reasons(made)["groq/key"] == "llama-3.3-70b takes no images"


def test_when_no_model_is_suitable_the_client_gets_the_reason() -> None:
    plain = paid("groq", "exclusive", models={"default": "llama-3.3-70b"}, serves=("x",))
    made = planned(plain, requirements=Requirements(images=True))
    assert made.failure and made.failure.http_status == 400
    assert "groq: llama-3.3-70b takes no images" in made.failure.message


def test_without_any_account_the_remedies_are_named() -> None:
    made = planned(gemini(), paid("groq", "off"), paid("acme", "off", configured=False))
    assert made.failure and made.failure.http_status == 400
    assert made.failure.should_retry is False
    assert "gemini has no key: bm accounts add NAME" in made.failure.message
    assert "groq is off: bm providers mode groq fallback" in made.failure.message
    assert "acme" not in made.failure.message


def test_unconfigured_providers_are_not_mentioned() -> None:
    made = planned(gemini("a"), paid("acme", "off", configured=False))
    assert [row.provider for row in made.considered] == ["gemini"]


def test_a_cooldown_beyond_the_limit_is_returned_as_a_delay() -> None:
    made = planned(gemini(account("a", cooldown=90), account("b", cooldown=80)), limits=Limits(max_wait=5))
    assert made.failure and made.failure.http_status == 429
    assert (made.failure.retry_after, made.failure.should_retry) == (80, False)


ACCOUNTS = st.builds(
    lambda name, disabled, cooldown, idle, circuit: account(
        name, disabled=disabled, idle=idle, states={"": ModelState(cooldown=cooldown, circuit=circuit)}
    ),
    st.sampled_from("abcdef"),
    st.sampled_from(["", "", "401"]),
    st.sampled_from([0.0, 0.0, 3.0, 900.0]),
    st.one_of(st.none(), st.floats(0, 100)),
    st.sampled_from(["closed", "half_open", "open"]),
)
POOLS = st.lists(ACCOUNTS, max_size=6, unique_by=lambda each: each.name)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Member, ...]:
    names = draw(st.lists(st.sampled_from(["groq", "together", "acme", "openai"]), unique=True))
    members = [
        paid(name, draw(st.sampled_from(get_args(Mode))), *draw(POOLS), enabled=draw(st.booleans())) for name in names
    ]
    return (gemini(*draw(POOLS)), *members)


def usable(state: AccountState) -> bool:
    found = state.state(MODEL)
    return not state.disabled and not found.cooldown and found.circuit != "open"


@given(worlds(), st.floats(0, 1, exclude_max=True), st.sampled_from([MODEL, "groq:x", "claude-opus-5-5"]))
def test_every_plan_keeps_the_rules(members: tuple[Member, ...], number: float, model: str) -> None:
    made = planned(*members, number=number, model=model)
    candidates = {(m.provider.name, a.name): (m.provider, a) for m in members for a in m.accounts}
    chosen = [candidates[target.account_id] for target in made.targets]
    assert all(usable(state) for _, state in chosen)
    assert all(provider.enabled and (provider.pool or provider.mode != "off") for provider, _ in chosen)
    assert len(set(made.targets)) == len(made.targets)
    exclusive = [p.name for p, _ in chosen if p.mode == "exclusive" and not p.pool]
    assert not exclusive or len({provider.name for provider, _ in chosen}) == 1
    assert all(choice.reason and choice.mapping for choice in (*made.choices, *made.cooling_down))
    assert all(row.reason for row in made.considered)
    assert made.choices or made.cooling_down or made.failure
    assert not (made.choices and made.failure)


@given(worlds(), st.floats(0, 1, exclude_max=True))
def test_equal_random_numbers_make_equal_plans(members: tuple[Member, ...], number: float) -> None:
    assert planned(*members, number=number) == planned(*members, number=number)
