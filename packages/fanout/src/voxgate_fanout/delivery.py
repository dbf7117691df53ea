"""One delivery: a signed body sent to a URL, and what came of it. The target is not trusted in anything.

Its address is judged (:mod:`voxgate_fanout.addresses`, :mod:`voxgate_fanout.resolver`), redirects are not followed,
nothing is decompressed, no cookie is kept, no proxy of the environment is used. Its answer is decided by the status
line: the body is read only so that the connection can serve again, within bounds of size and time.
"""

import asyncio
import errno
import functools
import logging
import math
import socket
import ssl
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import ip_network
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import RawResponseMessage
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from voxgate_core import Clock, SystemClock
from voxgate_fanout.addresses import AddressPolicy, AddressRefused, check_url
from voxgate_fanout.outcome import Outcome, failed, judge
from voxgate_fanout.resolver import Lookup, PinnedResolver, SystemLookup, guarded_sockets

__all__ = ["DRAIN_SECONDS", "MAX_HEAD", "MAX_RECEIVED", "MAX_RESPONSE", "Deliverer", "Delivery"]

MAX_RESPONSE: Final = 64 * 1024
"""Bytes of an answer's body that are read; past it the connection is dropped, and the status counts all the same."""

DRAIN_SECONDS: Final = 1.0
"""How long a body that comes after the status is waited for; then the connection is dropped likewise."""

MAX_HEAD: Final = 64 * 1024
"""Bytes that may come before a whole status and headers, interim answers (1xx) included; past it the answer is bad."""

MAX_RECEIVED: Final = 256 * 1024
"""Bytes of one whole answer as they come over the wire, framing of chunks included; past it the connection is cut."""

MAX_FIELD: Final = 8 * 1024
"""Bytes of one header, and of the status line."""

READ_BUFFER: Final = 32 * 1024
"""Bytes of a body that wait unread before twice as many stop the reading."""

KEEPALIVE_SECONDS: Final = 15.0
"""How long an idle connection is kept for the next delivery to the same host."""

MAX_URLS: Final = 4096
"""Checked and parsed URLs that are kept; past it all are forgotten at once."""

UNGUARDED: Final = AddressPolicy((ip_network("0.0.0.0/0"), ip_network("::/0")))
"""For what the operator has configured: every address is good."""

logger = logging.getLogger("voxgate.fanout")


@dataclass(frozen=True, slots=True)
class Delivery:
    """What to send where. ``timeout`` is seconds for all of it, the connection included.

    With ``trusted``, the address is one the operator has configured, and the policy does not apply to it.
    """

    url: str
    body: bytes
    headers: Mapping[str, str]
    timeout: float
    trusted: bool = False

    def __repr__(self) -> str:
        # The query of a URL and the headers may hold secrets.
        return f"Delivery(bytes={len(self.body)}, timeout={self.timeout!r}, trusted={self.trusted!r})"


class _StaleConnection(aiohttp.ServerDisconnectedError):
    """A connection that had served before ended without a byte of an answer: its server had closed it as idle."""


