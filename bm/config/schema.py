"""The schema of the configuration: one frozen struct per section, with defaults.

A new key needs a field here, a line in `config.example.toml` and a line in `docs/configuration.md`; a test compares the
three. Times are in seconds. Rules that involve several keys are in `bm.config.validation`.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from bm.names import ForcedTools, Level, Mode, ProtocolName, StructuredOutput, ThinkingForm

Seconds = Annotated[float, Meta(ge=0, le=86_400)]
Port = Annotated[int, Meta(ge=0, le=65_535)]
Megabytes = Annotated[int, Meta(ge=1, le=4_096)]
Count = Annotated[int, Meta(ge=1, le=1_000_000)]
Tokens = Annotated[int, Meta(ge=1, le=100_000_000)]
Weight = Annotated[int, Meta(ge=1, le=1_000)]

GEMINI_MODELS: Final[dict[str, str]] = {
    "opus": "gemini-3.1-pro-preview",
    "sonnet": "gemini-3.8-flash",
    "haiku": "gemini-3.5-flash-lite",
    "default": "gemini-3.8-flash",
}
"""The Gemini model for each family. `bm models` lists the models the accounts can use."""


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the configuration file."""


class Server(_Section, frozen=True, kw_only=True):
    """The address the daemon listens on, and how it treats clients."""

    host: str = "127.0.0.1"
    port: Port = 8094
    """0 lets the system choose; `daemon.json` then contains the port."""
    url: str = ""
    """The address that tools are given, where it is not the one bm listens on: that of a proxy, or a certificate's."""
    tls_cert: str = ""
    """A PEM file with the certificate and those between it and its authority; empty serves plain HTTP."""
    tls_key: str = ""
    auth: Literal["key", "none"] = "key"
    """`none` is refused unless `host` is a loopback address."""
    allowed_hosts: tuple[str, ...] = ()
    """Further names accepted in the Host header, besides loopback names and `host`."""
    allowed_origins: tuple[str, ...] = ()
    """Origins of web pages that may use the model APIs, such as `http://localhost:5173`, besides loopback names."""
    echo_model: Literal["answered", "asked"] = "answered"
    """The model name in responses: the model that answered, or the name that was requested."""
    max_body_mb: Megabytes = 64
    websocket: bool = False
    """Whether `/v1/responses` takes WebSocket connections; from the next start on."""
    drain: Seconds = 30.0
    """How long `bm stop` waits for running streams to finish."""
    drain_delay: Seconds = 0.0
    """How long before that requests are still taken while `/readyz` says 503, so that a balancer notices."""

    @property
    def longest_stop(self) -> float:
        """Seconds that an orderly end may take."""
        return self.drain_delay + self.drain


class Timeouts(_Section, frozen=True, kw_only=True):
    """Time limits for upstream calls. 0 disables a limit."""

    connect: Seconds = 10.0
    hedge: Seconds = 45.0
    """Silence before the first content after which another target is asked beside the first. For a response that is not
    streamed it is a quarter of `whole`."""
    first_byte: Seconds = 300.0
    """Until the head of a stream, and the longest silence of a model that thinks or has not begun."""
    whole: Seconds = 600.0
    """Until a response that is not streamed is complete; in a stream, between two events with content."""
    first_token: Seconds = 600.0
    """From the head of a stream until the first content."""
    idle: Seconds = 90.0
    """Silence inside a text or a call, and the longest that a client may leave a response unread."""

    @property
    def alone(self) -> Timeouts:
        """For a request beside which no other is made: silence ends it when another would be asked."""
        if not self.hedge:
            return self
        return msgspec.structs.replace(self, first_byte=min(self.first_byte or self.hedge, self.hedge))


class TimeoutOverrides(_Section, frozen=True, kw_only=True):
    """A provider's own timeouts; absent ones come from `[timeouts]`."""

    connect: Seconds | None = None
    hedge: Seconds | None = None
    first_byte: Seconds | None = None
    whole: Seconds | None = None
    first_token: Seconds | None = None
    idle: Seconds | None = None


