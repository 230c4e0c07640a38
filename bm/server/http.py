"""HTTP/1.1 with limits of size, time and number, which hold before any key has been checked."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from bm.server.descriptors import most_connections
from bm.server.direct import DirectClient

MAX_HEAD = 64 * 1024
"""Bytes of a request's head: its first line and its headers."""
HEAD_SECONDS = 10.0
"""From the first byte of a request, or the start of a connection, until the head is complete."""
BODY_SECONDS = 60.0
"""Silence in the middle of a request's body."""
IDLE_SECONDS = 3.0
"""Silence after which a daemon that has handed over closes a connection. Clients use it once more until then."""
_SAY_AGAIN = 60.0
_UPGRADE_HEADERS = frozenset({b"upgrade", b"http2-settings", b"connection"})
_log = logging.getLogger("bm")


class HeadTooLarge(Exception):
    """The head of a request exceeds `MAX_HEAD`."""


class RefusedHead(Exception):
    """The head of a request is not valid."""


class LimitedHttp(HttpToolsProtocol):
    """uvicorn's protocol with limits of size, time and number, and without trailers as headers.

    Calls of models go to the application's `direct`, if it has one, instead of through ASGI.

    An offer to upgrade to HTTP/2 is ignored (RFC 9110, section 7.8). httptools would take the body for bytes of the
    other protocol, so the request is parsed again without the offer.
    """

    leaving = False
    """Whether this daemon is about to end: then every answer is the last one on its connection."""
    ending = False
    """Whether no other daemon serves here then."""
    unread_seconds: Callable[[], float] = staticmethod(lambda: 0.0)
    """How long a client may read nothing of what it is sent; 0 = for ever."""
    _said = 0.0

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._in_request = False
        self._in_head = True
        self._size = self._unfinished = self._hosts = 0
        self._moved = self._codes_twice = False
        self._direct: Any = getattr(self.app, "direct", None)
        self._seen = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._unread = 0
        self._reading: asyncio.TimerHandle | None = None
        self._repeated = self._handed_over = False

    @property
    def gives_way(self) -> bool:
        """Whether no request of this connection is being served or has been received."""
        cycle: Any = self.cycle
        return cycle is None or bool(cycle.response_complete)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept a connection, and close the one that has been waiting the longest if there are too many."""
        super().connection_made(transport)
        self._wait_for_head()
        if len(self.connections) > most_connections():
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self._stop_watching()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)
        cycle: Any = self.cycle
        if type(cycle) is DirectClient and not cycle.response_complete:
            cycle.lost()

    def pause_writing(self) -> None:
        """More is to be sent than the client reads: whole responses and streams alike wait in the buffer."""
        super().pause_writing()
        self._watch_reading()

    def resume_writing(self) -> None:
        self._stop_watching()
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        """Close the connection if it has been idle for long enough: one timer lasts for many requests."""
        self.timeout_keep_alive_task = None
        if self._in_request or not self.gives_way:
            return
        left = self.timeout_keep_alive - (time.monotonic() - self._seen)
        if left > 0:
            self.timeout_keep_alive_task = self.loop.call_later(left, self.timeout_keep_alive_handler)
            return
        super().timeout_keep_alive_handler()
        if self._reading is None and self.transport.get_write_buffer_size():
            self._watch_reading()

    def _watch_reading(self) -> None:
        self._unread = self.transport.get_write_buffer_size()
        if seconds := LimitedHttp.unread_seconds():
            self._reading = self.loop.call_later(seconds, self._check_reading)

    def _stop_watching(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def _check_reading(self) -> None:
        """Break the connection if the client has read nothing meanwhile."""
        if self.transport.get_write_buffer_size() >= self._unread:
            self._reading = None
            self.transport.abort()
        else:
            self._watch_reading()

    def _make_room(self) -> None:
        waiting = [each for each in self.connections if isinstance(each, LimitedHttp) and each.gives_way]
        oldest = min(waiting, key=lambda each: each._seen, default=self)
        if (now := time.monotonic()) - LimitedHttp._said > _SAY_AGAIN:
            LimitedHttp._said = now
            _log.warning("%d connections are open: idle ones are closed (ulimit -n limits them)", len(self.connections))
        self.connections.discard(oldest)
        oldest.transport.abort()

    def data_received(self, data: bytes) -> None:
        self._seen = time.monotonic()
        self._moved = False
        try:
            self._feed(data)
        except httptools.HttpParserCallbackError as error:
            self._refuse(error.__context__)
            return
        except httptools.HttpParserError as error:
            self._refuse(error)
            return
        # The parser hands over a header or a trailer only when it is whole, and the extension of a chunk never.
        self._unfinished = 0 if self._moved else self._unfinished + len(data)
        if self._unfinished > MAX_HEAD:
            self._refuse(HeadTooLarge())
        elif self._timer is None and not self._handed_over:
            self._watch_request()

    def _watch_request(self) -> None:
        """Limit the time until the rest of a request arrives. Most arrive whole, and need no timer."""
        if self._in_request and not self._in_head:
            self._timer = self.loop.call_later(BODY_SECONDS, self._check_body)
        elif self._in_request or self.gives_way:
            self._wait_for_head()

    def _feed(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self._should_upgrade():
                self._handed_over = True
                self._hand_over()
            elif self._repeated:
                self._repeated = False
                self._feed_again(data[upgrade.args[0] :])

    def _hand_over(self) -> None:
        try:
            self.handle_websocket_upgrade()
        except UnicodeDecodeError:
            # wsproto decodes some of the headers as ASCII, and all that it answers is a traceback in the log.
            self.transport.close()

    def _feed_again(self, rest: bytes) -> None:
        """Parse a request that offered an upgrade once more without the offer."""
        lines = [self.parser.get_method() + b" " + self.url + b" HTTP/1.1"]
        kept = [(name, value) for name, value in self.headers if name not in _UPGRADE_HEADERS]
        lines += [name + b": " + value for name, value in kept]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.parser.feed_data(b"\r\n".join(lines) + b"\r\n\r\n")
        self.parser.feed_data(rest)

    def _refuse(self, reason: BaseException | None) -> None:
        """Answer a head that cannot be served, and close the connection."""
        status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE if isinstance(reason, HeadTooLarge) else HTTPStatus(400)
        text = str(reason) if isinstance(reason, RefusedHead) else status.phrase
        if self.gives_way and not self.transport.is_closing():
            head = f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: text/plain\r\n"
            self.transport.write(f"{head}content-length: {len(text)}\r\nconnection: close\r\n\r\n{text}".encode())
        self.transport.close()

    def on_message_begin(self) -> None:
        # uvicorn makes its scope here; a call of a model needs none.
        self.url, self.headers, self.expect_100_continue = b"", [], False
        self._in_request = self._in_head = self._moved = True
        self._size = self._hosts = 0
        self._codes_twice = False

    def on_url(self, url: bytes) -> None:
        self._moved = True
        self._size += len(url)
        if self._size > MAX_HEAD:
            raise HeadTooLarge
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._moved = True
        self._size += len(name) + len(value) + 4
        if self._size > MAX_HEAD:
            raise HeadTooLarge
        if not self._in_head:
            # What comes after the head is a trailer (RFC 9110, section 6.5.1).
            return
        name = name.lower()
        self.headers.append((name, value))
        if name == b"host":
            self._hosts += 1
        elif name == b"transfer-encoding":
            self._codes_twice = self._codes_twice or value.lower() != b"chunked"
        elif name == b"expect":
            self.expect_100_continue = self.expect_100_continue or value.lower() == b"100-continue"

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._stop_timer()
        self._check_head_is_plain()
        if self.parser.should_upgrade() and self._get_upgrade() != b"websocket":
            self._repeated = True
            return
        if not self._is_direct():
            url, headers, expects = self.url, self.headers, self.expect_100_continue
            super().on_message_begin()
            self.url, self.expect_100_continue = url, expects
            self.headers.extend(headers)
            super().on_headers_complete()
        if self.leaving:
            self.cycle.keep_alive = False

    def _is_direct(self) -> bool:
        """Whether the request is a call of a model, which then has begun."""
        if self._direct is None or self.parser.should_upgrade():
            return False
        url = httptools.parse_url(self.url)
        path, method = url.path.decode("ascii"), self.parser.get_method().decode("ascii")
        query = (url.query or b"").decode("latin-1")
        call = self._direct(method, unquote(path) if "%" in path else path, query, self.headers)
        if call is None:
            return False
        version, before = self.parser.get_http_version(), self.gives_way
        client: Any = DirectClient(
            self,
            call,
            version=version,
            keep_alive=version != "1.0" and self.parser.should_keep_alive(),
            expects=self.expect_100_continue,
        )
        self.cycle = client
        if before:
            client.begin()
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((client, self.app))
        return True

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        if type(cycle) is DirectClient:
            cycle.begin()
        else:
            super()._start_asgi_task(cycle, app)

    def _check_head_is_plain(self) -> None:
        """Refuse what another server could read in another way."""
        if self._hosts > 1:
            raise RefusedHead("a request has one Host header")
        if self._codes_twice:
            raise RefusedHead("chunked is the only Transfer-Encoding here")
        if self.parser.get_method() == b"CONNECT":
            raise RefusedHead("bm is not a proxy")
        if self.url[:1] not in (b"/", b"*"):
            # The host of an absolute address takes precedence (RFC 9112, section 3.2.2).
            parts = httptools.parse_url(self.url)
            port = f":{parts.port}".encode() if parts.port else b""
            self.headers[:] = [each for each in self.headers if each[0] != b"host"]
            self.headers.append((b"host", (parts.host or b"") + port))

    def on_body(self, body: bytes) -> None:
        self._moved = True
        cycle: Any = self.cycle
        if self._repeated:
            return
        if type(cycle) is DirectClient:
            cycle.feed(body)
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._moved = True
        if self._repeated:
            return
        self._stop_timer()
        self._in_request = False
        cycle: Any = self.cycle
        if type(cycle) is DirectClient:
            cycle.complete()
        else:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        self._seen = time.monotonic()
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def say_last(self) -> None:
        """Make the answer that is being sent the last one on this connection."""
        cycle: Any = self.cycle
        if not self.gives_way:
            cycle.keep_alive = False

    def close_if_idle(self) -> None:
        """Close the connection if it has been silent for some time, so that no request is on its way."""
        if self.gives_way and time.monotonic() - self._seen >= IDLE_SECONDS:
            self._give_up()

    def _wait_for_head(self) -> None:
        self._seen = time.monotonic()
        self._timer = self.loop.call_later(HEAD_SECONDS, self._check_head)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _check_head(self) -> None:
        """Close the connection, unless the next request only waits behind one that is being served."""
        self._timer = None
        if self.gives_way:
            self._give_up()
        else:
            self._wait_for_head()

    def _check_body(self) -> None:
        """Close the connection if its body has stopped arriving; a body that bm itself does not read may wait."""
        silence = 0.0 if self.flow.read_paused else time.monotonic() - self._seen
        if silence >= BODY_SECONDS:
            self._give_up()
        else:
            self._timer = self.loop.call_later(BODY_SECONDS - silence, self._check_body)

    def _give_up(self) -> None:
        self._timer = None
        if not self.transport.is_closing():
            self.transport.close()
