"""Takes access tokens of an OpenID provider, verified against its published keys.

Keys are fetched off the event loop by PyJWT's ``PyJWKClient``, bounded in size and time, one fetch at a time. A key id
nobody knows fetches once per cooldown, so that invented ids cost the provider nothing. When the provider can't be
reached, known keys go on working until they are too old; then callers get 503, not 401: their token may be good.

Sources: RFC 9068 (JWT access tokens), RFC 8725 section 3.1, OpenID Connect Core 1.0 section 10.1.1 (key rotation).
"""

import asyncio
import hashlib
import ipaddress
import json
import logging
import ssl
import time
import urllib.request
from typing import Any, Final
from urllib.parse import urlsplit

import jwt
from jwt.exceptions import PyJWKClientConnectionError, PyJWTError

from voxgate_core import Clock, ConfigurationError, SystemClock, VoxgateError
from voxgate_security.apikeys import Role
from voxgate_security.authenticators import KEY_SUBJECT, Caller, invalid_credential
from voxgate_security.guard import is_subject

__all__ = ["ALLOWED_ALGORITHMS", "OidcAuthenticator"]

ALLOWED_ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Asymmetric ones only: with a shared secret, whoever may read the key set could sign."""

MAX_KEY_SET: Final = 256 * 1024
"""Bytes of a key set."""

READ_SIZE: Final = 16 * 1024
FETCH_SECONDS: Final = 5.0
COOLDOWN_SECONDS: Final = 30.0
"""Between two fetches that a key id nobody knows, or a failed fetch, may cause."""

LIFESPAN_SECONDS: Final = 300.0
"""Age at which a key set is fetched anew."""

STALE_SECONDS: Final = 3600.0
"""Age up to which a key set is still believed while the provider can't be reached."""

LEEWAY_SECONDS: Final = 30
"""Allowance for the provider's clock."""

TYPES: Final = frozenset({None, "jwt", "at+jwt", "application/at+jwt"})
REQUIRED: Final = ("iss", "aud", "sub", "exp", "iat")
SETTING: Final = "VOXGATE_OIDC_JWKS_URL"

logger = logging.getLogger("voxgate.security")


class _KeySetClient(jwt.PyJWKClient):
    """PyJWKClient with a bound on what it reads and how long all of it may take."""

    def fetch_data(self) -> Any:
        deadline = time.monotonic() + self.timeout
        handlers: list[urllib.request.BaseHandler] = [_NoRedirects()]
        if self.uri.startswith("http://"):
            handlers.append(urllib.request.ProxyHandler({}))  # a loopback address means this machine, not a proxy's
        else:
            handlers.append(urllib.request.HTTPSHandler(context=ssl.create_default_context()))
        try:
            with urllib.request.build_opener(*handlers).open(self.uri, timeout=self.timeout) as response:
                body = b""
                while chunk := response.read1(READ_SIZE):
                    body += chunk
                    if len(body) > MAX_KEY_SET or time.monotonic() > deadline:
                        raise PyJWKClientConnectionError("the key set is too large or too slow")
            return self._as_jwk_set_payload(json.loads(body))
        except (OSError, ValueError, RecursionError) as error:
            raise PyJWKClientConnectionError(f"the key set can't be read ({type(error).__name__})") from error


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


