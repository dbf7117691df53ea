"""Looks at a health URL once. The shell around :mod:`.verdict`: HTTP by ``httpx``, the certificate by ``ssl``."""

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

    ``deadline`` bounds each step and, looked at between chunks, the whole; ``context`` is for certificates that the
    system does not know.
    """
    began = time.monotonic()
    days_left: float | None = None
    try:
        with (
            httpx.Client(verify=context or True, timeout=deadline, follow_redirects=False) as client,
            client.stream("GET", url, headers={"Accept": "application/json"}) as response,
        ):
            days_left = _days_left(response)
            body = bytearray()
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) > MAX_BODY:
                    return Look(fault=f"the answer is longer than {MAX_BODY} bytes", days_left=days_left)
                if time.monotonic() - began > deadline:
                    return Look(fault=f"no whole answer within {deadline:g} s", days_left=days_left)
            return Look(response.status_code, bytes(body), time.monotonic() - began, days_left)
    except httpx.TimeoutException:
        return Look(fault=f"no answer within {deadline:g} s", seconds=time.monotonic() - began)
    except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError) as error:
        return Look(fault=f"{type(error).__name__}: {error}"[:300], seconds=time.monotonic() - began)


def _days_left(response: httpx.Response) -> float | None:
    """Days until the certificate of this very connection ends; ``None`` without TLS."""
    stream = response.extensions.get("network_stream")
    tls = None if stream is None else stream.get_extra_info("ssl_object")
    certificate = None if tls is None else tls.getpeercert()
    if not certificate:
        return None
    return (ssl.cert_time_to_seconds(certificate["notAfter"]) - time.time()) / DAY
