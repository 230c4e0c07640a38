"""What is known of how many tokens models take."""

from __future__ import annotations

from bm.gateway.contexts import KEEP, MAX_TOLD, Contexts, Told

NOW = 1_800_000_000.0


def told(model: str, tokens: int, *, provider: str = "acme", source: str = "here", at: float = NOW) -> Told:
    return Told(provider, source, model, tokens, at)


def test_a_refusal_goes_before_the_list_whichever_came_first() -> None:
    contexts = Contexts()
    contexts.read("acme", {"large": 200_000, "small": 8_000, "silent": 0})
    contexts.learn(told("large", 128_000))
    assert contexts.of("acme") == {"large": 128_000, "small": 8_000}
    contexts.read("acme", {"large": 200_000})
    assert contexts.of("acme") == {"large": 128_000}
    assert contexts.of("other") == {}


def test_only_refusals_are_kept_since_lists_are_read_again() -> None:
    contexts, heir = Contexts(), Contexts()
    contexts.read("acme", {"small": 8_000})
    contexts.learn(told("large", 128_000))
    heir.adopt(contexts.saved(), {"acme": "here"})
    assert heir.of("acme") == {"large": 128_000}


def test_what_another_service_under_the_same_name_said_is_void() -> None:
    heir = Contexts()
    heir.adopt((told("large", 128_000), told("large", 64_000, provider="gone")), {"acme": "elsewhere"})
    assert heir.saved() == ()
    heir.learn(told("large", 128_000))
    heir.forget("acme")
    assert heir.of("acme") == {}


def test_a_refusal_is_believed_for_a_week() -> None:
    contexts = Contexts()
    contexts.learn(told("old", 1_000, at=NOW - KEEP - 1))
    contexts.learn(told("new", 2_000, at=NOW - KEEP + 1))
    assert contexts.of("acme") == {"old": 1_000, "new": 2_000}
    contexts.expire(NOW)
    assert contexts.of("acme") == {"new": 2_000}


def test_the_latest_refusals_are_remembered() -> None:
    contexts = Contexts()
    for number in range(MAX_TOLD + 2):
        contexts.learn(told(f"model-{number}", 1_000))
    assert (len(contexts.of("acme")), "model-1" in contexts.of("acme")) == (MAX_TOLD, False)