class UpstreamProxy(_Section, frozen=True, kw_only=True):
    """The proxy between bm and the providers."""

    url: str = ""
    """http, https, socks5 or socks5h; empty uses HTTPS_PROXY from the environment; `direct` uses no proxy."""
    no_proxy: tuple[str, ...] = ()
    ca_bundle: str = ""
    """A PEM file of additional trusted authorities; `~` is expanded."""

    def __repr__(self) -> str:
        # The URL may carry a password.
        return f"UpstreamProxy(url={'…' if self.url else ''!r}, no_proxy={self.no_proxy!r})"


class Pool(_Section, frozen=True, kw_only=True):
    """How targets are chosen, and how much waiting and how many attempts a request may cost."""

    affinity: bool = True
    affinity_ttl: Seconds = 3_600.0
    affinity_size: Count = 10_000
    learn_models: bool = True
    """Read the providers' model lists at start, so that `default` applies from the first request on."""
    max_wait: Seconds = 30.0
    """Longest wait for a target that is cooling down when no other target is left."""
    patience: Seconds = 5.0
    """Longest wait for an account of the pool at its rate limit before a fallback is asked."""
    max_attempts: Count = 20
    """Upstream calls per request."""
    rescue: bool = True
    """Continue a text response that was cut off on another target."""
    strict: bool = False
    """Refuse (400) what a target cannot express, instead of dropping and reporting it."""


class Gemini(_Section, frozen=True, kw_only=True):
    """The Gemini API, which the accounts of the pool belong to."""

    enabled: bool = True
    base_url: str = "https://generativelanguage.googleapis.com"
    api_version: str = "v1beta"
    vertex_base_url: str = ""
    """The address of Vertex AI for accounts with a location; empty uses Google's address for each location."""
    models: dict[str, str] = msgspec.field(default_factory=GEMINI_MODELS.copy)
    """Models by exact name and by opus, sonnet, haiku, default; entries of the file override these."""
    headers: dict[str, str] = {}
    proxy: UpstreamProxy | None = None
    timeouts: TimeoutOverrides | None = None

    def __repr__(self) -> str:
        return f"Gemini(enabled={self.enabled!r}, base_url={self.base_url!r})"


class ProviderConfig(_Section, frozen=True, kw_only=True):
    """A paid or user-defined provider. Empty and absent values come from the catalog's entry of that name."""

    enabled: bool = False
    mode: Mode = "off"
    protocol: ProtocolName | Literal[""] = ""
    """The protocol of its API."""
    base_url: str = ""
    """As the vendor documents it for SDKs: without a version path for Anthropic and Gemini, with it for OpenAI."""
    api_key: str = ""
    """A secret reference, see `bm.config.secrets`."""
    protocols: tuple[ProtocolName, ...] | None = None
    """Client protocols it matches; by default all as a fallback, else those that its API speaks."""
    match_models: tuple[str, ...] = ()
    """Glob patterns of the model names it matches; empty matches all."""
    models: dict[str, str] = {}
    """Models of this provider by exact name and by opus, sonnet, haiku, default."""
    cache_control: Literal["auto", "keep", "strip"] = "auto"
    allow_failover: bool = False
    """Whether a request that names this provider by prefix may fail over to another provider."""
    headers: dict[str, str] = {}
    """Additional request headers."""
    proxy: UpstreamProxy | None = None
    timeouts: TimeoutOverrides | None = None

    def __repr__(self) -> str:
        # Keys and headers stay out of logs and tracebacks.
        shown = {name: getattr(self, name) for name in ("enabled", "mode", "protocol", "base_url")}
        return f"ProviderConfig({', '.join(f'{name}={value!r}' for name, value in shown.items())})"


class Choice(_Section, frozen=True, kw_only=True, omit_defaults=True):
    """Several names, of which each request tries one first and then the others. One of the fields is set."""

    weighted: dict[str, Weight] = {}
    """One chosen at random, by these weights."""
    cheapest: tuple[str, ...] = ()
    """The one whose model costs least at list price."""


Chain: TypeAlias = str | tuple[str, ...] | Choice
"""A name of a model or alias, or several that are tried in order."""


