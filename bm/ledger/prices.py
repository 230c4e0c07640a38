"""The cost of tokens, by the price data of `genai-prices`.

The library evaluates its rules for each price, which takes longer than serving a request. Within a price tier the rules
are linear, so bm asks it for the price of a million tokens of each kind and multiplies.

Its data takes 27 MiB of memory, of which a daemon needs a few models. So `use_process` has the data read by a process
that then ends: this module, run as a program.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from bm.chat.events import Usage

if TYPE_CHECKING:
    from genai_prices.types import ModelPrice

_PROVIDER_IDS = {"gemini": "google", "xai": "x-ai"}
"""Provider names in the price data, where they differ from bm's."""

_MOST_TOKENS = 2**31
"""More than any response uses: counts beyond are a mistake, of which the cost must not be added to others."""

_FRESH = 1_800
"""Seconds for which a price is cached, from the full or half hour: some change with the date, some at a time of day."""

_MOST = 256
"""Models whose prices are kept."""

_PATIENCE = 30.0
"""Seconds that the other process may take."""

_IDLE = 5.0
"""Seconds without a question after which it ends."""

_MILLION = 1_000_000


_CHARGING = ("openrouter", "perplexity", "xai")
"""Services whose responses say what they charge, in US dollars, with all that the price list does not know."""

_TIERS: tuple[tuple[str, str, str, float], ...] = (
    ("openai", "flex", "", 0.5),
    ("openai", "batch", "", 0.5),
    ("openai", "priority", "gpt-4.1", 1.75),
    ("openai", "priority", "gpt-5-mini", 1.8),
    ("openai", "priority", "gpt-5.5", 2.5),
    ("openai", "priority", "gpt-5", 2.0),
    ("openai", "priority", "gpt-6", 2.0),
    ("anthropic", "fast", "claude-opus-4-6", 6.0),
    ("anthropic", "fast", "claude-opus-4-7", 6.0),
    ("anthropic", "fast", "claude-opus-4-8", 2.0),
    ("anthropic", "fast", "claude-opus-5", 2.0),
    ("gemini", "flex", "", 0.5),
    ("gemini", "batch", "", 0.5),
)
"""By how much another tier of a service changes the price of tokens, for models that begin so; the first that fits.

Sources, read 2026-12-01: https://developers.openai.com/api/docs/pricing, https://openai.com/api-priority-processing/,
https://platform.claude.com/docs/en/build-with-claude/fast-mode, https://ai.google.dev/gemini-api/docs/optimization.
Gemini's priority costs 75 to 100 % more, so its price is unknown, as is that of any tier that is not listed here."""

_TIERED = frozenset(provider for provider, *_ in _TIERS)
"""Others have tiers of the same price (Groq's `flex`), or no tiers."""


class _Rates(msgspec.Struct, frozen=True):
    """US dollars per token of each kind, per web search, and per request; None for what has no known price."""

    request: float
    input: float | None
    cache_read: float
    cache_write: float
    cache_write_1h: float
    output: float | None
    audio_input: float
    audio_output: float
    image_output: float
    search: float | None


class _Card(msgspec.Struct, frozen=True):
    """A model's rates: the first for prompts of up to `steps[0]` tokens, the next for longer ones, and so on."""

    steps: tuple[int, ...]
    rates: tuple[_Rates, ...]


_FREE = _Card((), (_Rates(*[0.0] * len(_Rates.__struct_fields__)),))

Model: TypeAlias = tuple[str, str]
"""A provider's name and that of one of its models."""

_lock = threading.Lock()
_known: dict[Model, tuple[int, _Card | None]] = {}
"""The cards in use, each with the number of the half hour it is from."""


def load() -> None:
    """Read the price data into this process. Takes most of a second."""
    global _look_up
    _look_up = _in_process
    _in_process([("gemini", "")])


def use_process() -> None:
    """Look prices up in another process from now on, unless the data is in this one. A lookup takes half a second."""
    global _look_up
    if "genai_prices" not in sys.modules:
        _look_up = _in_another


