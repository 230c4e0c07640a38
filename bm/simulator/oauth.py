"""Google's sign-in: a consent page that agrees at once, and the token endpoint.

Sources: developers.google.com/identity/protocols/oauth2 (native apps, service accounts), RFC 6749, 7523 and 7636.
"""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Any, Literal
from urllib.parse import urlencode, urlsplit

import msgspec

CONSENT = "/oauth/consent"
TOKEN = "/oauth/token"  # noqa: S105 - a path
ACCESS_PREFIX = "sim-access-"
"""Prefix of access tokens. Other bearer tokens count as keys."""

GOOGLE_TOKEN = "https://oauth2.googleapis.com/token"  # noqa: S105 - google-auth's assertions are always addressed to it
_TOLERANCE = 300.0
_LONGEST = 3600.0
_JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"

Fault = Literal["", "invalid_grant", "invalid_client", "unavailable", "down"]


class OAuth(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How sign-in behaves. `skew`: seconds by which its clock is ahead; `scopes` replace the requested ones.

    `rotate` replaces a refresh token at each use and invalidates the old one. `revoke` invalidates all tokens now,
    `expire` all access tokens. `accounts` maps the addresses of service accounts to their public keys (PEM); None
    accepts all. `projects` are those that a caller with a token may use; None allows all. `fault` is a fault of the
    token endpoint, which takes `delay` seconds.
    """

    deny: bool = False
    rotate: bool = False
    revoke: bool = False
    expire: bool = False
    expires_in: int = 3599
    delay: float = 0.0
    fault: Fault = ""
    skew: float = 0.0
    scopes: str | None = None
    accounts: dict[str, str] | None = None
    projects: tuple[str, ...] | None = None


class Code(msgspec.Struct, frozen=True):
    """The request that a code was issued for."""

    client: str
    redirect: str
    challenge: str
    scope: str


class Authority:
    """The codes and tokens issued. `wall` gives Unix time."""

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self._number = 0
        self.settings = OAuth()
        self._codes: dict[str, Code] = {}
        self._refresh: dict[str, str] = {}
        self._access: dict[str, float] = {}

    def apply(self, settings: OAuth) -> None:
        """Apply new settings."""
        self.settings = settings
        if settings.revoke:
            self._refresh.clear()
        if settings.revoke or settings.expire:
            self._access.clear()

    def admits(self, token: str) -> bool:
        """Whether an access token is valid now."""
        return self._access.get(token, 0.0) > self._wall()

    def allows(self, project: str) -> bool:
        """Whether a caller may use a project. An empty name is always allowed."""
        return not project or self.settings.projects is None or project in self.settings.projects

    def headers(self) -> dict[str, str]:
        """The headers of all responses, with the time of this clock."""
        return {"date": formatdate(self._wall() + self.settings.skew, usegmt=True), "content-type": "application/json"}

    def consent(self, query: dict[str, str]) -> tuple[int, str]:
        """The address that the browser is redirected to (status 302), or the error (400)."""
        redirect = query.get("redirect_uri", "")
        if query.get("response_type") != "code" or not query.get("client_id"):
            return 400, "Error 400: invalid_request"
        if urlsplit(redirect).hostname not in ("127.0.0.1", "localhost", "::1"):
            return 400, "Error 400: redirect_uri_mismatch"
        if query.get("code_challenge_method") != "S256" or len(query.get("code_challenge", "")) != 43:
            return 400, "Error 400: invalid_request: code_challenge"
        back = {"state": query.get("state", "")}
        if self.settings.deny:
            return 302, f"{redirect}?{urlencode(back | {'error': 'access_denied'})}"
        scope = query.get("scope", "") if self.settings.scopes is None else self.settings.scopes
        code = self._new("sim-code")
        self._codes[code] = Code(query["client_id"], redirect, query["code_challenge"], scope)
        return 302, f"{redirect}?{urlencode(back | {'code': code, 'scope': scope})}"

    def token(self, form: dict[str, str], own: str) -> tuple[int, dict[str, Any]]:
        """The response of the token endpoint, whose address is `own`."""
        match self.settings.fault:
            case "unavailable":
                return 503, {"error": "temporarily_unavailable"}
            case "invalid_client":
                return 401, {"error": "invalid_client", "error_description": "The OAuth client was not found."}
            case "invalid_grant":
                return _invalid("Bad Request")
        match form.get("grant_type"):
            case "authorization_code":
                return self._by_code(form)
            case "refresh_token":
                return self._by_refresh(form)
            case grant if grant == _JWT_BEARER:
                return self._by_assertion(form.get("assertion", ""), own)
            case _:
                return 400, {"error": "unsupported_grant_type", "error_description": "Invalid grant_type"}

    def _by_code(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        code = self._codes.pop(form.get("code", ""), None)
        if code is None or code.client != form.get("client_id"):
            return _invalid("Malformed auth code.")
        if code.redirect != form.get("redirect_uri"):
            return 400, {"error": "redirect_uri_mismatch", "error_description": "Bad Request"}
        if _challenge(form.get("code_verifier", "")) != code.challenge:
            return _invalid("Invalid code verifier.")
        if not form.get("client_secret"):
            return 400, {"error": "invalid_request", "error_description": "client_secret is missing."}
        refresh = self._new("sim-refresh")
        self._refresh[refresh] = code.client
        return 200, self._granted() | {"refresh_token": refresh, "scope": code.scope}

    def _by_refresh(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        old = form.get("refresh_token", "")
        if self._refresh.get(old) != form.get("client_id"):
            return _invalid("Token has been expired or revoked.")
        if not self.settings.rotate:
            return 200, self._granted()
        new = self._new("sim-refresh")
        self._refresh[new] = self._refresh.pop(old)
        return 200, self._granted() | {"refresh_token": new}

    def _by_assertion(self, assertion: str, own: str) -> tuple[int, dict[str, Any]]:
        try:
            head, body, signature = assertion.split(".")
            claims = msgspec.json.decode(_unpadded(body))
            issuer, audience, issued, ends = (claims[name] for name in ("iss", "aud", "iat", "exp"))
        except (ValueError, KeyError, TypeError, msgspec.DecodeError):
            return _invalid("Invalid JWT: it cannot be decoded")
        known = self.settings.accounts
        if known is not None and issuer not in known:
            return _invalid("Invalid grant: account not found")
        if audience not in (own, GOOGLE_TOKEN):
            return _invalid(f"Invalid JWT: Failed audience check: {audience}")
        now = self._wall() + self.settings.skew
        if abs(issued - now) > _TOLERANCE or ends - issued > _LONGEST:
            return _invalid(
                "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your"
                " iat and exp values in the JWT claim."
            )
        if known is not None and not _signed(f"{head}.{body}".encode(), _unpadded(signature), known[issuer]):
            return _invalid("Invalid JWT Signature.")
        return 200, self._granted()

    def _granted(self) -> dict[str, Any]:
        token = self._new(ACCESS_PREFIX.rstrip("-"))
        self._access[token] = self._wall() + self.settings.expires_in
        return {"access_token": token, "expires_in": self.settings.expires_in, "token_type": "Bearer"}

    def _new(self, word: str) -> str:
        self._number += 1
        return f"{word}-{self._number:08d}-{'x' * 16}{self._number % 10}"


def _invalid(description: str) -> tuple[int, dict[str, Any]]:
    return 400, {"error": "invalid_grant", "error_description": description}


def _challenge(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _unpadded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _signed(data: bytes, signature: bytes, public_key: str) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    key = load_pem_public_key(public_key.encode())
    if not isinstance(key, RSAPublicKey):
        return False
    try:
        key.verify(signature, data, PKCS1v15(), SHA256())
    except InvalidSignature:
        return False
    return True