class RouteTable(_Section, frozen=True, kw_only=True):
    """Where requests go by what they are. None leaves it to the wider table, "" is no route."""

    long_context: Chain | None = None
    """Prompts of more than `long_context_tokens`."""
    long_context_tokens: Tokens | None = None
    image: Chain | None = None
    """Requests that contain images."""
    web_search: Chain | None = None
    """Requests with a web search that the service is to make."""
    background: Chain | None = None
    """Requests for the small model of a tool."""
    think: Chain | None = None
    """Requests that ask for thinking."""
    default: Chain | None = None
    """All others."""


_NARROWED = RouteTable()


class Routes(
    RouteTable,
    frozen=True,
    kw_only=True,
    rename={
        "openai_chat": "openai-chat",
        "openai_responses": "openai-responses",
        "claude_code": "claude-code",
        "gemini_cli": "gemini-cli",
    },
):
    """The routes of all requests, and those that replace them for a client protocol or for a tool."""

    hook: str = ""
    """`FILE:FUNCTION`: a Python function that is asked first. The path is relative to the configuration's folder."""
    anthropic: RouteTable = _NARROWED
    openai_chat: RouteTable = _NARROWED
    openai_responses: RouteTable = _NARROWED
    gemini: RouteTable = _NARROWED
    claude_code: RouteTable = _NARROWED
    codex: RouteTable = _NARROWED
    gemini_cli: RouteTable = _NARROWED
    opencode: RouteTable = _NARROWED

    def table(self, name: str) -> RouteTable:
        """The table of a client protocol or a tool."""
        found: RouteTable = getattr(self, name.replace("-", "_"), _NARROWED)
        return found


class Budgets(_Section, frozen=True, kw_only=True):
    """What may be spent, as `bm.config.budget` reads it: US dollars at list price, or tokens, in a period."""

    total: str | tuple[str, ...] = ()
    providers: dict[str, str | tuple[str, ...]] = {}
    keys: dict[str, str | tuple[str, ...]] = {}
    """By the name of a client's key; `main` is bm's own. The budgets of `bm keys` hold as well."""
    free: tuple[str, ...] = ()
    """Providers whose requests cost no money, such as `gemini` where all accounts are in the free tier."""
    warn: Annotated[float, Meta(ge=0, le=1)] = 0.8
    """The part of a budget from which on bm warns."""
    on_exhausted: str = "refuse"
    """What becomes of requests that no budget allows any more: `refuse`, or `route:` and a model or alias."""


class CapabilityOverrides(_Section, frozen=True, kw_only=True):
    """Corrections to the capabilities of models. None keeps the value from bm's tables.

    The fields have the meaning of those of `bm.chat.capabilities.Capabilities`.
    """

    context: Annotated[int, Meta(ge=0)] | None = None
    """Tokens of prompt and response together; 0 is unknown."""
    max_output: Annotated[int, Meta(ge=0)] | None = None
    """Tokens of a response; 0 is unknown."""
    images: bool | None = None
    documents: bool | None = None
    audio: bool | None = None
    video: bool | None = None
    image_urls: bool | None = None
    """Whether the service fetches media by URL."""
    tools: bool | None = None
    forced_tools: ForcedTools | None = None
    """When the model can be forced to call a tool."""
    sampling: bool | None = None
    """Whether it takes temperature, top_p and top_k."""
    penalties: bool | None = None
    thinking: ThinkingForm | None = None
    """How thinking is requested."""
    levels: tuple[Level, ...] | None = None
    """The thinking levels it supports, in ascending order."""
    structured_output: StructuredOutput | None = None
    json_schema: bool | None = None
    """Whether tools use Gemini's JSON Schema fields."""
    system_turns: bool | None = None
    """Whether it accepts system messages within the conversation."""

    def given(self) -> dict[str, Any]:
        """The fields that are set."""
        return {name: value for name, value in msgspec.structs.asdict(self).items() if value is not None}


class Limits(_Section, frozen=True, kw_only=True):
    """Bounds on what bm buffers and remembers."""

    hold_events: Count = 64
    """Events held back before the first content, so that an early error can still fail over."""
    hold_kb: Count = 256
    hold_time: Seconds = 5.0
    """From here on, a client that waits for its stream is sent the head of a response and keep-alives."""
    keep_alive: Seconds = 15.0
    """Interval of keep-alives to a client that waits for content; 0 disables them."""
    decisions: Count = 1_000
    """Requests that `bm why` remembers."""


