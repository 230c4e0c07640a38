"""The kinds of upstream that a tool is tried with, one row each, played by the simulator."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bm.simulator import Simulator
from tests.support.daemon import Daemon, daemon

EVERY_PROTOCOL = 'protocols = ["anthropic", "openai-chat", "openai-responses", "gemini"]'
ACCOUNTS = {"first": "key-of-the-first-account", "second": "key-of-the-second-account"}


@dataclass(frozen=True)
class Kind:
    """One kind of upstream.

    `provider` is its table in the configuration, "" for the Gemini pool; `base` is the base URL behind the
    simulator's; `models` are what it maps to; `small` is the model it uses for Gemini CLI's router.
    """

    name: str
    title: str
    provider: str = ""
    protocol: str = ""
    base: str = ""
    models: str = ""
    small: str = "gemini-3.5-flash-lite"

    def config(self, upstream: str) -> str:
        """`config.toml` that leads every request to this upstream and no other. `upstream` is the simulator."""
        lines = [f'[gemini]\nbase_url = "{upstream}"']
        if self.provider:
            lines += [
                f'[providers.{self.provider}]\nenabled = true\nmode = "exclusive"\napi_key = "key-of-a-paid-account"',
                f'base_url = "{upstream}{self.base}"',
                EVERY_PROTOCOL,
            ]
            lines += [f'protocol = "{self.protocol}"'] if self.protocol else []
            lines += [f"models = {{ {self.models} }}"]
        return "\n".join(lines) + "\n"


def _models(large: str, small: str) -> str:
    """A mapping of every name to `large`, but of Gemini CLI's router to `small`."""
    names = ", ".join(f'{name} = "{large}"' for name in ("opus", "sonnet", "haiku", "default"))
    return f'{names}, "gemini-3.5-flash-lite" = "{small}"'


_GROQ = "meta-llama/llama-4-maverick-17b-128e-instruct"
_TOGETHER = "meta-llama/Llama-4-Maverick-17B-128E-Instruct-FP8"
_GPT_OSS = "openai/gpt-oss-20b"
_OPENAI = _models("gpt-6.1-terra", "gpt-6-luna")

KINDS = (
    Kind("gemini", "Gemini pool"),
    Kind(
        "anthropic",
        "Anthropic",
        "anthropic",
        models='default = "claude-sonnet-5-5", "gemini-3.5-flash-lite" = "claude-haiku-5-5"',
        small="claude-haiku-5-5",
    ),
    Kind("groq", "Groq", "groq", "", "/groq/openai/v1", _models(_GROQ, _GPT_OSS), _GPT_OSS),
    Kind("together", "Together", "together", "", "/together/v1", _models(_TOGETHER, _GPT_OSS), _GPT_OSS),
    Kind(
        "openai-chat",
        "OpenAI chat",
        "openai",
        "openai-chat",
        "/v1",
        _models("gpt-6.1-terra", "gpt-6-luna"),
        "gpt-6-luna",
    ),
    Kind("openai-responses", "OpenAI responses", "openai", "openai-responses", "/v1", _OPENAI, "gpt-6-luna"),
)
BY_NAME: Mapping[str, Kind] = {kind.name: kind for kind in KINDS}


@dataclass(frozen=True)
class Site:
    """A running daemon whose one upstream is the simulator."""

    kind: Kind
    sim: Simulator
    daemon: Daemon


@contextmanager
def site(kind: Kind, home: Path, more: str = "") -> Iterator[Site]:
    """Run bm with that kind of upstream until the block ends. `more` are further sections of the configuration."""
    home.mkdir(parents=True, exist_ok=True)
    with Simulator() as sim, daemon(home, kind.config(sim.url) + more, ACCOUNTS) as running:
        yield Site(kind, sim, running)