class OidcAuthenticator:
    """Recognises JWTs. A caller's role is ``user``: it gets tokens for its own subject only.

    ``jwks_url`` must be https; ``allow_http_loopback`` lets a development provider on this machine speak http.
    Times are seconds. Raises :class:`ConfigurationError` when it can't be set up like that.
    """

    def __init__(
        self,
        issuer: str,
        audience: str,
        jwks_url: str,
        *,
        algorithms: tuple[str, ...] = ALLOWED_ALGORITHMS,
        clock: Clock | None = None,
        timeout: float = FETCH_SECONDS,
        cooldown: float = COOLDOWN_SECONDS,
        allow_http_loopback: bool = False,
    ) -> None:
        faults = [f"VOXGATE_OIDC: {name} is not allowed" for name in algorithms if name not in ALLOWED_ALGORITHMS]
        if not algorithms:
            faults.append("VOXGATE_OIDC: no algorithm is allowed")
        if not issuer or not audience:
            faults.append("VOXGATE_OIDC_ISSUER and VOXGATE_OIDC_AUDIENCE must both be set")
        if not _may_fetch(jwks_url, allow_http_loopback):
            faults.append(f"{SETTING}: must be an https URL without user information")
        if faults:
            raise ConfigurationError(faults)
        self._issuer = issuer
        self._audience = audience
        self._algorithms = list(algorithms)
        self._clock: Clock = clock or SystemClock()
        self._cooldown = cooldown
        self._client = _KeySetClient(jwks_url, cache_jwk_set=False, timeout=timeout)
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at: float | None = None
        self._tried_at: float | None = None
        self._lock = asyncio.Lock()

    def __repr__(self) -> str:
        return f"OidcAuthenticator(issuer={self._issuer!r}, audience={self._audience!r})"

    async def authenticate(self, credential: str) -> Caller | None:
        """Who ``credential`` is for; ``None`` when it is no JWT.

        Raises :class:`VoxgateError` ``credential_invalid``, or ``unavailable`` when the provider's keys are unknown.
        """
        if credential.count(".") != 2:
            return None
        try:
            header = jwt.get_unverified_header(credential)
        except PyJWTError:
            raise invalid_credential() from None
        kid, algorithm, kind = header.get("kid"), header.get("alg"), header.get("typ")
        if not isinstance(kid, str) or not isinstance(algorithm, str) or algorithm not in self._algorithms:
            raise invalid_credential()
        if not isinstance(kind, str | None) or (kind and kind.lower()) not in TYPES:
            raise invalid_credential()
        claims = self._claims(credential, await self._key(kid))
        subject = claims["sub"]
        label = f"oidc:{hashlib.sha256(str(subject).encode('utf-8', 'replace')).hexdigest()[:8]}"
        if not is_subject(subject) or subject.startswith(KEY_SUBJECT):
            raise invalid_credential()
        return Caller(subject=subject, role=Role.USER, kind="oidc", label=label)

    def _claims(self, token: str, key: jwt.PyJWK) -> dict[str, Any]:
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=self._algorithms,
                audience=self._audience,
                issuer=self._issuer,
                options={
                    "require": list(REQUIRED),
                    "enforce_minimum_key_length": True,
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
        except Exception:
            # Whatever a decoder throws at hostile input is a refusal. Its text may quote the token: drop it.
            raise invalid_credential() from None
        now = self._clock.now()
        times = [claims["exp"], claims["iat"], claims.get("nbf", 0)]
        if any(isinstance(moment, bool) or not isinstance(moment, int | float) for moment in times):
            raise invalid_credential()
        if not (times[0] > now - LEEWAY_SECONDS and max(times[1:]) <= now + LEEWAY_SECONDS):
            raise invalid_credential()
        return claims

    async def _key(self, kid: str) -> jwt.PyJWK:
        if kid not in self._keys or self._age() > LIFESPAN_SECONDS:
            async with self._lock:
                if (kid not in self._keys or self._age() > LIFESPAN_SECONDS) and not self._cooling():
                    await self._fetch()
        if self._age() > STALE_SECONDS:
            message = "the identity provider's keys are not available"
            raise VoxgateError("unavailable", message, retry_after=self._cooldown)
        key = self._keys.get(kid)
        if key is None:
            raise invalid_credential()
        return key

    async def _fetch(self) -> None:
        self._tried_at = self._clock.monotonic()
        try:
            keys = await asyncio.to_thread(self._client.get_signing_keys)
        except PyJWTError as error:
            logger.warning("the identity provider's keys can't be fetched", extra={"fault": str(error)})
            return
        self._keys = {key.key_id: key for key in keys if key.key_id is not None}
        self._fetched_at = self._tried_at

    def _age(self) -> float:
        return float("inf") if self._fetched_at is None else self._clock.monotonic() - self._fetched_at

    def _cooling(self) -> bool:
        return self._tried_at is not None and self._clock.monotonic() - self._tried_at < self._cooldown


def _may_fetch(url: str, allow_http_loopback: bool) -> bool:
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port
    except ValueError:
        return False
    if not host or "@" in parts.netloc or parts.fragment:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and allow_http_loopback and _is_loopback(host))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