class Shared(_Section, frozen=True, kw_only=True):
    """The store through which several nodes act as one. All nodes have the same values but for `node`."""

    url: str = ""
    """Valkey or Redis, see `bm.config.shared`; empty shares nothing. From the next start on, like the other keys."""
    name: str = "bm"
    """What this team's keys in the store begin with."""
    node: str = ""
    """What this node is called; empty is the host name."""
    fail: Literal["open", "closed"] = "open"
    """While the store is away, this node goes on with its share of budgets and rates, or refuses what they limit."""
    seal: str | tuple[str, ...] = ""
    """Where the key is that seals accounts and keys of clients in the database of `[ledger]`; empty: they are in files.
    Of several the first one seals, and all of them open."""

    @property
    def seals(self) -> tuple[str, ...]:
        """The references of `seal`."""
        return (self.seal,) if self.seal and isinstance(self.seal, str) else tuple(self.seal)

    def __repr__(self) -> str:
        # The URL may carry a password.
        return f"Shared(url={'…' if self.url else ''!r}, name={self.name!r}, node={self.node!r}, fail={self.fail!r})"


class Ledger(_Section, frozen=True, kw_only=True):
    """Where requests, usage and cost are kept."""

    url: str = ""
    """A PostgreSQL database, which several nodes may share; empty keeps ledger.db. From the next start on."""

    def __repr__(self) -> str:
        # The URL may carry a password.
        return f"Ledger(url={'…' if self.url else ''!r})"


class Telemetry(_Section, frozen=True, kw_only=True):
    """Traces and metrics by OpenTelemetry."""

    endpoint: str = ""
    """The base URL of a collector that takes OTLP over HTTP; empty sends nothing. From the next start on."""

    def __repr__(self) -> str:
        # The URL may carry a password.
        return f"Telemetry(endpoint={'…' if self.endpoint else ''!r})"


class Recording(_Section, frozen=True, kw_only=True):
    """Complete exchanges kept for inspection and replay. They contain prompts and responses, hence off by default."""

    enabled: bool = False
    max: Count = 100
    """The number kept; the oldest are removed first."""
    max_mb: Megabytes = 100
    """Their total size."""


class Log(_Section, frozen=True, kw_only=True):
    """The daemon's log file."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    max_mb: Megabytes = 10
    files: Annotated[int, Meta(ge=1, le=100)] = 5
    """The number of files, including the current one."""


_UNKNOWN = ProviderConfig()
"""The settings of a provider that the file does not name."""


class Config(_Section, frozen=True, kw_only=True):
    """The complete configuration. `providers` keeps the order of the file: the order of dispatch within a mode."""

    server: Server = Server()
    timeouts: Timeouts = Timeouts()
    upstream_proxy: UpstreamProxy = UpstreamProxy()
    pool: Pool = Pool()
    gemini: Gemini = msgspec.field(default_factory=Gemini)
    providers: dict[str, ProviderConfig] = {}
    aliases: dict[str, Chain] = {}
    routes: Routes = Routes()
    budgets: Budgets = Budgets()
    shared: Shared = Shared()
    ledger: Ledger = Ledger()
    capabilities: dict[str, CapabilityOverrides] = {}
    """By glob pattern of the model name or of `PROVIDER:MODEL`; later entries win."""
    limits: Limits = Limits()
    record: Recording = Recording()
    log: Log = Log()
    telemetry: Telemetry = Telemetry()

    def timeouts_for(self, provider: str) -> Timeouts:
        """`[timeouts]` overridden by those of the provider, which may be unknown or `gemini`."""
        own = self._section(provider).timeouts
        if own is None:
            return self.timeouts
        given = {name: value for name, value in msgspec.structs.asdict(own).items() if value is not None}
        return msgspec.structs.replace(self.timeouts, **given)

    def proxy_for(self, provider: str) -> UpstreamProxy:
        """The provider's own `proxy` table, else `[upstream_proxy]`."""
        return self._section(provider).proxy or self.upstream_proxy

    def _section(self, provider: str) -> Gemini | ProviderConfig:
        return self.gemini if provider == "gemini" else self.providers.get(provider, _UNKNOWN)
