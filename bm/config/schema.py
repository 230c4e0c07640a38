"""What the configuration may say: one frozen struct a section, with its defaults.

A new key is a new field here, a line in `config.example.toml` and a line in `docs/configuration.md` (a test holds
the three together). Times are seconds. Rules that need more than one key are in `bm.config.validation`.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from bm.names import ForcedTools, Level, Mode, ProtocolName, StructuredOutput, ThinkingForm

Seconds = Annotated[float, Meta(ge=0, le=86_400)]
Port = Annotated[int, Meta(ge=0, le=65_535)]
Megabytes = Annotated[int, Meta(ge=1, le=4_096)]
Count = Annotated[int, Meta(ge=1, le=1_000_000)]

GEMINI_MODELS: Final[dict[str, str]] = {
    "opus": "gemini-3.1-pro-preview",
    "sonnet": "gemini-3.8-flash",
    "haiku": "gemini-3.5-flash-lite",
    "default": "gemini-3.8-flash",
}
"""Which Gemini model answers for a family. Names age: `bm models` lists what the accounts can reach today."""


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the configuration file."""


class Server(_Section, frozen=True, kw_only=True):
    """Where and how the daemon listens."""

    host: str = "127.0.0.1"
    port: Port = 8094
    """0 lets the system choose; `daemon.json` then tells which."""
    auth: Literal["key", "none"] = "key"
    """`none` is refused unless `host` is a loopback address."""
    allowed_hosts: tuple[str, ...] = ()
    """Further names a request's Host header may hold; loopback names and `host` always may."""
    echo_model: Literal["answered", "asked"] = "answered"
    """Which model name answers carry: the one that answered or the one asked for."""
    max_body_mb: Megabytes = 64
    drain: Seconds = 30.0
    """How long `bm stop` lets running streams finish."""


class Timeouts(_Section, frozen=True, kw_only=True):
    """Patience with an upstream. 0 switches a limit off."""

    connect: Seconds = 10.0
    first_byte: Seconds = 120.0
    """Until the response head."""
    whole: Seconds = 600.0
    """Until the response head of an answer that is no stream: it comes when the answer is complete."""
    first_token: Seconds = 0.0
    """Until the first content."""
    idle: Seconds = 120.0
    """Silence inside a stream."""


class TimeoutOverrides(_Section, frozen=True, kw_only=True):
    """The timeouts one provider has of its own; what is absent comes from `[timeouts]`."""

    connect: Seconds | None = None
    first_byte: Seconds | None = None
    whole: Seconds | None = None
    first_token: Seconds | None = None
    idle: Seconds | None = None


class UpstreamProxy(_Section, frozen=True, kw_only=True):
    """The proxy between bm and the providers."""

    url: str = ""
    """http, https, socks5 or socks5h; empty = the environment's HTTPS_PROXY; `direct` = none at all."""
    no_proxy: tuple[str, ...] = ()
    ca_bundle: str = ""
    """PEM file of further authorities to trust; `~` is expanded."""

    def __repr__(self) -> str:
        # The URL may carry a password.
        return f"UpstreamProxy(url={'…' if self.url else ''!r}, no_proxy={self.no_proxy!r})"


class Pool(_Section, frozen=True, kw_only=True):
    """How targets are chosen and how long a request is fought for."""

    affinity: bool = True
    affinity_ttl: Seconds = 3_600.0
    affinity_size: Count = 10_000
    learn_models: bool = True
    """Read the providers' model lists unasked, so that `default` holds from the first request on."""
    max_wait: Seconds = 30.0
    """Longest wait for a cooling target when nothing else is left."""
    max_attempts: Count = 20
    """Upstream calls one request may cost before its client is told."""
    rescue: bool = False
    """Finish a cut text answer on another target."""
    strict: bool = False
    """Refuse (400) what a target cannot express instead of dropping and reporting it."""


class Gemini(_Section, frozen=True, kw_only=True):
    """The Gemini API that the pool's accounts belong to."""

    enabled: bool = True
    base_url: str = "https://generativelanguage.googleapis.com"
    api_version: str = "v1beta"
    vertex_base_url: str = ""
    """Where Vertex AI is for accounts with a location; empty = Google's own address for each location."""
    models: dict[str, str] = msgspec.field(default_factory=GEMINI_MODELS.copy)
    """Exact names and opus, sonnet, haiku, default; the file's entries are laid over these."""
    headers: dict[str, str] = {}
    proxy: UpstreamProxy | None = None
    timeouts: TimeoutOverrides | None = None

    def __repr__(self) -> str:
        return f"Gemini(enabled={self.enabled!r}, base_url={self.base_url!r})"


