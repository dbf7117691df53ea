"""What is judged, and with what: a URL, keys, origins, the environment it claims to be. Pure."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from voxgate_gates.check import Need
from voxgate_gates.redaction import ISSUER_KEY, KEY, Redactor

__all__ = ["TOKEN_TTL", "Budgets", "NotOffered", "Routes", "Target", "TargetError"]

TOKEN_TTL: Final = {"dev": 600, "preview": 300, "prod": 300}
"""The longest life of a token in each environment, seconds."""

_SOCKET_SCHEMES: Final = {"http": "ws", "https": "wss"}


class TargetError(ValueError):
    """A target that can't be judged as given; the sentence says what to change."""


class NotOffered(Exception):
    """A check asked for a route that the target is said not to have."""


@dataclass(frozen=True, slots=True)
class Routes:
    """Where the target keeps what the checks look for; an empty path is a route that it does not have."""

    token: str = "/api/realtime/token"
    client_secrets: str = "/v1/realtime/client_secrets"
    revoke: str = "/api/realtime/revoke"
    fanout: str = "/api/voice/fanout"
    fanout_stub: str = "/api/voice/fanout/stub"
    health: str = "/api/health"
    metrics: str = "/metrics"
    native: str = "/realtime"
    openai: str = "/v1/realtime?model=gpt-realtime-2.1"
    missing: str = "/api/there-is-nothing-here"

    @property
    def absent(self) -> list[str]:
        """The names of the routes that the target does not have."""
        return [each.name for each in fields(self) if not getattr(self, each.name)]


@dataclass(frozen=True, slots=True)
class Budgets:
    """How long a target may take.

    ``first_audio_ms`` runs from the end of speech to the first audio: past five seconds nobody takes it for an answer.
    ``fanout_seconds`` runs from the POST of an event to the stub's receipt: a first attempt is made at once, and one that
    waits for a retry is late.
    """

    first_audio_ms: float = 5000
    fanout_seconds: float = 5.0


@dataclass(frozen=True, slots=True)
class Target:
    """A base URL without a trailing slash, and the means to call it. Keys never show in the ``repr``.

    ``php`` is where the PHP shim answers, and ``php_absent`` why it does not, where that is known; ``remote_php`` is a
    PHP backend elsewhere. ``command`` is the `voxgate` command of a gateway that the gates started themselves, and
    ``project`` the folder whose documents and workflows are judged; ``site_tools`` says that its site can be built here, ``coverage``
    that its tests were run.

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
    budgets: Budgets = field(default_factory=Budgets)
    php: str | None = None
    php_absent: str = ""
    remote_php: str | None = None
    remote_php_key: str | None = field(default=None, repr=False)
    command: tuple[str, ...] = ()
    project: Path | None = None
    site_tools: bool = False
    coverage: bool = False

    def __post_init__(self) -> None:
        if self.environment not in TOKEN_TTL:
            raise TargetError(f"the environment must be one of {', '.join(TOKEN_TTL)}")
        for name, what in (("url", "target"), ("php", "PHP shim"), ("remote_php", "PHP base")):
            url = getattr(self, name)
            if url is not None:
                object.__setattr__(self, name, _base_url(url, what))

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
        """Raises :class:`NotOffered` where ``path`` belongs to a route that the target does not have."""
        self._want_offered(path)
        return f"{self.url}{path}"

    def ws_url(self, path: str) -> str:
        """Raises :class:`NotOffered` where ``path`` belongs to a route that the target does not have."""
        self._want_offered(path)
        scheme, _, rest = self.url.partition(":")
        return f"{_SOCKET_SCHEMES[scheme]}:{rest}{path}"

    def _want_offered(self, path: str) -> None:
        if not path.startswith("/") and self.routes.absent:  # an empty path, or a query behind one
            raise NotOffered(f"needs a route that this target is said not to have: {', '.join(self.routes.absent)}")

    def lacks(self, needs: frozenset[Need]) -> list[Need]:
        """The needs this target can't meet, in a fixed order."""
        given = {
            Need.KEY: self.key,
            Need.ISSUER: self.issuer_key,
            Need.ORIGIN: self.origin,
            Need.OTHER_ORIGIN: self.other_origin,
            Need.PHP: self.php,
            Need.REMOTE_PHP: self.remote_php,
            Need.COMMAND: self.command,
            Need.PROJECT: self.project,
            Need.SITE: self.site_tools,
            Need.COVERAGE: self.coverage,
        }
        return [need for need in Need if need in needs and not given[need]]

    def excuse(self, lacking: Sequence[Need]) -> str:
        """The sentence that says what a check could not do without, and how to get it where that is known."""
        told = {Need.PHP: self.php_absent}
        return "needs " + " and ".join(f"{need}: {told[need]}" if told.get(need) else need for need in lacking)

    def redactor(self) -> Redactor:
        """A redactor that knows every secret of this target."""
        known = [(self.key, KEY), (self.issuer_key, ISSUER_KEY), (self.remote_php_key, "$SECRET")]
        pairs = [(secret, placeholder) for secret, placeholder in known if secret]
        return Redactor([*pairs, *((secret, "$SECRET") for secret in self.secrets)])


def _base_url(url: str, what: str) -> str:
    """Without a trailing slash. Raises :class:`TargetError`."""
    if not url.isprintable():  # it is shown, and a file may have named it
        raise TargetError(f"the {what}'s URL holds a character that can't be shown")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise TargetError(f"the {what}'s URL cannot be read; write http(s)://host[:port]") from error
    if parts.scheme not in _SOCKET_SCHEMES or not host:
        raise TargetError(f"the {what} must be an http:// or https:// URL with a host")
    if parts.username or parts.password:
        raise TargetError(f"leave user and password out of the {what}'s URL; it ends up in reports")
    if parts.query or parts.fragment:
        raise TargetError(f"the {what} must be a base URL, without a query or fragment")
    return url.rstrip("/")
