"""What is judged, and with what: a URL, keys, origins, the environment it claims to be. Pure."""

import ipaddress
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from voxgate_gates.check import Need
from voxgate_gates.redaction import ISSUER_KEY, KEY, Redactor

__all__ = ["TOKEN_TTL", "Routes", "Target", "TargetError"]

TOKEN_TTL: Final = {"dev": 600, "preview": 300, "prod": 300}
"""The longest life of a token in each environment, seconds."""

_SOCKET_SCHEMES: Final = {"http": "ws", "https": "wss"}


class TargetError(ValueError):
    """A target that can't be judged as given; the sentence says what to change."""


@dataclass(frozen=True, slots=True)
class Routes:
    """Where the target keeps what the checks look for."""

    token: str = "/api/realtime/token"
    client_secrets: str = "/v1/realtime/client_secrets"
    revoke: str = "/api/realtime/revoke"
    health: str = "/api/health"
    native: str = "/realtime"
    openai: str = "/v1/realtime?model=gpt-realtime-2.1"
    missing: str = "/api/there-is-nothing-here"


@dataclass(frozen=True, slots=True)
class Target:
    """A base URL without a trailing slash, and the means to call it. Keys never show in the ``repr``.

    Raises :class:`TargetError` for a URL that is not ``http(s)://host[:port][/path]`` or an unknown environment.
    """

    url: str
    environment: str = "prod"
    key: str | None = field(default=None, repr=False)
    issuer_key: str | None = field(default=None, repr=False)
    origin: str | None = None
    other_origin: str | None = None
    secrets: tuple[str, ...] = field(default=(), repr=False)
    routes: Routes = field(default_factory=Routes)

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            host, _ = parts.hostname, parts.port
        except ValueError as error:
            raise TargetError("the target's URL cannot be read; write http(s)://host[:port]") from error
        if parts.scheme not in _SOCKET_SCHEMES or not host:
            raise TargetError("the target must be an http:// or https:// URL with a host")
        if parts.username or parts.password:
            raise TargetError("leave user and password out of the target's URL; it ends up in reports")
        if parts.query or parts.fragment:
            raise TargetError("the target must be a base URL, without a query or fragment")
        if self.environment not in TOKEN_TTL:
            raise TargetError(f"the environment must be one of {', '.join(TOKEN_TTL)}")
        object.__setattr__(self, "url", self.url.rstrip("/"))

    @property
    def token_ttl(self) -> int:
        """Seconds a token may live here."""
        return TOKEN_TTL[self.environment]

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        parts = urlsplit(self.url)
        return parts.port or (443 if self.is_tls else 80)

    @property
    def is_tls(self) -> bool:
        return self.url.startswith("https:")

    @property
    def is_loopback(self) -> bool:
        """Whether the target runs on this machine, where no proxy belongs in between."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def http_url(self, path: str) -> str:
        return f"{self.url}{path}"

    def ws_url(self, path: str) -> str:
        scheme, _, rest = self.url.partition(":")
        return f"{_SOCKET_SCHEMES[scheme]}:{rest}{path}"

    def lacks(self, needs: frozenset[Need]) -> list[Need]:
        """The needs this target can't meet, in a fixed order."""
        given = {
            Need.KEY: self.key,
            Need.ISSUER: self.issuer_key,
            Need.ORIGIN: self.origin,
            Need.OTHER_ORIGIN: self.other_origin,
        }
        return [need for need in Need if need in needs and not given[need]]

    def redactor(self) -> Redactor:
        """A redactor that knows every secret of this target."""
        known = [(self.key, KEY), (self.issuer_key, ISSUER_KEY)]
        pairs = [(secret, placeholder) for secret, placeholder in known if secret]
        return Redactor([*pairs, *((secret, "$SECRET") for secret in self.secrets)])
