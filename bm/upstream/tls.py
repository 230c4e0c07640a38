"""Trust in servers: certificates, and sessions that are taken up again."""

from __future__ import annotations

import os
import ssl
import sys
from functools import lru_cache
from pathlib import Path
from typing import Final

from bm.errors import ConfigError

_MAX_SESSIONS: Final = 256


class ResumingContext(ssl.SSLContext):
    """A client's context that offers each server the session it had with it last, which saves it the handshake's costly
    part. Event loops cannot be given a session, so it is added where they make their TLS objects.
    """

    _sessions: dict[str, ssl.SSLSession]

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        known = session or self._known().get(str(server_hostname))
        return super().wrap_bio(incoming, outgoing, server_side, server_hostname, known)

    def remember(self, made: ssl.SSLObject) -> None:
        """Keep the session for the next connection. TLS 1.3 servers send it after the handshake, with the response."""
        session, name = made.session, made.server_hostname
        if session is None or not session.has_ticket or not name:
            return
        sessions = self._known()
        sessions.pop(name, None)
        sessions[name] = session
        if len(sessions) > _MAX_SESSIONS:
            del sessions[next(iter(sessions))]

    def _known(self) -> dict[str, ssl.SSLSession]:
        if not hasattr(self, "_sessions"):
            self._sessions = {}
        return self._sessions


@lru_cache(maxsize=8)
def tls_context(ca_bundle: str) -> ResumingContext:
    """The system's certificates plus those of the bundle. Loading them takes some 60 ms, so contexts are shared.

    Raises:
        ConfigError: the bundle cannot be read.
    """
    context = ResumingContext(ssl.PROTOCOL_TLS_CLIENT)
    # As `ssl.create_default_context` does it, which makes no other class.
    if sys.version_info >= (3, 13):
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_STRICT
    if key_log := os.environ.get("SSLKEYLOGFILE"):
        context.keylog_filename = key_log
    context.load_default_certs()
    context.set_alpn_protocols(["http/1.1"])
    if ca_bundle:
        path = Path(ca_bundle).expanduser()
        try:
            context.load_verify_locations(path)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"cannot read {path}: {error}", key="upstream_proxy.ca_bundle") from error
    return context
