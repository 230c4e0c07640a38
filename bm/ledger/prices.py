"""What tokens cost, by the price data of `genai-prices`."""

from __future__ import annotations

from bm.chat.events import Usage

_PROVIDER_IDS = {"gemini": "google", "xai": "x-ai"}
"""Names under which the price data knows a provider, where they differ from bm's."""


def load() -> None:
    """Read the price data, which takes a good part of a second."""
    cost_of("gemini", "", Usage())


def cost_of(provider: str, model: str, usage: Usage) -> float | None:
    """US dollars for an answer at the provider's list price; None when no price is known.

    Accounts of Gemini's free tier pay nothing; this is what the same tokens would cost.
    """
    # The data is large, and most commands never need it.
    import genai_prices

    try:
        tokens = genai_prices.Usage(
            input_tokens=usage.prompt,
            cache_read_tokens=usage.cache_read,
            cache_write_tokens=usage.cache_write,
            cache_write_1h_tokens=usage.cache_write_1h or None,
            output_tokens=usage.output,
        )
        price = genai_prices.calc_price(tokens, model_ref=model, provider_id=_PROVIDER_IDS.get(provider, provider))
    except (LookupError, ValueError):
        # ValueError: an upstream's counts that make no sense.
        return None
    return float(price.total_price)