def end_process() -> None:
    """End the other process, if there is one."""
    with _lock:
        _reader.end(now=True)


def cost_of(provider: str, model: str, usage: Usage) -> float | None:
    """The cost of a response in US dollars at the provider's list price; None if the price is unknown.

    Accounts of Gemini's free tier pay nothing; the result is what the same tokens would cost. Where a service says in
    the response what it charges, that is the cost.
    """
    if usage.charged is not None and provider in _CHARGING:
        return usage.charged
    shortly = usage.cache_write - usage.cache_write_1h
    counts = (usage.input, usage.cache_read, shortly, usage.cache_write_1h, usage.output, usage.searches)
    if min(counts) < 0 or max(counts) > _MOST_TOKENS:
        # The upstream reported inconsistent counts.
        return None
    card = _card((provider, model))
    if card is None:
        return None
    rates, factor = card.rates[bisect_left(card.steps, usage.prompt)], _factor(provider, model, usage.tier)
    kinds = ((rates.input, usage.prompt), (rates.output, usage.output), (rates.search, usage.searches), (factor, 1))
    if any(rate is None and count for rate, count in kinds):
        return None
    apart = usage.audio_output + usage.image_output
    tokens = (
        (rates.input or 0.0) * (usage.input - usage.audio_input)
        + rates.audio_input * usage.audio_input
        + rates.cache_read * usage.cache_read
        + rates.cache_write * shortly
        + rates.cache_write_1h * usage.cache_write_1h
        + (rates.output or 0.0) * (usage.output - apart)
        + rates.audio_output * usage.audio_output
        + rates.image_output * usage.image_output
    )
    return rates.request + tokens * (factor or 1.0) + (rates.search or 0.0) * usage.searches


def _factor(provider: str, model: str, tier: str) -> float | None:
    """By how much the tier changes the price; None if that is unknown."""
    if not tier or provider not in _TIERED:
        return 1.0
    fits = (
        factor
        for name, word, start, factor in _TIERS
        if (name, word) == (provider, tier) and model.rpartition("/")[2].startswith(start)
    )
    return next(fits, None)


