"""The certificate that the daemon shows to its clients, read again when its files change."""

from __future__ import annotations

import asyncio
import logging
import ssl
from pathlib import Path
from typing import Final

from bm.config.files import stamp
from bm.config.schema import Server
from bm.errors import ConfigError

INTERVAL: Final = 1.0
"""Seconds between two looks at the files."""
_log = logging.getLogger("bm")


def certificate_of(server: Server) -> Certificate | None:
    """The configured certificate; None without one.

    Raises:
        ConfigError: its files cannot be read, or do not belong together.
    """
    return Certificate(server) if server.tls_cert else None


class Certificate:
    """A certificate with its key. New connections get the one that was read last."""

    def __init__(self, server: Server) -> None:
        """
        Raises:
            ConfigError: the files cannot be read, or do not belong together.
        """
        self._cert, self._key = Path(server.tls_cert).expanduser(), Path(server.tls_key).expanduser()
        self._stamps = self._look()
        self.context = self._read()

    def _look(self) -> tuple[object, object]:
        return stamp(self._cert), stamp(self._key)

    def _read(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_alpn_protocols(["http/1.1"])
        self._load(context)
        return context

    def _load(self, context: ssl.SSLContext) -> None:
        for path, name in ((self._cert, "tls_cert"), (self._key, "tls_key")):
            try:
                path.read_bytes()
            except OSError as error:
                raise ConfigError(f"{path}: {error.strerror or error}", key=f"server.{name}") from None
        try:
            # Without a password of ours, OpenSSL would ask the terminal for that of an encrypted key.
            context.load_cert_chain(self._cert, self._key, password=lambda: "")
        except (ssl.SSLError, OSError) as error:
            reason = "the key belongs to another certificate" if "MISMATCH" in str(error) else _plain(error)
            hint = "both files are PEM, the key without a password"
            raise ConfigError(f"{self._cert} with {self._key}: {reason}", key="server.tls_cert", hint=hint) from None

    async def watch(self) -> None:
        """Read the files again whenever they change, as those do that are renewed every few weeks, until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL)
            if (seen := self._look()) != self._stamps:
                self._stamps = seen
                self.renew()

    def renew(self) -> None:
        """Show what the files hold now; what they held before, if that cannot be used."""
        try:
            # Into a context of its own first: a half that does not fit would stay in the one that serves.
            self._read()
            self._load(self.context)
        except ConfigError as error:
            _log.error("the changed certificate is not used, the previous one stays: %s", error)
        else:
            _log.info("the changed certificate %s is in use", self._cert)


def _plain(error: OSError) -> str:
    return str(getattr(error, "reason", None) or error.strerror or error)
