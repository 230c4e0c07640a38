from __future__ import annotations

import msgspec
import pytest

from bm.dispatch.candidates import Candidate, candidates_of, mismatch, missing_key, switched_off
from bm.dispatch.snapshot import AccountState, Member, ModelState, Requirements, RouteQuery
from tests.dispatch.world import MODEL, account, gemini, paid

QUERY = RouteQuery(model=MODEL, protocol="anthropic")


def candidate(
    state: AccountState, requirements: Requirements | None = None, contexts: dict[str, int] | None = None
) -> Candidate:
    query = RouteQuery(model=MODEL, protocol="anthropic", requirements=requirements or Requirements())
    return next(candidates_of(gemini(state, contexts=contexts), "pool", query, MODEL))


def test_a_usable_account_is_ready() -> None:
    found = candidate(account("a"))
    assert (found.verdict, found.reason, found.target.model) == ("ready", "", MODEL)


@pytest.mark.parametrize(
    ("state", "verdict", "reason"),
    [
        (account("a", disabled="key refused"), "disabled", "disabled: key refused"),
        (
            account("a", states={MODEL: ModelState(excluded="limit: 0")}),
            "excluded",
            f"this account does not have {MODEL}: limit: 0",
        ),
        (account("a", cooldown=7), "cooling down", "429"),
        (account("a", states={MODEL: ModelState(cooldown=7)}), "cooling down", "cooling down"),
        (account("a", states={MODEL: ModelState(circuit="open")}), "cooling down", "overloaded repeatedly"),
        (account("a", states={MODEL: ModelState(circuit="half_open")}, inflight=1), "ready", ""),
        (account("a", states={MODEL: ModelState(circuit="half_open")}), "ready", ""),
        (account("a", states={"gemini-3.1-pro-preview": ModelState(cooldown=7)}), "ready", ""),
        (account("a", inflight=9, health=0.1), "ready", ""),
    ],
)
def test_the_verdict_on_an_account_and_the_reason(state: AccountState, verdict: str, reason: str) -> None:
    found = candidate(state)
    assert found.verdict == verdict
    assert reason in found.reason


@pytest.mark.parametrize("need", ["tools", "images", "documents"])
def test_a_model_that_cannot_serve_the_request_is_unsuitable(need: str) -> None:
    member = paid("groq", "fallback", models={"default": "whisper-large-v3"}, serves=("x",))
    query = RouteQuery(
        model=MODEL, protocol="anthropic", requirements=msgspec.structs.replace(Requirements(), **{need: True})
    )
    (found,) = candidates_of(member, "pool", query, MODEL)
    assert (found.verdict, found.reason) == ("unsuitable", f"whisper-large-v3 takes no {need}")


PICTURE_ONCE = Requirements(images=True, replaceable=frozenset({"images"}))


def test_a_model_that_takes_no_images_can_continue_without_those_of_earlier_turns() -> None:
    member = paid("groq", "fallback", models={"default": "llama-3.3-70b"}, serves=("x",))
    query = RouteQuery(model=MODEL, protocol="anthropic", requirements=PICTURE_ONCE)
    (found,) = candidates_of(member, "pool", query, MODEL)
    assert (found.verdict, found.without) == ("ready", frozenset({"images"}))
    assert found.reason.startswith("llama-3.3-70b takes no images: a last resort")
    assert candidate(account("a"), PICTURE_ONCE).without == frozenset()
    cooling = paid("groq", "fallback", account("key", cooldown=7), models={"default": "llama-3.3-70b"}, serves=("x",))
    (waits,) = candidates_of(cooling, "pool", query, MODEL)
    assert (waits.verdict, waits.without, waits.reason) == ("cooling down", frozenset({"images"}), "429")


def test_a_model_that_lacks_more_than_a_note_can_replace_is_unsuitable() -> None:
    member = paid("groq", "fallback", models={"default": "whisper-large-v3"}, serves=("x",))
    requirements = msgspec.structs.replace(PICTURE_ONCE, tools=True)
    query = msgspec.structs.replace(QUERY, requirements=requirements)
    (found,) = candidates_of(member, "pool", query, MODEL)
    assert (found.verdict, found.reason) == ("unsuitable", "whisper-large-v3 takes no tools")


def test_a_request_longer_than_the_context_is_too_long() -> None:
    found = candidate(account("a"), Requirements(tokens=9_000), {MODEL: 8_000})
    assert found.verdict == "too long"
    assert found.reason == f"{MODEL} takes 8000 tokens, the request has 9000 or more"


def test_a_learned_context_limit_overrides_the_familys() -> None:
    assert candidate(account("a")).context == 1_048_576
    assert candidate(account("a"), contexts={MODEL: 8_000}).context == 8_000


