"""Passes the seven endpoints on to a PHP backend: their paths, their methods, a handful of headers, and bounds."""

import asyncio
from collections.abc import AsyncIterable
from types import TracebackType
from typing import Final, Self, cast
from urllib.parse import urlsplit

import httpx

from voxgate_core import Answer, ConfigurationError, VoxgateError
from voxgate_responder.endpoints.call import Call, Refused
from voxgate_responder.endpoints.judging import check_body_headers
from voxgate_responder.endpoints.remote_answer import failed, read_answer
from voxgate_responder.endpoints.table import EVENT_TYPE, JSON_TYPE
from voxgate_responder.middleware import BODY_LIMIT

__all__ = ["ANSWER_LIMIT", "CONNECTIONS", "CONNECT_TIMEOUT", "MAX_QUERY", "TIMEOUT", "PhpBackend"]

ANSWER_LIMIT: Final = 1024 * 1024
"""Bytes of an answer's body; past it the backend has failed."""

MAX_QUERY: Final = 4096
"""Characters of a query that is passed on; a longer one is refused."""

CONNECT_TIMEOUT: Final = 2.0
"""Seconds to reach the backend, and to wait for a free connection."""

TIMEOUT: Final = 10.0
"""Seconds for one whole exchange with the backend."""

CONNECTIONS: Final = 32
"""Connections to the backend at once; calls past it wait, and then find it unavailable."""

RETRY_AFTER: Final = 5.0
"""Seconds that callers are told to wait while the backend cannot be reached."""

GATEWAY_TIMEOUT: Final = 504
WEBHOOK_HEADERS: Final = ("webhook-id", "webhook-timestamp", "webhook-signature")


class PhpBackend:
    """The backend at ``base``, such as ``https://app.example.com/voxgate``. An async context manager.

    Its ``key``, where it asks for one, goes out as a bearer credential; what callers send as theirs never does, nor
    do their cookies. Redirects are not followed, and no proxy of the environment is used.

    Raises :class:`ConfigurationError` for a base that is no plain http or https URL.
    """

    def __init__(
        self,
        base: str,
        *,
        key: str | None = None,
        timeout: float = TIMEOUT,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._base = _checked(base)
        self._key = key
        self._timeout = timeout
        # A transport and not a client: a client would keep cookies of one caller for the next.
        self._transport = transport or httpx.AsyncHTTPTransport(
            trust_env=False, limits=httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._transport.aclose()

    def believes(self, call: Call) -> bool:
        # Whether the backend verifies signatures is its own setting, which is not known here.
        return False

    async def answer(self, call: Call) -> Answer:
        """Pass the call on.

        Raises :class:`VoxgateError`: what the backend refused, ``unavailable`` (503) when it cannot be reached; and
        :class:`Refused` with 502 for an answer that is none, and 504 for one that did not come in time.
        """
        request = self._request(call)
        try:
            async with asyncio.timeout(self._timeout):
                response = await self._transport.handle_async_request(request)
                try:
                    body = await _read(response)
                finally:
                    await response.aclose()
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout):
            raise VoxgateError("unavailable", "The PHP backend cannot be reached", retry_after=RETRY_AFTER) from None
        except (TimeoutError, httpx.TimeoutException):
            late = VoxgateError("upstream_unreachable", "The PHP backend did not answer in time")
            raise Refused(late, GATEWAY_TIMEOUT) from None
        except httpx.HTTPError:
            raise failed("The PHP backend broke off its answer") from None
        headers = {name.lower(): value for name, value in response.headers.items()}
        return read_answer(call.endpoint, response.status_code, headers, body, call.trace)

    def _request(self, call: Call) -> httpx.Request:
        if len(call.query) > MAX_QUERY:
            raise VoxgateError("bad_request", f"A query has {MAX_QUERY} characters at most")
        headers = {
            "accept": JSON_TYPE,
            "accept-encoding": "identity",
            "traceparent": call.trace.traceparent,
            "user-agent": "voxgate",
        }
        if self._key:
            headers["authorization"] = f"Bearer {self._key}"
        content = None
        if "body" in call.endpoint.methods[call.method]:
            types = (JSON_TYPE, EVENT_TYPE) if call.endpoint.takes_events else (JSON_TYPE,)
            check_body_headers(call.content_type, call.headers.get("content-encoding", ""), types)
            if len(call.body) > BODY_LIMIT:
                raise VoxgateError("body_too_large", details={"limit": BODY_LIMIT})
            content = call.body
            headers["content-type"] = call.content_type
            if call.is_event:
                headers |= {name: call.headers[name] for name in WEBHOOK_HEADERS if name in call.headers}
        url = f"{self._base}{call.endpoint.path}" + (f"?{call.query}" if call.query else "")
        bounds = httpx.Timeout(self._timeout, connect=CONNECT_TIMEOUT, pool=CONNECT_TIMEOUT).as_dict()
        return httpx.Request(call.method, url, headers=headers, content=content, extensions={"timeout": bounds})


async def _read(response: httpx.Response) -> bytes:
    """The body as it came. Raises :class:`Refused` for one that is too long or compressed."""
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise failed("The PHP backend's answer is compressed, which was not asked for")
    pieces: list[bytes] = []
    size = 0
    async for piece in cast(AsyncIterable[bytes], response.stream):
        size += len(piece)
        if size > ANSWER_LIMIT:
            raise failed("The PHP backend's answer is too long")
        pieces.append(piece)
    return b"".join(pieces)


def _checked(base: str) -> str:
    try:
        parts = urlsplit(base)
        plain = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise ConfigurationError(["REMOTE_PHP_BASE is no URL: write one such as https://app.example.com"]) from None
    if not plain or parts.username or parts.password or parts.query or parts.fragment:
        raise ConfigurationError(
            ["REMOTE_PHP_BASE must be an http or https URL without credentials, query and fragment"]
        )
    return base.rstrip("/")
