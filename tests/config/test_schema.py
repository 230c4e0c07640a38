"""Settings of a provider that override common ones, and secrets that do not show."""

from __future__ import annotations

import pytest

from bm.config.schema import Config, Gemini, ProviderConfig, TimeoutOverrides, Timeouts, UpstreamProxy

CONFIG = Config(
    timeouts=Timeouts(idle=80),
    upstream_proxy=UpstreamProxy(url="http://office:3128"),
    gemini=Gemini(timeouts=TimeoutOverrides(first_byte=70)),
    providers={
        "groq": ProviderConfig(timeouts=TimeoutOverrides(connect=2, first_token=0), proxy=UpstreamProxy(url="direct")),
        "plain": ProviderConfig(),
    },
)


def test_timeouts_of_a_provider_override_the_common_ones() -> None:
    assert CONFIG.timeouts_for("groq") == Timeouts(connect=2, first_token=0, idle=80)
    assert CONFIG.timeouts_for("gemini") == Timeouts(first_byte=70, idle=80)
    assert CONFIG.timeouts_for("plain") == CONFIG.timeouts_for("unheard-of") == CONFIG.timeouts


@pytest.mark.parametrize(
    ("timeouts", "first_byte"),
    [
        (Timeouts(hedge=9, first_byte=30), 9),
        (Timeouts(hedge=9, first_byte=5), 5),
        (Timeouts(hedge=9, first_byte=0), 9),
        (Timeouts(hedge=0, first_byte=5), 5),
    ],
)
def test_silence_ends_a_request_beside_which_no_other_is_made(timeouts: Timeouts, first_byte: float) -> None:
    assert timeouts.alone.first_byte == first_byte


def test_the_proxy_of_a_provider_replaces_the_common_one() -> None:
    assert CONFIG.proxy_for("groq") == UpstreamProxy(url="direct")
    assert CONFIG.proxy_for("gemini") == CONFIG.proxy_for("plain") == CONFIG.upstream_proxy


def test_no_secret_shows_in_a_repr() -> None:
    secret = "planted-secret"
    proxy = UpstreamProxy(url=f"http://user:{secret}@proxy:3128")
    provider = ProviderConfig(api_key=secret, headers={"x-token": secret}, proxy=proxy)
    config = Config(upstream_proxy=proxy, gemini=Gemini(headers={"x": secret}), providers={"acme": provider})
    assert secret not in repr(config)
    assert "acme" in repr(config)


def test_defaults_are_not_shared() -> None:
    Config().gemini.models["opus"] = "changed"
    assert Config().gemini.models["opus"] != "changed"
