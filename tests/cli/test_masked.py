"""The configuration is shown without its secrets."""

from __future__ import annotations

from bm.cli.masked import masked
from bm.config.schema import Config, Gemini, ProviderConfig, UpstreamProxy
from tests.cli.conftest import PLANTED


def test_keys_headers_and_passwords_are_masked() -> None:
    shown = masked(
        Config(
            upstream_proxy=UpstreamProxy(url=f"http://user:{PLANTED}@proxy:3128"),
            gemini=Gemini(headers={"x-token": PLANTED}),
            providers={
                "groq": ProviderConfig(api_key=PLANTED, base_url=f"https://{PLANTED}@example.com/v1"),
                "together": ProviderConfig(api_key="env:TOGETHER_API_KEY", base_url="https://example.com/v1"),
            },
        )
    )
    assert PLANTED not in str(shown)
    assert shown["upstream_proxy"]["url"] == "http://…@proxy:3128"
    assert shown["gemini"]["headers"] == {"x-token": "…"}
    assert shown["providers"]["groq"]["api_key"] == "plan…cdef"
    assert shown["providers"]["together"]["api_key"] == "env:TOGETHER_API_KEY"
    assert shown["providers"]["together"]["base_url"] == "https://example.com/v1"


def test_what_is_not_set_is_left_out() -> None:
    assert "proxy" not in masked(Config())["gemini"]
    assert masked(Config())["server"]["port"] == 8094