class ProviderConfig(_Section, frozen=True, kw_only=True):
    """One paid or user-defined provider. What is empty or absent comes from the catalog's row of that name."""

    enabled: bool = False
    mode: Mode = "off"
    protocol: ProtocolName | Literal[""] = ""
    """The wire it speaks."""
    base_url: str = ""
    """As its vendor writes it for SDKs: Anthropic and Gemini without a version path, OpenAI-compatible with it."""
    api_key: str = ""
    """A secret reference, see `bm.config.secrets`."""
    protocols: tuple[ProtocolName, ...] | None = None
    """Client protocols it matches."""
    match_models: tuple[str, ...] = ()
    """Glob patterns of the model names it matches; none = all."""
    models: dict[str, str] = {}
    """Exact names and opus, sonnet, haiku, default, each to a model of this provider."""
    cache_control: Literal["auto", "keep", "strip"] = "auto"
    allow_failover: bool = False
    """Whether a request that named this provider by its prefix may go on to another one."""
    headers: dict[str, str] = {}
    """Further request headers."""
    proxy: UpstreamProxy | None = None
    timeouts: TimeoutOverrides | None = None

    def __repr__(self) -> str:
        # Keys and headers stay out of logs and tracebacks.
        shown = {name: getattr(self, name) for name in ("enabled", "mode", "protocol", "base_url")}
        return f"ProviderConfig({', '.join(f'{name}={value!r}' for name, value in shown.items())})"


class CapabilityOverrides(_Section, frozen=True, kw_only=True):
    """What the models of a name take, where bm's own tables are wrong or say nothing. None leaves it to the tables.

    The members mean what those of `bm.chat.capabilities.Capabilities` do.
    """

    context: Annotated[int, Meta(ge=0)] | None = None
    """Tokens of prompt and answer together; 0 = unknown."""
    max_output: Annotated[int, Meta(ge=0)] | None = None
    """Tokens of an answer; 0 = unknown."""
    images: bool | None = None
    documents: bool | None = None
    audio: bool | None = None
    video: bool | None = None
    image_urls: bool | None = None
    """Whether the model's service fetches media by URL itself."""
    tools: bool | None = None
    forced_tools: ForcedTools | None = None
    """When the model can be made to call a tool."""
    sampling: bool | None = None
    """Whether it takes temperature, top_p and top_k."""
    penalties: bool | None = None
    thinking: ThinkingForm | None = None
    """How thinking is asked for."""
    levels: tuple[Level, ...] | None = None
    """The levels of thinking that it knows, rising."""
    structured_output: StructuredOutput | None = None
    json_schema: bool | None = None
    """Whether Gemini's fields for JSON Schema are used for its tools."""
    system_turns: bool | None = None
    """Whether it takes instructions in mid-conversation."""

    def given(self) -> dict[str, Any]:
        """The members that say something."""
        return {name: value for name, value in msgspec.structs.asdict(self).items() if value is not None}


class Limits(_Section, frozen=True, kw_only=True):
    """Bounds on what bm holds on to."""

    hold_events: Count = 64
    """Start-up events held back until the first content, so that an early error can still fail over."""
    hold_kb: Count = 256
    hold_time: Seconds = 20.0
    keep_alive: Seconds = 15.0
    """Pause between keep-alives to a client whose answer has not begun; 0 = none."""
    decisions: Count = 1_000
    """Requests that `bm why` remembers."""


class Recording(_Section, frozen=True, kw_only=True):
    """Whole exchanges kept for a look and a replay. They hold prompts and answers, so they are off unless asked for."""

    enabled: bool = False
    max: Count = 100
    """How many are kept; the oldest go first."""
    max_mb: Megabytes = 100
    """Their size taken together."""


class Log(_Section, frozen=True, kw_only=True):
    """daemon.log."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    max_mb: Megabytes = 10
    files: Annotated[int, Meta(ge=1, le=100)] = 5
    """The current file and the rotated ones."""


_UNKNOWN = ProviderConfig()
"""What holds for a provider that the file does not name."""


class Config(_Section, frozen=True, kw_only=True):
    """The whole file. `providers` keeps the file's order, which is the order of dispatch within a mode."""

    server: Server = Server()
    timeouts: Timeouts = Timeouts()
    upstream_proxy: UpstreamProxy = UpstreamProxy()
    pool: Pool = Pool()
    gemini: Gemini = msgspec.field(default_factory=Gemini)
    providers: dict[str, ProviderConfig] = {}
    aliases: dict[str, str] = {}
    capabilities: dict[str, CapabilityOverrides] = {}
    """By a glob pattern of the model's name, or of `PROVIDER:MODEL`; later entries win."""
    limits: Limits = Limits()
    record: Recording = Recording()
    log: Log = Log()

    def timeouts_for(self, provider: str) -> Timeouts:
        """`[timeouts]` with the provider's own laid over it; `provider` may be unknown or `gemini`."""
        own = self._section(provider).timeouts
        if own is None:
            return self.timeouts
        given = {name: value for name, value in msgspec.structs.asdict(own).items() if value is not None}
        return msgspec.structs.replace(self.timeouts, **given)

    def proxy_for(self, provider: str) -> UpstreamProxy:
        """The provider's own `proxy` table as a whole, else `[upstream_proxy]`."""
        return self._section(provider).proxy or self.upstream_proxy

    def _section(self, provider: str) -> Gemini | ProviderConfig:
        return self.gemini if provider == "gemini" else self.providers.get(provider, _UNKNOWN)