def test_every_account_maps_the_model_by_its_own_list() -> None:
    lists = [account("old", models=frozenset({"gemini-2.5-pro"})), account("new", models=frozenset({"gemini-9"}))]
    found = [each.target.model for each in candidates_of(gemini(*lists), "pool", QUERY, "gemini-9")]
    assert found == [MODEL, "gemini-9"]


@pytest.mark.parametrize(
    ("member", "model", "stand_in"),
    [
        (paid("acme", "fallback"), "gpt-9", "acme-model"),
        (paid("acme", "fallback"), "acme-model", ""),
        (paid("acme", "fallback", account("key", models=frozenset({"gpt-9"}))), "gpt-9", ""),
        (paid("acme", "fallback", models={}), "gpt-9", ""),
        (gemini("a"), "gemini-9", ""),
    ],
)
def test_the_default_stands_by_where_it_is_unknown_whether_the_provider_has_the_model(
    member: Member, model: str, stand_in: str
) -> None:
    (found,) = candidates_of(member, "pool", QUERY, model)
    assert (found.stand_in.target.model if found.stand_in else "") == stand_in


def test_the_default_that_stands_by_is_judged_like_any_other() -> None:
    member = paid("acme", "fallback", models={"default": "openai/gpt-oss-120b"})
    query = RouteQuery(model="gpt-9", protocol="anthropic", requirements=PICTURE_ONCE)
    (found,) = candidates_of(member, "fallback", query, "gpt-9")
    assert not found.without
    assert found.stand_in is not None and found.stand_in.without == {"images"}


def test_the_clients_protocol_is_used_where_the_provider_speaks_it() -> None:
    both = paid("acme", "fallback", speaks=("openai-chat", "anthropic"))
    assert [each.target.protocol for each in candidates_of(both, "pool", QUERY, MODEL)] == ["anthropic"]
    assert [each.target.protocol for each in candidates_of(gemini("a"), "pool", QUERY, MODEL)] == ["gemini"]


def ranked(*states: AccountState) -> list[str]:
    found = sorted(candidates_of(gemini(*states), "pool", QUERY, MODEL), key=lambda each: each.rank)
    return [each.target.account for each in found]


def test_the_longest_idle_account_is_first() -> None:
    assert ranked(account("just", idle=1), account("new"), account("long", idle=60)) == ["new", "long", "just"]


def test_busy_weak_and_half_open_accounts_are_last() -> None:
    half = {MODEL: ModelState(circuit="half_open")}
    states = (account("half", states=half), account("weak", health=0.2), account("busy", inflight=1), account("well"))
    assert ranked(*states) == ["well", "busy", "weak", "half"]


@pytest.mark.parametrize(
    ("member", "why"),
    [
        (paid("groq", "off"), "groq is off: bm providers mode groq fallback"),
        (paid("groq", "off", enabled=False), "groq is off: bm providers mode groq fallback"),
        (paid("groq", "pooled", enabled=False), "groq is disabled: bm providers enable groq"),
        (paid("groq", "pooled", protocols=("openai-chat",)), "it serves openai-chat requests, this is anthropic"),
        (paid("groq", "pooled", protocols=()), "it serves no requests, this is anthropic"),
        (paid("groq", "pooled", match_models=("claude-*",)), f"no pattern of its match_models fits {MODEL}"),
        (paid("groq", "pooled", match_models=("claude-*", "GEMINI-*")), ""),
        (paid("groq", "exclusive"), ""),
        (gemini("a"), ""),
    ],
)
def test_why_a_provider_does_not_match(member: Member, why: str) -> None:
    assert mismatch(member.provider, QUERY) == why


def test_a_prefix_needs_no_match_but_a_provider_that_is_on() -> None:
    assert switched_off(paid("groq", "pooled", protocols=()).provider) == ""
    assert switched_off(paid("groq", "off").provider)


def test_a_provider_that_is_turned_on_but_not_enabled_says_both() -> None:
    assert switched_off(paid("groq", "off", enabled=False).provider).endswith("bm providers mode groq fallback")


def test_a_missing_key_names_the_command_and_the_place() -> None:
    assert missing_key(gemini().provider) == "gemini has no key: bm accounts add NAME"
    console = paid("groq", "off", console="https://console.groq.com/keys").provider
    assert missing_key(console) == "groq has no key: bm providers key groq (get a key at https://console.groq.com/keys)"


def test_an_account_that_has_nearly_used_up_its_minute_is_after_the_others() -> None:
    spent = account("spent", states={MODEL: ModelState(nearly_spent=True)})
    assert ranked(spent, account("just", idle=1)) == ["just", "spent"]