class _Answers(ResponseHandler):
    """aiohttp's side of one connection, with bounds it does not have.

    It would read interim answers without end, queue the answers that an idle connection volunteers, and close a TLS
    connection politely, which takes a silent peer 30 seconds.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._exchanges = 0
        self._received = 0
        self._answered = False

    @property
    def serves_again(self) -> bool:
        """Whether the connection can be used once more after the answer at hand has been read."""
        return not self._should_close and not self._upgraded

    def set_response_params(self, **params: Any) -> None:
        self._exchanges += 1
        self._received = 0
        self._answered = False
        super().set_response_params(**params)

    def data_received(self, data: bytes) -> None:
        if self._answered and data and (self._payload is None or self._payload.is_eof()):
            self._cut()  # nothing more was asked for
            return
        self._received += len(data)
        super().data_received(data)
        if self._received > MAX_HEAD and not self._answered:
            self.set_exception(HttpProcessingError(message="the head is too long"))
            self._cut()
        elif self._received > MAX_RECEIVED:
            self._cut()

    def feed_data(self, data: tuple[RawResponseMessage, aiohttp.StreamReader], size: int = 0) -> None:
        code = data[0].code
        if code >= HTTPStatus.OK or code == HTTPStatus.SWITCHING_PROTOCOLS:
            self._answered = True
        super().feed_data(data, size)

    def set_exception(self, exc: BaseException, exc_cause: BaseException | None = None) -> None:
        lost = isinstance(exc, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError)
        if lost and self._exchanges > 1 and not self._received:
            exc = _StaleConnection()
        # The cause is left out: it is only there for tracebacks, and an outcome has none.
        super().set_exception(exc)

    def close(self) -> None:
        self.abort()

    def _cut(self) -> None:
        self._should_close = True
        if self.transport is not None:
            self.transport.abort()


class _Route:
    """The connections of one policy.

    Deliveries under different policies share none: a connection that is taken from the pool is not judged again.
    """

    def __init__(
        self, policy: AddressPolicy, lookup: Lookup, clock: Clock, ssl_context: ssl.SSLContext | None, user_agent: str
    ) -> None:
        self._policy = policy
        self._urls: dict[str, URL] = {}
        self._resolver = PinnedResolver(policy, lookup, clock)
        self._headers = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": user_agent}
        self._ssl = ssl_context or True
        self.kept = self._session(keepalive_timeout=KEEPALIVE_SECONDS)
        self.fresh = self._session(force_close=True)
        """Opens a connection for each request."""

    def _session(self, **keeping: Any) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=0,  # the dispatcher bounds what is in flight
            resolver=self._resolver,
            use_dns_cache=False,  # it would outlive the verdict
            socket_factory=guarded_sockets(self._policy),
            ssl=self._ssl,
            **keeping,
        )
        # aiohttp has no public way to bound a connection; the floods in tests/fanout tell if this one stops working.
        # mypy: a partial is invariant in its type.
        answers = functools.partial(_Answers, asyncio.get_running_loop())
        connector._factory = answers  # type: ignore[assignment]
        return aiohttp.ClientSession(
            connector=connector,
            headers=self._headers,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            read_bufsize=READ_BUFFER,
            max_line_size=MAX_FIELD,
            max_field_size=MAX_FIELD,
        )

    def url(self, text: str) -> URL:
        """``text`` parsed once it is found good. Raises :class:`AddressRefused`."""
        known = self._urls.get(text)
        if known is None:
            known = self._parsed(text)
            if len(self._urls) >= MAX_URLS:
                self._urls.clear()
            self._urls[text] = known
        return known

    def _parsed(self, text: str) -> URL:
        if self._policy is not UNGUARDED:
            check_url(text, self._policy)
            return URL(text, encoded=True)
        try:
            return URL(text)
        except ValueError:
            raise AddressRefused("a URL that cannot be read") from None

    async def close(self) -> None:
        await self.kept.close()
        await self.fresh.close()
        await self._resolver.close()


class Deliverer:
    """Sends deliveries, any number at once. An async context manager: it holds the connections and their threads.

    ``policy`` judges the addresses of all deliveries that are not trusted. ``resolve`` asks the name service,
    ``ssl_context`` verifies certificates; the defaults are the system's.
    """

    def __init__(
        self,
        policy: AddressPolicy,
        *,
        clock: Clock | None = None,
        resolve: Lookup | None = None,
        ssl_context: ssl.SSLContext | None = None,
        user_agent: str,
    ) -> None:
        self._policy = policy
        self._clock = clock or SystemClock()
        self._resolve = resolve
        self._ssl_context = ssl_context
        self._user_agent = user_agent
        self._routes: dict[bool, _Route] = {}
        self._closing = AsyncExitStack()

    async def __aenter__(self) -> Self:
        lookup = self._resolve
        if lookup is None:
            lookup = SystemLookup()
            self._closing.callback(lookup.close)
        for trusted, policy in ((False, self._policy), (True, UNGUARDED)):
            route = _Route(policy, lookup, self._clock, self._ssl_context, self._user_agent)
            self._closing.push_async_callback(route.close)
            self._routes[trusted] = route
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._routes.clear()
        await self._closing.aclose()

    async def deliver(self, delivery: Delivery) -> Outcome:
        """Send it, and say what came of it. Raises nothing but ``CancelledError``.

        A server that closes an idle connection just as it is used again has most likely not read the request, so that
        is sent once more on a fresh one; if it had read it, it gets it twice, which at-least-once delivery allows.
        """
        started = self._clock.monotonic()
        try:
            response = await self._post(delivery, started)
        except Exception as error:
            reason = _reason_of(error)
            if reason is None:
                # Only the kind: the message may hold the URL, and that its secrets.
                logger.error("a delivery failed in a way that was not foreseen", extra={"kind": type(error).__name__})
                reason = "internal error"
            return failed(reason, self._clock.monotonic() - started)
        if response.connection is not None:
            await _drain(response, response.connection)
        seconds = self._clock.monotonic() - started
        return judge(response.status, response.headers, now=self._clock.now(), seconds=seconds)

    async def _post(self, delivery: Delivery, started: float) -> aiohttp.ClientResponse:
        route = self._routes.get(delivery.trusted)
        if route is None:
            raise aiohttp.ClientConnectionError("the deliverer is closed")
        url = route.url(delivery.url)
        try:
            return await _send(route.kept, url, delivery, delivery.timeout)
        except _StaleConnection:
            if not self._routes:  # it was this side that closed it, just now
                raise
            left = delivery.timeout - (self._clock.monotonic() - started)
            return await _send(route.fresh, url, delivery, left)


async def _send(session: aiohttp.ClientSession, url: URL, delivery: Delivery, seconds: float) -> aiohttp.ClientResponse:
    if not seconds > 0:  # aiohttp would take it for no bound at all
        raise TimeoutError
    return await session.post(
        url, data=delivery.body, headers=delivery.headers, timeout=_timeout(seconds), allow_redirects=False
    )


@functools.lru_cache(maxsize=64)
def _timeout(seconds: float) -> aiohttp.ClientTimeout:
    # aiohttp would round five seconds and more up to a whole second of the clock.
    return aiohttp.ClientTimeout(total=seconds, ceil_threshold=math.inf)


async def _drain(response: aiohttp.ClientResponse, connection: aiohttp.connector.Connection) -> None:
    """Take the rest of a short answer, so that its connection can serve again; else drop the connection."""
    answers = connection.protocol
    left = MAX_RESPONSE
    try:
        if isinstance(answers, _Answers) and answers.serves_again and (response.content_length or 0) <= left:
            async with asyncio.timeout(DRAIN_SECONDS):
                while left >= 0 and (block := await response.content.readany()):
                    left -= len(block)
    except (aiohttp.ClientError, OSError):
        return  # the status has been said, and that is what counts
    finally:
        # By now a whole answer has let go of its connection, and there is nothing to close.
        response.close()


_LOST: Final = frozenset({None, errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED})
_UNREACHABLE: Final = frozenset({errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN})
_NO_SUCH_NAME: Final = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})


def _reason_of(error: Exception) -> str | None:
    """What to say of a failure, from a short list of phrases; ``None`` for what a delivery can't run into."""
    if isinstance(error, AddressRefused):
        return str(error)
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, aiohttp.ClientConnectorError):
        return _connecting(error, error.os_error)
    if isinstance(error, aiohttp.ClientResponseError):
        return "malformed answer"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "connection closed"
    if isinstance(error, OSError):
        return "connection reset" if error.errno in _LOST else "connection failed"
    if isinstance(error, aiohttp.InvalidURL):
        return "address refused: a URL that cannot be read"
    if isinstance(error, ValueError):
        return "malformed request"
    return "connection failed" if isinstance(error, aiohttp.ClientError) else None


def _connecting(error: aiohttp.ClientConnectorError, cause: OSError) -> str:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return "bad certificate"
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        return "TLS failed"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "name not found" if cause.errno in _NO_SUCH_NAME else "name lookup failed"
    if isinstance(cause, ConnectionRefusedError):
        return "connection refused"
    if isinstance(cause, PermissionError):
        return "address refused: by the guard of sockets, or by this machine"
    if isinstance(cause, TimeoutError):
        return "timeout"
    if cause.errno in _UNREACHABLE:
        return "host unreachable"
    return "connection reset" if cause.errno in _LOST else "connection failed"
