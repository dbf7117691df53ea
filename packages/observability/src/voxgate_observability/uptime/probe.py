"""Looks at a health URL once. The shell around :mod:`.verdict`: HTTP by ``httpx``, the certificate by ``ssl``."""

import asyncio
import ssl
import time
from typing import Final
from urllib.parse import urlsplit

import httpx

from voxgate_core import ConfigurationError
from voxgate_observability.uptime.verdict import Look

__all__ = ["DEADLINE", "look", "look_at_url"]

DEADLINE: Final = 10.0
"""Seconds one look may take at most, whatever the budget says."""

MAX_BODY: Final = 256 * 1024
"""Bytes of an answer that are read; a health answer has a few hundred."""

MAX_FAULT: Final = 300
"""Characters of what went wrong."""

DAY: Final = 86_400.0


def look_at_url(text: str) -> str:
    """The URL, if it can be looked at. Raises :class:`ConfigurationError` with what is wrong with it."""
    try:
        parts = urlsplit(text)
        host = parts.hostname
        _ = parts.port
    except ValueError:
        raise ConfigurationError(["the health URL can't be read: write https://host/api/health"]) from None
    if parts.scheme not in ("http", "https") or not host:
        raise ConfigurationError(["the health URL must begin with http:// or https:// and name a host"])
    if parts.username or parts.password:
        raise ConfigurationError(["leave user and password out of the health URL: it ends up in reports"])
    return text


def look(url: str, *, context: ssl.SSLContext | None = None, deadline: float = DEADLINE) -> Look:
    """Ask once. Redirects are not followed: what answers elsewhere is not what was named. Raises nothing.

    ``deadline`` bounds all of it by the clock, an answer that trickles included; ``context`` is for certificates that the
    system does not know. An answer is asked for as it is, and a compressed one is not unpacked.
    """
    began = time.monotonic()
    try:
        return asyncio.run(_look(url, context, deadline))
    except (TimeoutError, httpx.TimeoutException):
        fault = f"no whole answer within {deadline:g} s"
    except Exception as error:
        # Whatever a server can bring a library to: the watch goes on, and says what it was.
        fault = f"{type(error).__name__}: {error}"[:MAX_FAULT]
    return Look(fault=fault, seconds=time.monotonic() - began)


async def _look(url: str, context: ssl.SSLContext | None, deadline: float) -> Look:
    began = time.monotonic()
    headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
    async with (
        asyncio.timeout(deadline),
        httpx.AsyncClient(verify=context or True, timeout=deadline, follow_redirects=False) as client,
        client.stream("GET", url, headers=headers) as response,
    ):
        days_left = _days_left(response)
        if response.headers.get("content-encoding", "identity").strip().lower() != "identity":
            return Look(fault="the answer is compressed, which was not asked for", days_left=days_left)
        body = bytearray()
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > MAX_BODY:
                return Look(fault=f"the answer is longer than {MAX_BODY} bytes", days_left=days_left)
        return Look(response.status_code, bytes(body), time.monotonic() - began, days_left)


def _days_left(response: httpx.Response) -> float | None:
    """Days until the certificate of this very connection ends; ``None`` without TLS."""
    stream = response.extensions.get("network_stream")
    tls = None if stream is None else stream.get_extra_info("ssl_object")
    certificate = None if tls is None else tls.getpeercert()
    if not certificate:
        return None
    return (ssl.cert_time_to_seconds(certificate["notAfter"]) - time.time()) / DAY
