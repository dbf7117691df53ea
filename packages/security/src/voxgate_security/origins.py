"""Which browser origins may talk to this deployment. Decides by exact comparison: no pattern language, no parsing.

An ``Origin`` header holds what the browser serialised: ``scheme://host`` and a port that is not the default one
(RFC 6454 section 6.2, the HTML standard's "ASCII serialization of an origin"). An allowlist entry is held to that
form when it is read, so at run time a value is either equal to an entry or refused. A trailing dot, a path, user
information, a default port, upper case, raw Unicode, several values or stray bytes all fail for one reason:
no entry looks like that.
"""

import ipaddress
import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from voxgate_core import ConfigurationError, Environment, VoxgateError

__all__ = ["MAX_ORIGIN_LENGTH", "MissingOrigin", "OriginPolicy", "is_host"]

MAX_HOST_LENGTH: Final = 253
"""Characters of a DNS name (RFC 1035 section 2.3.4, without the root's dot)."""

MAX_LABEL_LENGTH: Final = 63
MAX_PORT: Final = 65_535
MAX_ORIGIN_LENGTH: Final = len("https://") + MAX_HOST_LENGTH + len(":65535")
"""Bytes of the longest origin there can be; anything longer is refused unread."""

SHOWN_ENTRY: Final = 80
"""Characters of a faulty entry that a message repeats."""

DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_LABEL: Final = frozenset(string.ascii_lowercase + string.digits + "-")
_LABEL_BYTES: Final = "".join(sorted(_LABEL)).encode()
_DIGITS: Final = frozenset(string.digits)
_HEX: Final = frozenset(string.hexdigits)


class MissingOrigin(StrEnum):
    """What a request without an ``Origin`` header means: browsers always send one where it matters."""

    REQUIRE = "require"  # refuse it: only browsers are expected
    ALLOW_WITH_BEARER = "allow_with_bearer"  # let it through to whoever demands the credential


@dataclass(frozen=True, slots=True)
class _Entry:
    """One allowlist entry. ``host`` is without the wildcard label; ``port`` is ``""`` or ``":8443"``."""

    scheme: str
    host: str
    port: str
    wildcard: bool

    @property
    def loopback(self) -> bool:
        if self.host == "localhost" or self.host.endswith(".localhost"):
            return True
        address = _address(self.host)
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        # Browsers and stacks reach this machine by the unspecified address as well.
        return address is not None and (address.is_loopback or address.is_unspecified)


class OriginPolicy:
    """The allowlist of one environment, and the verdict on one request. Implements core's ``OriginGate``."""

    __slots__ = ("_exact", "_missing", "_wildcards")

    def __init__(self, exact: Iterable[str], wildcards: Mapping[bytes, int], missing: MissingOrigin) -> None:
        self._exact = {origin.encode("ascii"): origin for origin in exact}
        self._wildcards = dict(wildcards)
        self._missing = missing

    def __repr__(self) -> str:
        return f"OriginPolicy(origins={len(self._exact)}, wildcards={len(self._wildcards)}, missing={self._missing!s})"

    @property
    def missing(self) -> MissingOrigin:
        """What a request without an origin means here."""
        return self._missing

    @classmethod
    def parse(cls, environment: Environment, allowed: Iterable[str], *, missing: MissingOrigin) -> "OriginPolicy":
        """Read an allowlist such as ``["https://app.example.com", "https://*.preview.example.com"]``.

        Blank entries are skipped. A wildcard stands for exactly one leftmost label. Raises
        :class:`ConfigurationError` with every fault: malformed entries, in prod also loopback origins, wildcards
        and an empty list.
        """
        faults: list[str] = []
        exact: list[str] = []
        wildcards: dict[bytes, int] = {}
        for text in filter(None, (entry.strip() for entry in allowed)):
            shown = repr(text[:SHOWN_ENTRY])
            try:
                entry = _parse_entry(text)
            except ValueError as fault:
                faults.append(f"ALLOWED_ORIGINS: {shown} {fault}")
                continue
            if entry.loopback and not environment.allows_loopback_origins:
                faults.append(f"ALLOWED_ORIGINS: {shown} is a loopback origin; {environment} serves none")
            if entry.wildcard and not environment.allows_wildcard_origins:
                faults.append(f"ALLOWED_ORIGINS: {shown} is a wildcard; {environment} needs every origin by name")
            if entry.wildcard:
                room = min(MAX_LABEL_LENGTH, MAX_HOST_LENGTH - len(entry.host) - 1)
                wildcards[f"{entry.scheme}://.{entry.host}{entry.port}".encode()] = room
            else:
                exact.append(text)
        if not exact and not wildcards and not faults and environment is Environment.PROD:
            faults.append("ALLOWED_ORIGINS: no origin is allowed; name the origins of your pages")
        if faults:
            raise ConfigurationError(faults)
        return cls(exact, wildcards, missing)

    def admit(self, origins: Sequence[bytes]) -> str | None:
        """The origin that was let in, or ``None`` for a client that sent none and may.

        ``origins`` are the values of every ``Origin`` header line of one request, as received. Raises
        :class:`VoxgateError` ``origin_refused``.
        """
        if len(origins) == 1:
            value = origins[0]
            if len(value) <= MAX_ORIGIN_LENGTH:
                origin = self._exact.get(value)
                if origin is not None:
                    return origin
                if self._wildcards and self._matches_wildcard(value):
                    return value.decode("ascii")
            raise VoxgateError("origin_refused")
        if origins:
            raise VoxgateError("origin_refused", "more than one Origin header was sent")
        if self._missing is MissingOrigin.ALLOW_WITH_BEARER:
            return None
        raise VoxgateError("origin_refused", "no Origin header was sent, and one is required here")

    def _matches_wildcard(self, value: bytes) -> bool:
        scheme, separator, authority = value.partition(b"://")
        label, dot, rest = authority.partition(b".")
        room = self._wildcards.get(scheme + separator + dot + rest)
        return (
            room is not None
            and 0 < len(label) <= room
            and not label.translate(None, _LABEL_BYTES)
            and label[0] != 0x2D
            and label[-1] != 0x2D
        )


