"""A provider as it stands: the catalog's row with the configuration laid over it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from bm.chat.capabilities import Capabilities, Dialect
from bm.config.address import is_loopback
from bm.config.schema import GEMINI_MODELS, Config, ProviderConfig
from bm.config.schema import Gemini as GeminiConfig
from bm.names import PROTOCOLS, Mode, ProtocolName
from bm.providers.capabilities import capabilities_of
from bm.providers.catalog import CATALOG, COMPATIBLE, GEMINI, KNOWN, OPENAI_CLIENTS, Auth, Row
from bm.providers.listing import Facts

_AUTH: dict[ProtocolName, Auth] = {
    "anthropic": "x-api-key",
    "gemini": "x-goog-api-key",
    "openai-chat": "bearer",
    "openai-responses": "bearer",
}


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """One provider. The fields it shares with `bm.providers.catalog.Row` mean the same.

    `pool` marks the Gemini API, whose accounts are spent first; its mode means nothing. `configured` is False for
    a row of the catalog that the configuration does not name.
    """

    name: str
    enabled: bool
    mode: Mode
    speaks: tuple[ProtocolName, ...]
    base_url: str
    auth: Auth
    protocols: tuple[ProtocolName, ...]
    match_models: tuple[str, ...] = ()
    models: dict[str, str] = {}
    words: dict[str, str] = {}
    serves: tuple[str, ...] = ()
    allow_failover: bool = False
    cache_control: Literal["keep", "strip"] = "strip"
    headers: dict[str, str] = {}
    dialect: Dialect = Dialect()
    key_env: str = ""
    console: str = ""
    models_path: str = "/models"
    vertex_base_url: str = ""
    pool: bool = False
    configured: bool = True
    overrides: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    """What the configuration says of models, by pattern."""

    @property
    def protocol(self) -> ProtocolName:
        """The wire it speaks by preference."""
        return self.speaks[0]

    @property
    def local(self) -> bool:
        """Whether it is a server on this machine that may speak more than is configured: Ollama, LM Studio, vLLM."""
        known = self.dialect.name in ("ollama", "lmstudio", "compatible")
        return known and self.protocol == "openai-chat" and is_loopback(urlsplit(self.base_url).hostname or "")

    def speaks_with(
        self,
        client: ProtocolName,
        model: str,
        *,
        tools: bool = False,
        effort: str = "",
        wires: Collection[ProtocolName] = (),
    ) -> ProtocolName:
        """The wire for a client's request: the client's own where it can be, so that bytes pass through.

        `wires` are those that it was found to speak beside its own.
        `tools` says whether the request has some and `effort` is its `reasoning_effort`: its newer models take them
        together only over Responses. Translated requests go to Chat Completions for models that do not think, since
        these take stop sequences.
        """
        wire = client if client in self.speaks else self.protocol
        if client in wires:
            return client
        if wire == "openai-responses" != client and "openai-chat" in self.speaks:
            plain = self.capabilities("openai-chat", model)
            return "openai-chat" if plain.stop and not plain.thinks else wire
        if wire == "openai-chat" and "openai-responses" in self.speaks:
            return wire if _chat_serves(self.capabilities(wire, model), tools, effort) else "openai-responses"
        return wire

    def fits(self, model: str) -> bool:
        """Whether one of the `match_models` patterns, if there are any, fits the name the client asked for."""
        return not self.match_models or any(fnmatchcase(model.lower(), each.lower()) for each in self.match_models)

    def capabilities(self, protocol: ProtocolName, model: str, *facts: Facts) -> Capabilities:
        """What a model takes over one of the provider's protocols.

        `facts` are laid over the tables in their order, what the configuration says over all of them.
        """
        found = capabilities_of(protocol, self.dialect, model)
        said: dict[str, Any] = {}
        for each in (*facts, self.said(model) if self.overrides else {}):
            said |= each
        return msgspec.structs.replace(found, **said) if said else found

    def said(self, model: str) -> dict[str, Any]:
        """What the configuration says of a model: members of `Capabilities`."""
        names = (model.lower(), f"{self.name}:{model}".lower())
        said: dict[str, Any] = {}
        for pattern, changes in self.overrides:
            if any(fnmatchcase(name, pattern.lower()) for name in names):
                said |= changes
        return said

    def __repr__(self) -> str:
        # Headers may hold a secret.
        return f"Provider(name={self.name!r}, enabled={self.enabled!r}, mode={self.mode!r}, speaks={self.speaks!r})"


def _chat_serves(takes: Capabilities, tools: bool, effort: str) -> bool:
    """Whether Chat Completions serves the model with these tools and this effort."""
    if not takes.chat or not tools:
        return takes.chat
    return {"": True, "no_effort": effort in ("", "none"), "thoughtless": effort == "none"}.get(takes.chat_tools, False)


def effective(config: Config) -> tuple[Provider, ...]:
    """Every provider, in the order of dispatch: Gemini, the configuration's in its order, the catalog's other rows."""
    configured = [_provider(name, section) for name, section in config.providers.items()]
    rest = [_provider(name, ProviderConfig(), configured=False) for name in KNOWN if name not in config.providers]
    providers = (_gemini(config.gemini), *configured, *rest)
    if not config.capabilities:
        return providers
    overrides = tuple((pattern, said.given()) for pattern, said in config.capabilities.items())
    return tuple(msgspec.structs.replace(provider, overrides=overrides) for provider in providers)


def _gemini(section: GeminiConfig) -> Provider:
    return Provider(
        name=GEMINI.name,
        enabled=section.enabled,
        mode="pooled",
        speaks=GEMINI.speaks,
        base_url=section.base_url.rstrip("/"),
        auth=GEMINI.auth,
        protocols=PROTOCOLS,
        models=GEMINI_MODELS | section.models,
        words=GEMINI.words,
        serves=GEMINI.serves,
        headers=section.headers,
        key_env=GEMINI.key_env,
        console=GEMINI.console,
        models_path=f"/{section.api_version}/models",
        vertex_base_url=section.vertex_base_url.rstrip("/"),
        pool=True,
    )


def _provider(name: str, section: ProviderConfig, *, configured: bool = True) -> Provider:
    row = CATALOG.get(name) or _unknown_row(name, section)
    speaks = (section.protocol,) if section.protocol else row.speaks
    known_wire = speaks[0] in row.speaks
    cache = row.cache_control if known_wire else _cache_control(speaks[0])
    return Provider(
        name=name,
        enabled=section.enabled,
        mode=section.mode,
        speaks=speaks,
        base_url=(section.base_url or row.base_url).rstrip("/"),
        auth=row.auth if known_wire else _AUTH[speaks[0]],
        protocols=_protocols(row, section),
        match_models=section.match_models,
        models=row.models | section.models,
        words=row.words,
        serves=row.serves,
        allow_failover=section.allow_failover,
        cache_control=cache if section.cache_control == "auto" else section.cache_control,
        headers=section.headers,
        dialect=row.dialect,
        key_env=row.key_env,
        console=row.console,
        models_path=row.models_path if known_wire else _models_path(speaks[0]),
        configured=configured,
    )


def _protocols(row: Row, section: ProviderConfig) -> tuple[ProtocolName, ...]:
    """The client protocols that a provider serves. A fallback for one tool and not for the other would be a trap."""
    if section.protocols is not None:
        return section.protocols
    return PROTOCOLS if section.mode == "fallback" else row.protocols


def _unknown_row(name: str, section: ProviderConfig) -> Row:
    """What holds for a provider of the user's own."""
    protocol: ProtocolName = section.protocol or "openai-chat"
    return Row(
        name=name,
        speaks=(protocol,),
        base_url=section.base_url,
        auth=_AUTH[protocol],
        protocols=OPENAI_CLIENTS if protocol in OPENAI_CLIENTS else (protocol,),
        dialect=COMPATIBLE,
        key_env=f"{name.upper().replace('-', '_')}_API_KEY",
        models_path=_models_path(protocol),
        cache_control=_cache_control(protocol),
    )


def _models_path(protocol: ProtocolName) -> str:
    return {"anthropic": "/v1/models", "gemini": "/v1beta/models"}.get(protocol, "/models")


def _cache_control(protocol: ProtocolName) -> Literal["keep", "strip"]:
    return "keep" if protocol == "anthropic" else "strip"
