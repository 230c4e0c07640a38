"""A running daemon with the simulator as every upstream, set up anew for each test, and clients of all protocols."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from bm.accounts.account import Account
from bm.accounts.credentials import Credentials, update
from bm.keys.file import new_key
from bm.keys.file import update as update_keys
from bm.keys.key import Key
from bm.simulator import Simulator
from bm.simulator.request import Record
from tests.simulator.streams import TERMINAL, body_of
from tests.support.daemon import Daemon

PROTOCOLS = ("anthropic", "openai-chat", "openai-responses", "gemini")
MODELS = {
    "anthropic": "claude-sonnet-5",
    "openai-chat": "gpt-5",
    "openai-responses": "gpt-5",
    "gemini": "gemini-3-flash-preview",
}
"""A model that a client of each protocol asks for. The pool maps all but Gemini's own."""
PATHS = {
    "anthropic": "/v1/messages",
    "openai-chat": "/v1/chat/completions",
    "openai-responses": "/v1/responses",
}
EVERY_CLIENT = pytest.mark.every_client
"""Gives a test `protocol` and `stream`: one client, or each with `--thorough`."""
EVERY_PROTOCOL = pytest.mark.every_protocol
"""Gives a test `protocol`."""

_numbers = itertools.count()


@dataclass
class Answer:
    """What a client got."""

    protocol: str
    stream: bool
    status: int
    headers: httpx.Headers
    body: bytes
    broken: str = ""
    """How the connection ended, if not in order."""

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def complete(self) -> bool:
        """Whether it is a whole answer with the end its protocol gives it."""
        if self.status != 200 or self.broken:
            return False
        return TERMINAL[self.protocol] in self.body if self.stream else isinstance(self.json, dict)

    @property
    def message(self) -> str:
        """The words of an error, which stand at the same place in all four protocols."""
        text: str = self.json["error"]["message"]
        return text

    def bm(self, name: str) -> str:
        """One of bm's own headers."""
        return str(self.headers.get(f"x-bm-{name}", ""))


@dataclass
class World:
    """The daemon and its simulator. Keys end in six characters that are the name of their account as well."""

    sim: Simulator
    daemon: Daemon
    http: httpx.Client
    pool: list[str] = field(default_factory=list)
    """The names of the Gemini accounts, which are those in the simulator's log."""
    paid: dict[str, list[str]] = field(default_factory=dict)
    """The accounts of each paid provider."""

    def set_up(
        self,
        accounts: int = 2,
        modes: Mapping[str, str] | None = None,
        more: str = "",
        *,
        keys: int = 1,
        max_wait: float = 0,
        tables: Mapping[str, str] | None = None,
        pool: str = "",
    ) -> None:
        """Begin anew: so many accounts in the pool, `modes` of providers with so many `keys` each.

        `more` are further sections of the configuration, `tables` further lines of a provider's, `pool` of the pool's.
        """
        number = next(_numbers)
        self.sim.reset()
        self.pool = [f"{number:04d}g{index}" for index in range(accounts)]
        self.paid = {name: [f"{number:04d}{name[-1]}{index}" for index in range(keys)] for name in modes or {}}
        stored = [Account(name=name, key=f"key-of-the-account-{name}") for name in self.pool]
        for provider, names in self.paid.items():
            stored += [Account(name=name, key=f"key-of-the-account-{name}", provider=provider) for name in names]
        update(self.daemon.paths.accounts, lambda old: _with(old, stored))
        self.daemon.paths.keys.unlink(missing_ok=True)
        self.configure(modes or {}, more, max_wait=max_wait, tables=tables, pool=pool)

    def configure(
        self,
        modes: Mapping[str, str],
        more: str = "",
        *,
        max_wait: float = 0,
        tables: Mapping[str, str] | None = None,
        pool: str = "",
    ) -> None:
        """Write config.toml and have the daemon take it over."""
        config = f'[pool]\nmax_wait = {max_wait}\n{pool}\n[gemini]\nbase_url = "{self.sim.url}"\n{more}\n'
        for name, mode in modes.items():
            base = self.sim.url if name == "anthropic" else f"{self.sim.url}/{name}/openai/v1"
            config += f'[providers.{name}]\nenabled = true\nmode = "{mode}"\nbase_url = "{base}"\n'
            config += f"{(tables or {}).get(name, PROTOCOLS_LINE)}\n"
        self.daemon.paths.config.write_text(config, encoding="utf-8")
        reported = self.admin("reload", {})
        assert reported["ok"], reported

    def key(self, name: str, **limits: Any) -> dict[str, str]:
        """Add a client's key with these limits; the header by which it is sent."""
        made = new_key(Key(name=name, **limits), datetime.now(UTC))
        update_keys(self.daemon.paths.keys, lambda old: old.add(made.stored))
        assert self.admin("reload", {})["ok"]
        return {"x-api-key": made.secret}

    def admin(self, path: str, body: Any = None) -> Any:
        """Ask the administration."""
        url = f"/admin/{path}"
        answer = self.http.get(url) if body is None else self.http.post(url, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def account(self, name: str) -> dict[str, Any]:
        """One row of `/admin/accounts`."""
        rows: list[dict[str, Any]] = self.admin("accounts")["accounts"]
        return next(row for row in rows if row["name"] == name)

    def states(self) -> dict[str, str]:
        """The state of each account."""
        return {row["name"]: row["state"] for row in self.admin("accounts")["accounts"]}

    def asked(self) -> list[str]:
        """Which accounts the simulator was called with, in order; questions about models do not count."""
        return [record.account for record in self.calls()]

    def calls(self) -> list[Record]:
        """What the simulator was asked to generate, count or embed."""
        return [record for record in self.sim.log() if record.operation != "models"]

    def ask(
        self,
        protocol: str,
        model: str = "",
        *,
        stream: bool = True,
        headers: Mapping[str, str] | None = None,
        **fields: Any,
    ) -> Answer:
        """Send a small request and read all of the answer."""
        model = model or MODELS[protocol]
        body = body_of(protocol, model=model, stream=stream, **fields)
        return self.send(protocol, path_of(protocol, model, stream=stream), body, stream=stream, headers=headers)

    def send(
        self,
        protocol: str,
        path: str,
        body: Any,
        *,
        stream: bool = False,
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send any body to any path."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        received, broken = b"", ""
        with self.http.stream(method, path, content=content, headers=headers) as response:
            try:
                for piece in response.iter_raw():
                    received += piece
            except httpx.RemoteProtocolError as error:
                broken = str(error)
        return Answer(protocol, stream, response.status_code, response.headers, received, broken)


PROTOCOLS_LINE = 'protocols = ["anthropic", "openai-chat", "openai-responses", "gemini"]'
"""Lets a provider match the requests of every client."""


def path_of(protocol: str, model: str, *, stream: bool) -> str:
    """Where a generation request goes."""
    if protocol != "gemini":
        return PATHS[protocol]
    return f"/v1beta/models/{model}:{'streamGenerateContent?alt=sse' if stream else 'generateContent'}"


def _with(old: Credentials, accounts: list[Account]) -> Credentials:
    fresh = Credentials(version=old.version, local_key=old.local_key)
    for account in accounts:
        fresh = fresh.add(account)
    return fresh