def is_host(text: str) -> bool:
    """Whether ``text`` is a host as a browser serialises it: a lower-case name, IPv4, or bracketed IPv6."""
    try:
        _check_host(text)
    except ValueError:
        return False
    return True


def _parse_entry(text: str) -> _Entry:
    """Raises ``ValueError`` whose text completes the sentence "<entry> …"."""
    if len(text) > MAX_ORIGIN_LENGTH:
        raise ValueError(f"is longer than {MAX_ORIGIN_LENGTH} characters")
    if not text.isascii():
        raise ValueError("holds raw Unicode; write the host in punycode (xn--…)")
    scheme, separator, authority = text.partition("://")
    if not separator or scheme not in DEFAULT_PORTS:
        raise ValueError("is not an origin; write http://host or https://host")
    if authority.startswith("["):
        host, bracket, port = authority.partition("]")
        host += bracket
    else:
        host, colon, number = authority.partition(":")
        port = colon + number
    wildcard = host.startswith("*.")
    bare_host = host.removeprefix("*.")
    _check_host(bare_host)
    if wildcard and (_address(bare_host) is not None or ("." not in bare_host and bare_host != "localhost")):
        raise ValueError("is a wildcard over an address or a whole top-level domain")
    _check_port(scheme, port)
    return _Entry(scheme, bare_host, port, wildcard)


def _check_port(scheme: str, port: str) -> None:
    if not port:
        return
    number = port[1:]
    if port[0] != ":" or not number or not _DIGITS.issuperset(number) or number[0] == "0" or len(number) > 5:
        raise ValueError("has more than a scheme, a host and a port")
    if int(number) > MAX_PORT:
        raise ValueError(f"has a port above {MAX_PORT}")
    if int(number) == DEFAULT_PORTS[scheme]:
        raise ValueError("names the default port, which browsers leave out; leave it out")


def _check_host(host: str) -> None:
    if host.startswith("["):
        address = _address(host)
        if address is None or host != _serialised(address):
            raise ValueError("has an IPv6 address that is not in its shortest form")
        return
    labels = host.split(".")
    if not host or "" in labels:
        raise ValueError("has no host, or one with an empty label or a trailing dot")
    if len(host) > MAX_HOST_LENGTH or any(len(label) > MAX_LABEL_LENGTH for label in labels):
        raise ValueError("has a host that is too long")
    for label in labels:
        if not _LABEL.issuperset(label) or label[0] == "-" or label[-1] == "-":
            raise ValueError("has a host that is not lower-case letters, digits and inner hyphens")
    # The URL standard reads a host whose last label is a number as IPv4, and writes it back in four decimals.
    if _is_number(labels[-1]) and _address(host) is None:
        raise ValueError("has an IPv4 address that is not four plain decimals")


def _is_number(label: str) -> bool:
    return _DIGITS.issuperset(label) or (label.startswith("0x") and _HEX.issuperset(label[2:]))


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        if host.startswith("[") and host.endswith("]") and "%" not in host:
            return ipaddress.IPv6Address(host[1:-1])
        return ipaddress.IPv4Address(host)
    except ipaddress.AddressValueError:
        return None


def _serialised(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """An IPv6 host as the URL standard writes it: hexadecimal groups, the first longest run of zeros left out.

    Not ``str(address)``: newer Pythons write IPv4-mapped addresses with a dotted tail, which browsers do not.
    """
    packed = address.packed
    groups = [f"{int.from_bytes(packed[index : index + 2]):x}" for index in range(0, len(packed), 2)]
    text = ":".join(groups)
    for length in range(len(groups), 1, -1):
        for start in range(len(groups) - length + 1):
            if groups[start : start + length] == ["0"] * length:
                text = ":".join(groups[:start]) + "::" + ":".join(groups[start + length :])
                return f"[{text}]"
    return f"[{text}]"
