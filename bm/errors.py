"""What can go wrong, as values inside the engine and as exceptions at its edges.

Failure                  a value: why a request, or one attempt at it, did not succeed

BmError                  an exception that a person may see; its text says what to do
├── ConfigError          the configuration cannot be used: file, line, key and remedy
├── AccountError         an account or a client's key cannot be added, read or used
├── DaemonError          the daemon cannot be started, stopped or reached
├── RequestError         a client's request is not acceptable; carries a Failure
└── DecodeError          a peer's bytes are not what its protocol promises
"""

from __future__ import annotations

from typing import Literal

import msgspec

FailureKind = Literal[
    "bad_request",  # 400: the client's request is at fault
    "context_too_long",  # 400: more tokens than the model takes
    "unauthorized",  # 401: the client's key for bm is missing or wrong
    "upstream_auth",  # bm's key was refused upstream; the client never sees 401 for it
    "billing",  # the account is out of credit
    "permission",  # the account may not do this
    "blocked",  # a web page, a proxy or the region stands in the way; no key is at fault
    "declined",  # 400: the account declines this one request, by its price, content or tools; another may serve it
    "forbidden",  # 403 by bm itself: foreign Host or Origin
    "not_found",  # 404: unknown model or path
    "method",  # 405
    "too_large",  # 413
    "rate_limited",  # 429, a limit of seconds or minutes
    "quota_exhausted",  # 429, a limit of a day, or a model outside the account's tier
    "server",  # 500 and other faults of the upstream
    "overloaded",  # 502, 503, 529
    "timeout",  # no answer, or no further event, in time
    "connection",  # refused, reset or unresolvable
    "truncated",  # the answer ended before its end
    "malformed",  # the answer is not what its protocol promises
    "unavailable",  # 400: no target until a person acts: no account, a provider that is off, refused keys
]

STATUS: dict[FailureKind, int] = {
    "bad_request": 400,
    "context_too_long": 400,
    "unauthorized": 401,
    "upstream_auth": 400,
    "billing": 400,
    "permission": 400,
    "blocked": 502,
    "declined": 400,
    "forbidden": 403,
    "not_found": 404,
    "method": 405,
    "too_large": 413,
    "rate_limited": 429,
    "quota_exhausted": 429,
    "server": 502,
    "overloaded": 503,
    "timeout": 504,
    "connection": 502,
    "truncated": 502,
    "malformed": 502,
    "unavailable": 400,
}
"""The status a client gets for a failure that carries none of its own."""


UNREADABLE = (msgspec.DecodeError, UnicodeError, RecursionError)
"""What decoding raises where bytes or a text are no JSON, or JSON that is nested too deeply to be read."""


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Why something did not succeed.

    `message` is the upstream's wording where there was one. `status` is the status for the client; 0 means the
    kind's own. `upstream_status` and `upstream_body` are what the upstream said, for pass-through. `retry_after`
    is seconds until it may work again; None when unknown. `param` names the part of the request at fault.
    `code` is the upstream's own machine-readable code.
    """

    kind: FailureKind
    message: str
    status: int = 0
    retry_after: float | None = None
    should_retry: bool | None = None
    param: str = ""
    code: str = ""
    upstream_status: int = 0
    upstream_body: bytes = b""

    @property
    def http_status(self) -> int:
        """The status that goes to the client."""
        return self.status or STATUS[self.kind]


class BmError(Exception):
    """An error that a person may see. Its text names the place and the remedy.

    One that `passes` may be over soon without a person, as when a server is away.
    """

    passes = False


class ConfigError(BmError):
    """The configuration cannot be used."""

    def __init__(self, message: str, *, path: str = "", line: int = 0, key: str = "", hint: str = "") -> None:
        self.message, self.path, self.line, self.key, self.hint = message, path, line, key, hint
        place = f"{path}:{line}" if path and line else path
        text = ": ".join(part for part in (place, key, message) if part)
        super().__init__(f"{text} ({hint})" if hint else text)

    def placed(self, path: str) -> ConfigError:
        """The same error, in this file."""
        error = ConfigError(self.message, path=path, line=self.line, key=self.key, hint=self.hint)
        error.passes = self.passes
        return error


class AccountError(BmError):
    """An account or a client's key cannot be added, read or used."""


class DaemonError(BmError):
    """The daemon cannot be started, stopped or reached."""


class RequestError(BmError):
    """A client's request is not acceptable."""

    def __init__(self, failure: Failure) -> None:
        self.failure = failure
        super().__init__(failure.message)


class DecodeError(BmError):
    """A peer's bytes are not what its protocol promises. `path` names the place, such as `messages[3].content`."""

    def __init__(self, message: str, *, path: str = "") -> None:
        self.path = path
        super().__init__(f"{path}: {message}" if path else message)
