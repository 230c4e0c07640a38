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

_FRESH = 1_800
"""Seconds for which a price is cached, from the full or half hour: some change with the date, some at a time of day."""

_MOST = 256
"""Models whose prices are kept."""

_PATIENCE = 30.0
"""Seconds that the other process may take."""

_IDLE = 5.0
"""Seconds without a question after which it ends."""

_MILLION = 1_000_000


class _Rates(msgspec.Struct, frozen=True):
    """US dollars per token of each kind, and per request."""

    request: float
    input: float
    cache_read: float
    cache_write: float
    cache_write_1h: float
    output: float


class _Card(msgspec.Struct, frozen=True):
    """A model's rates: the first for prompts of up to `steps[0]` tokens, the next for longer ones, and so on."""

    steps: tuple[int, ...]
    rates: tuple[_Rates, ...]


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

    Accounts of Gemini's free tier pay nothing; the result is what the same tokens would cost.
    """
    shortly = usage.cache_write - usage.cache_write_1h
    if min(usage.input, usage.cache_read, shortly, usage.cache_write_1h, usage.output) < 0:
        # The upstream reported inconsistent counts.
        return None
    card = _card((provider, model))
    if card is None:
        return None
    rates = card.rates[bisect_left(card.steps, usage.prompt)]
    return (
        rates.request
        + rates.input * usage.input
        + rates.cache_read * usage.cache_read
        + rates.cache_write * shortly
        + rates.cache_write_1h * usage.cache_write_1h
        + rates.output * usage.output
    )


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

    try:
        price = calc_price(Tokens(), model_ref=model, provider_id=_PROVIDER_IDS.get(provider, provider)).model_price
        tiered = [each for each in vars(price).values() if isinstance(each, TieredPrices)]
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

    def dollars(*, prompt: int = 0, read: int = 0, written: int = 0, hour: int = 0, output: int = 0) -> float:
        tokens = Tokens(
            input_tokens=prompt,
            cache_read_tokens=read,
            cache_write_tokens=written,
            cache_write_1h_tokens=hour or None,
            output_tokens=output,
        )
        return float(price.calc_price(tokens)["total_price"])

    request = dollars()
    return _Rates(
        request=request,
        input=(dollars(prompt=_MILLION) - request) / _MILLION,
        cache_read=(dollars(prompt=_MILLION, read=_MILLION) - request) / _MILLION,
        cache_write=(dollars(prompt=_MILLION, written=_MILLION) - request) / _MILLION,
        cache_write_1h=(dollars(prompt=_MILLION, written=_MILLION, hour=_MILLION) - request) / _MILLION,
        output=(dollars(output=_MILLION) - request) / _MILLION,
    )


def main() -> None:
    """Answer each line of standard input, a list of models, by their cards."""
    for line in sys.stdin.buffer:
        cards = _in_process(msgspec.json.decode(line, type=list[Model]))
        sys.stdout.buffer.write(msgspec.json.encode(cards) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
