"""Which addresses a delivery may go to: rules on URLs, on host names as written, and on IP addresses.

Whoever registers a target chooses where this gateway sends requests, from inside the network it runs in. So only
addresses of the public internet are good, and everything else is refused unless the operator allows its network.
Names are not judged here, because what counts is the address that is connected to: :mod:`voxgate_fanout.resolver`
judges each one.

The tables follow IANA's special-purpose address registries (RFC 6890), RFC 6052 and RFC 8215 (NAT64), RFC 3056
(6to4), RFC 4380 (Teredo), RFC 3879 (site-local), RFC 9637 (documentation), and what cloud providers document of
their metadata services.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, TypeAlias

from voxgate_core import ConfigurationError

__all__ = [
    "MAX_URL_LENGTH",
    "Address",
    "AddressPolicy",
    "AddressRefused",
    "Network",
    "check_url",
    "host_refusal",
    "parse_networks",
    "url_faults",
]

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

MAX_URL_LENGTH: Final = 2048
"""Characters of a target's URL; a longer one is refused."""

MAX_HOST_LENGTH: Final = 253
"""Characters of a DNS name (RFC 1035 section 2.3.4, without the root's dot)."""

MAX_PORT: Final = 65_535

SHOWN_ENTRY: Final = 80
"""Characters of a faulty setting that a message repeats."""

_REFUSED_V4: Final = tuple(
    (IPv4Network(network), reason)
    for network, reason in (
        ("0.0.0.0/32", "unspecified"),
        ("0.0.0.0/8", "reserved"),
        ("10.0.0.0/8", "private"),
        ("100.100.100.200/32", "cloud metadata"),  # Alibaba
        ("100.64.0.0/10", "shared (carrier-grade NAT)"),
        ("127.0.0.0/8", "loopback"),
        ("168.63.129.16/32", "cloud metadata"),  # Azure, where it looks like a public address
        ("169.254.0.23/32", "cloud metadata"),  # Tencent
        ("169.254.169.254/32", "cloud metadata"),
        ("169.254.170.2/32", "cloud metadata"),  # credentials of an ECS task
        ("169.254.170.23/32", "cloud metadata"),  # credentials of an EKS pod
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.192/32", "cloud metadata"),  # Oracle
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "documentation"),
        ("192.88.99.0/24", "6to4 relay"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "benchmarking"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("255.255.255.255/32", "broadcast"),
        ("240.0.0.0/4", "reserved"),
    )
)

_REFUSED_V6: Final = tuple(
    (IPv6Network(network), reason)
    for network, reason in (
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("::/96", "IPv4-compatible"),
        ("::ffff:0:0/96", "IPv4-mapped"),
        ("::ffff:0:0:0/96", "IPv4-translated"),
        ("64:ff9b::/96", "NAT64"),
        ("64:ff9b:1::/48", "NAT64"),
        ("100::/64", "discard"),
        ("2001::/32", "Teredo"),
        ("2001:2::/48", "benchmarking"),
        ("2001::/23", "reserved"),
        ("2001:db8::/32", "documentation"),
        ("2002::/16", "6to4"),
        ("3ffe::/16", "reserved"),  # the former 6bone
        ("3fff::/20", "documentation"),
        ("fd00:ec2::254/128", "cloud metadata"),  # Amazon
        ("fd00:ec2::23/128", "cloud metadata"),  # credentials of an EKS pod
        ("fd20:ce::254/128", "cloud metadata"),  # Google
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "site-local"),
        ("ff00::/8", "multicast"),
    )
)

_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
"""All that IANA has opened for the public internet; the rest is reserved, whatever it may become."""

_MAPPED: Final = IPv6Network("::ffff:0:0/96")
_UNSPECIFIED_OR_LOOPBACK: Final = IPv6Network("::/127")


@dataclass(frozen=True, slots=True)
class _Carrier:
    """An IPv6 form with IPv4 addresses in it: how far each stands from the right, and what it is XORed with."""

    network: IPv6Network
    name: str
    places: tuple[tuple[int, int], ...] = ((0, 0),)

    def carried(self, address: IPv6Address) -> list[IPv4Address]:
        number = int(address)
        return [IPv4Address(number >> shift & 0xFFFF_FFFF ^ mask) for shift, mask in self.places]