def _card(model: Model) -> _Card | None:
    """The model's current rates; None if the price is unknown."""
    with _lock:
        now = int(time.time() // _FRESH)
        found = _known.get(model)
        if found is None or found[0] != now:
            # Those that were in use until now are looked up along with it.
            wanted = [model, *(name for name, (age, _) in _known.items() if age == now - 1 and name != model)]
            cards = _look_up(wanted[:_MOST])
            for name in [name for name, (age, _) in _known.items() if age != now or len(_known) >= _MOST]:
                del _known[name]
            _known.update((name, (now, card)) for name, card in zip(wanted, cards, strict=False))
            found = _known[model]
        return found[1]


def _in_process(models: Sequence[Model]) -> list[_Card | None]:
    return [_read_card(*model) for model in models]


_look_up: Callable[[Sequence[Model]], list[_Card | None]] = _in_process


class _Reader:
    """The process that has read the data. It ends when it has not been asked for some seconds, or when this one ends.

    Lines of JSON go in and out.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._end: threading.Timer | None = None

    def ask(self, models: Sequence[Model]) -> list[_Card | None]:
        """The cards of the models, from a new process if none is there.

        Raises:
            OSError, MsgspecError: there is no answer.
        """
        if self._end is not None:
            self._end.cancel()
        if self._process is None:
            pipe, flags = subprocess.PIPE, getattr(subprocess, "CREATE_NO_WINDOW", 0)
            command = [sys.executable, "-m", "bm.ledger.prices"]
            self._process = subprocess.Popen(
                command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, creationflags=flags
            )
        asked, answers = self._process.stdin, self._process.stdout
        assert asked is not None and answers is not None
        late = _timer(_PATIENCE, self._process.kill)
        try:
            asked.write(msgspec.json.encode(models) + b"\n")
            asked.flush()
            found = msgspec.json.decode(answers.readline(), type=list[_Card | None])
        finally:
            late.cancel()
        self._end = _timer(_IDLE, self._rest)
        return found

    def _rest(self) -> None:
        with _lock:
            if self._end is threading.current_thread():
                self.end()

    def end(self, *, now: bool = False) -> None:
        process, self._process, self._end = self._process, None, None
        if process is None:
            return
        if now:
            process.kill()
        process.communicate()


_reader = _Reader()


def _timer(seconds: float, work: Callable[[], None]) -> threading.Timer:
    timer = threading.Timer(seconds, work)
    timer.daemon = True
    timer.start()
    return timer


def _in_another(models: Sequence[Model]) -> list[_Card | None]:
    try:
        return _reader.ask(models)
    except (OSError, msgspec.MsgspecError):
        # No process can be started, for example. The price matters more than the memory.
        _reader.end()
        load()
        return _in_process(models)


def _read_card(provider: str, model: str) -> _Card | None:
    # The data is large, and most commands do not need it.
    from genai_prices import Usage as Tokens
    from genai_prices import calc_price
    from genai_prices.types import TieredPrices

    if provider == "openrouter" and model.endswith(":free"):
        # https://openrouter.ai/docs/guides/routing/model-variants/free, read 2026-12-01.
        return _FREE
    try:
        price = calc_price(Tokens(), model_ref=model, provider_id=_PROVIDER_IDS.get(provider, provider)).model_price
        tiered = [each for each in vars(price).values() if isinstance(each, TieredPrices)]
        if not any(each is not None for each in vars(price).values()):
            # The data has no price. Only Gemma costs nothing (https://ai.google.dev/gemini-api/docs/pricing, 2026-12).
            return _FREE if (provider, model[:6]) == ("gemini", "gemma-") else None
        steps = sorted({tier.start for each in tiered for tier in each.tiers})
        return _Card(tuple(steps), tuple(_rates(_beyond(prompt, price)) for prompt in (-1, *steps)))
    except (LookupError, ValueError):
        return None


def _beyond(prompt: int, price: ModelPrice) -> ModelPrice:
    """The price for prompts longer than `prompt` tokens, up to the next step."""
    from genai_prices.types import ModelPrice, TieredPrices

    flat = {}
    for kind, each in vars(price).items():
        if isinstance(each, TieredPrices):
            reached = [tier.price for tier in each.tiers if tier.start <= prompt]
            flat[kind] = reached[-1] if reached else each.base
        else:
            flat[kind] = each
    return ModelPrice(**flat)


def _rates(price: ModelPrice) -> _Rates:
    """Rates per token, from the price of a million tokens of each kind."""
    from genai_prices import Usage as Tokens

    def dollars(**tokens: int) -> float:
        return float(price.calc_price(Tokens(**tokens))["total_price"])

    request = dollars()

    def rate(**tokens: int) -> float:
        return (dollars(**tokens) - request) / _MILLION

    million = _MILLION
    return _Rates(
        request=request,
        input=None if price.input_mtok is None else rate(input_tokens=million),
        cache_read=rate(input_tokens=million, cache_read_tokens=million),
        cache_write=rate(input_tokens=million, cache_write_tokens=million),
        cache_write_1h=rate(input_tokens=million, cache_write_tokens=million, cache_write_1h_tokens=million),
        output=None if price.output_mtok is None else rate(output_tokens=million),
        audio_input=rate(input_tokens=million, input_audio_tokens=million),
        audio_output=rate(output_tokens=million, output_audio_tokens=million),
        image_output=rate(output_tokens=million, output_image_tokens=million),
        search=None if price.web_searches_kcount is None else rate(web_searches=million),
    )


def main() -> None:
    """Answer each line of standard input, a list of models, by their cards."""
    for line in sys.stdin.buffer:
        cards = _in_process(msgspec.json.decode(line, type=list[Model]))
        sys.stdout.buffer.write(msgspec.json.encode(cards) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