_CARRIERS: Final = (
    _Carrier(_MAPPED, "IPv4-mapped"),
    _Carrier(IPv6Network("::/96"), "IPv4-compatible"),
    _Carrier(IPv6Network("::ffff:0:0:0/96"), "IPv4-translated"),
    _Carrier(IPv6Network("64:ff9b::/96"), "NAT64"),
    # RFC 6052 knows shorter layouts too. Which one a local prefix uses can't be seen, and the /96 one is the strict
    # guess: under any other, the last 32 bits are mostly zero and refused as unspecified.
    _Carrier(IPv6Network("64:ff9b:1::/48"), "NAT64"),
    _Carrier(IPv6Network("2002::/16"), "6to4", ((80, 0),)),
    _Carrier(IPv6Network("2001::/32"), "Teredo", ((64, 0), (0, 0xFFFF_FFFF))),
)


class AddressRefused(ValueError):
    """A delivery may not go there. ``reason`` is a short phrase without the URL's path, query or credentials."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"address refused: {reason}")


class AddressPolicy:
    """The rules of one deployment. ``allow`` are networks that are good although they would be refused."""

    __slots__ = ("_allow", "require_https")

    def __init__(self, allow: Iterable[Network] = (), require_https: bool = False) -> None:
        self._allow = tuple(allow)
        self.require_https = require_https

    def __repr__(self) -> str:
        allow = ",".join(map(str, self._allow))
        return f"AddressPolicy(allow={allow!r}, require_https={self.require_https!r})"

    def refusal_of(self, address: Address) -> str | None:
        """Why ``address`` is refused, as a short phrase such as ``loopback``; ``None`` for a good one.

        An address inside an allowed network is good. One that carries an IPv4 address (mapped, NAT64, 6to4 and so
        on) is good only if that one is good as well: allowing a NAT64 prefix does not open what lies behind it.
        Where DNS64 gives every name a NAT64 address, that prefix has to be allowed. The IPv4-mapped form of an allowed
        IPv4 address is that address. A zone is never good.
        """
        if isinstance(address, IPv6Address):
            if address.scope_id is not None:
                return "IPv6 zone"
            carrier = _carrier_of(address)
            if carrier is not None:
                for inner in carrier.carried(address):
                    reason = self._refusal_in_table(inner)
                    if reason is not None:
                        return f"{carrier.name} {reason}"
                if carrier.network is _MAPPED and self._allows(inner):
                    return None
        return self._refusal_in_table(address)

    def _refusal_in_table(self, address: Address) -> str | None:
        if self._allows(address):
            return None
        for network, reason in _REFUSED_V4 if address.version == 4 else _REFUSED_V6:
            if address in network:
                return reason
        return None if address.version == 4 or address in _GLOBAL_UNICAST else "reserved"

    def _allows(self, address: Address) -> bool:
        return any(address in network for network in self._allow)


def _carrier_of(address: IPv6Address) -> _Carrier | None:
    if address in _UNSPECIFIED_OR_LOOPBACK:
        return None
    return next((carrier for carrier in _CARRIERS if address in carrier.network), None)


def parse_networks(text: str, setting: str) -> tuple[Network, ...]:
    """Read a comma-separated list such as ``10.1.0.0/16, fd12::/48``; a bare address stands for itself.

    Raises :class:`ConfigurationError` with a sentence for every bad entry. ``setting`` is the name they begin with.
    """
    networks: list[Network] = []
    faults: list[str] = []
    for entry in filter(None, (part.strip() for part in text.split(","))):
        shown = repr(entry[:SHOWN_ENTRY])
        first, _, prefix = entry.partition("/")
        try:
            if "%" in entry:
                raise ValueError("a network has no zone")
            network = ip_network(entry, strict=False)
        except ValueError:
            faults.append(f"{setting}: {shown} is not a network; write one such as 10.1.0.0/16 or fd12::/48")
            continue
        if prefix and not prefix.isdecimal():
            faults.append(f"{setting}: {shown} is not in CIDR form; write '{network}'")
        elif network.network_address != ip_address(first):
            faults.append(f"{setting}: {shown} has bits set beyond its prefix; write '{network}'")
        elif isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
            faults.append(f"{setting}: {shown} is IPv4-mapped; write the IPv4 network")
        else:
            networks.append(network)
    if faults:
        raise ConfigurationError(faults)
    return tuple(networks)


_LABEL: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_NUMBER: Final = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
"""A last label that URL parsers and C libraries read as part of an IPv4 address (WHATWG URL, "ends in a number")."""


def host_refusal(host: str) -> str | None:
    """Why ``host`` can't be the host of a URL, as a short phrase; ``None`` for a good one.

    Good is an IPv4 address of four plain decimal numbers, an IPv6 address in its shortest form (RFC 5952, without the
    brackets), or an ASCII DNS name. The many other spellings of an address are refused, because parsers do not agree
    on them. Whether an address may be connected to is not judged here.
    """
    if not host:
        return "no host"
    if not host.isascii():
        return "a host that is not ASCII; an international name is written in its xn-- form"
    if "%" in host:
        return "a percent sign in the host"
    if ":" in host:
        return _ipv6_refusal(host)
    if len(host) > MAX_HOST_LENGTH:
        return "a host longer than a DNS name can be"
    labels = host.split(".")
    if labels[-1] == "" and all(labels[:-1]):
        return "a host with a dot at its end"
    if not all(labels):
        return "a host with an empty label"
    if _NUMBER.fullmatch(labels[-1]):
        return None if _is_ipv4(host) else "a numeric host that is not a plain IPv4 address"
    if not all(map(_LABEL.fullmatch, labels)):
        return "a host that is not a DNS name"
    return None


def _ipv6_refusal(host: str) -> str | None:
    try:
        address = IPv6Address(host)
    except ValueError:
        return "a host that is not an IPv6 address"
    mapped = address.ipv4_mapped
    if mapped is None:
        spellings = {address.compressed}
    else:  # Python versions write this form either way, and both are plain
        spellings = {f"::ffff:{mapped}", f"::ffff:{int(mapped) >> 16:x}:{int(mapped) & 0xFFFF:x}"}
    return None if host.lower() in spellings else "an IPv6 address that is not in its shortest form"


def _is_ipv4(host: str) -> bool:
    try:
        IPv4Address(host)
    except ValueError:
        return False
    return True


_URL_CHARACTERS: Final = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]*")
_PORT: Final = re.compile(r"[1-9][0-9]{0,4}")


def url_faults(url: str, policy: AddressPolicy) -> list[str]:
    """What :func:`check_url` says, as a list of sentences that begin with the field; empty for a good URL."""
    try:
        check_url(url, policy)
    except AddressRefused as refused:
        return [f"url: {refused.reason} is refused; where that is an address, VOXGATE_FANOUT_ALLOW_NETS may allow it"]
    return []


def check_url(url: str, policy: AddressPolicy) -> None:
    """Raise :class:`AddressRefused` unless ``url`` may be a target as far as its text can tell.

    It must be ``http`` or ``https`` (``https`` alone where the policy says so), in the characters of RFC 3986, without
    credentials and fragment, with a good host and port. An IP address as its host is judged by the policy; a name is
    judged when it is resolved.
    """
    if len(url) > MAX_URL_LENGTH:
        raise AddressRefused(f"a URL longer than {MAX_URL_LENGTH} characters")
    if not _URL_CHARACTERS.fullmatch(url):
        raise AddressRefused("a character that does not belong in a URL; percent-encode it")
    scheme, _, rest = url.partition("://")
    if scheme.lower() not in {"http", "https"}:
        raise AddressRefused("a URL that is neither http nor https")
    if policy.require_https and scheme.lower() != "https":
        raise AddressRefused("a URL that is not https")
    if "#" in rest:
        raise AddressRefused("a fragment in the URL, which is never sent")
    authority = re.split("[/?]", rest, maxsplit=1)[0]
    if "@" in authority:
        raise AddressRefused("credentials in the URL")
    host = _host_of(authority)
    reason = host_refusal(host)
    if reason is None and (":" in host or _is_ipv4(host)):
        reason = policy.refusal_of(ip_address(host))
    if reason is not None:
        raise AddressRefused(reason)


def _host_of(authority: str) -> str:
    """The host without its brackets, once the port is found good. Raises :class:`AddressRefused`."""
    if authority.startswith("["):
        host, closing, tail = authority[1:].partition("]")
        if not closing or ":" not in host:
            raise AddressRefused("brackets that do not hold an IPv6 address")
        colon, port = tail[:1], tail[1:]
    else:
        host, colon, port = authority.partition(":")
    if colon and (colon != ":" or not _PORT.fullmatch(port) or int(port) > MAX_PORT):
        raise AddressRefused("a port that is not a number from 1 to 65535")
    return host
