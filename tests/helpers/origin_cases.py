"""Origins that one allowlist lets in or refuses: the same list for HTTP, for preflights and for WebSocket handshakes.

A case is ``(id, values, allowed)``; ``values`` are the values of every ``Origin`` header line of one request. All of
:data:`CASES` can be sent over a real connection. :data:`UNSENDABLE` cannot, since an HTTP parser strips or refuses the
bytes before anybody judges them.
"""

from collections.abc import Iterator
from typing import NamedTuple

from voxgate_core import Environment
from voxgate_security import MissingOrigin

__all__ = ["ALLOWED", "CASES", "ENVIRONMENT", "MISSING", "UNSENDABLE", "OriginCase"]

ENVIRONMENT = Environment.PREVIEW
MISSING = MissingOrigin.REQUIRE
ALLOWED = (
    "https://app.example.com",
    "https://app.example.com:8443",
    "https://xn--mnchen-3ya.example",
    "https://192.0.2.10",
    "http://localhost:3000",
    "http://127.0.0.1:5173",
    "http://[::1]:5173",
    "https://*.preview.example.com",
    "https://*.tenants.example.com:9443",
)
EXACT = tuple(origin for origin in ALLOWED if "*" not in origin)


class OriginCase(NamedTuple):
    """``values`` is what every ``Origin`` line of the request holds."""

    id: str
    values: list[bytes]
    allowed: bool


def _near_misses(origin: str) -> Iterator[tuple[str, str]]:
    """Spellings that a lenient reader takes for ``origin``, or for something it trusts."""
    scheme, _, authority = origin.partition("://")
    other = "http" if scheme == "https" else "https"
    host, colon, port = (authority, "", "") if authority.endswith("]") else authority.rpartition(":")
    if not colon:
        host, port = authority, ""
    default = "443" if scheme == "https" else "80"
    yield "path", f"{origin}/"
    yield "long path", f"{origin}/app/index.html"
    yield "query", f"{origin}?q=1"
    yield "fragment", f"{origin}#top"
    yield "user", f"{scheme}://user@{authority}"
    yield "user and password", f"{scheme}://user:password@{authority}"
    yield "trusted name as user", f"{scheme}://{authority}@evil.example"
    yield "trusted name as prefix", f"{scheme}://{authority}.evil.example"
    yield "trusted name as suffix", f"{scheme}://evil{authority}"
    yield "trusted name as path", f"https://evil.example/{authority}"
    yield "backslash", f"{scheme}://evil.example\\{authority}"
    yield "trailing dot", f"{scheme}://{host}.{colon}{port}"
    yield "double dot", f"{scheme}://{host}..{colon}{port}"
    yield "leading dot", f"{scheme}://.{authority}"
    yield "default port", f"{scheme}://{host}:{default}"
    yield "other port", f"{scheme}://{host}:4444"
    yield "empty port", f"{scheme}://{host}:"
    yield "zero-padded port", f"{scheme}://{host}:0{port or default}"
    yield "huge port", f"{scheme}://{host}:{65536 + int(port or default)}"
    yield "other scheme", f"{other}://{authority}"
    yield "upper-case scheme", f"{scheme.upper()}://{authority}"
    yield "no slashes", f"{scheme}:{authority}"
    yield "one slash", f"{scheme}:/{authority}"
    yield "three slashes", f"{scheme}:///{authority}"
    yield "no scheme", authority
    yield "scheme-relative", f"//{authority}"
    yield "ws scheme", f"{'wss' if scheme == 'https' else 'ws'}://{authority}"
    yield "list with a comma", f"{origin},{origin}"
    yield "list with a space", f"{origin} {origin}"
    yield "quoted", f'"{origin}"'
    yield "percent-encoded colon", origin.replace("://", "%3A//")


def _spellings_of_hosts() -> Iterator[tuple[str, str]]:
    yield "upper-case host", "https://APP.EXAMPLE.COM"
    yield "one upper-case letter", "https://App.example.com"
    yield "percent-encoded letter", "https://%61pp.example.com"
    yield "percent-encoded dot", "https://app%2Eexample.com"
    yield "underscore", "https://app_example.com"
    yield "full-width dot", "https://app.example\u3002com"
    yield "raw Unicode host", "https://m\u00fcnchen.example"
    yield "Cyrillic look-alike", "https://\u0430pp.example.com"
    yield "soft hyphen", "https://app\u00ad.example.com"
    yield "zero-width space", "https://app\u200b.example.com"
    yield "byte order mark", "\ufeffhttps://app.example.com"
    yield "upper-case punycode", "https://XN--MNCHEN-3YA.example"
    yield "other punycode", "https://xn--mnchen-3yb.example"
    yield "IPv4 in hexadecimal", "http://0x7f.0.0.1:5173"
    yield "IPv4 as one number", "http://2130706433:5173"
    yield "IPv4 shortened", "http://127.1:5173"
    yield "IPv4 in octal", "http://0177.0.0.1:5173"
    yield "IPv4 zero-padded", "http://127.0.0.01:5173"
    yield "another loopback IPv4", "http://127.0.0.2:5173"
    yield "IPv4 mapped into IPv6", "http://[::ffff:127.0.0.1]:5173"
    yield "IPv6 written out", "http://[0:0:0:0:0:0:0:1]:5173"
    yield "IPv6 half shortened", "http://[0::1]:5173"
    yield "IPv6 zero-padded", "http://[::0001]:5173"
    yield "IPv6 without brackets", "http://::1:5173"
    yield "IPv6 with a zone", "http://[::1%25lo]:5173"
    yield "IPv6 bracket missing", "http://[::1:5173"
    yield "localhost under a name", "http://app.localhost:3000"
    yield "localhost for its address", "http://localhost:5173"
    yield "address for localhost", "http://127.0.0.1:3000"


def _others() -> Iterator[tuple[str, str]]:
    yield "null", "null"
    yield "upper-case null", "NULL"
    yield "empty", ""
    yield "star", "*"
    yield "undefined", "undefined"
    yield "scheme alone", "https://"
    yield "scheme and port", "https://:443"
    yield "file", "file://"
    yield "data", "data:text/html,x"
    yield "blob", "blob:https://app.example.com/0c4b"
    yield "javascript", "javascript://app.example.com"
    yield "extension", "chrome-extension://abcdefghijklmnop"
    yield "mobile shell", "capacitor://localhost"
    yield "app scheme", "app://app.example.com"
    yield "about", "about:blank"
    yield "ftp", "ftp://app.example.com"
    yield "stranger", "https://evil.example"
    yield "parent domain", "https://example.com"
    yield "child domain", "https://www.app.example.com"
    yield "sibling", "https://api.example.com"
    yield "top level", "https://com"
    yield "host only dots", "https://..."
    yield "one byte over the longest", "https://" + "a" * 253 + ":655350"
    yield "three hundred bytes", "https://" + "a" * 292
    yield "four thousand bytes", "https://" + "a." * 2000 + "example.com"
    yield "allowlist entry as written", "https://*.preview.example.com"
    yield "entry with a port as written", "https://*.tenants.example.com:9443"


def _wildcards() -> Iterator[tuple[str, str, bool]]:
    for label in ("pr-7", "a", "0", "x" * 63, "xn--mnchen-3ya", "a--b", "7f3c9"):
        yield f"label {label[:16]}", f"https://{label}.preview.example.com", True
        yield f"label {label[:16]} with the port", f"https://{label}.tenants.example.com:9443", True
        yield f"label {label[:16]} without the port", f"https://{label}.tenants.example.com", False
        yield f"label {label[:16]} with a port", f"https://{label}.preview.example.com:9443", False
        yield f"label {label[:16]} over http", f"http://{label}.preview.example.com", False
    for label in (
        "",
        "a.b",
        "A",
        "-a",
        "a-",
        "-",
        "a_b",
        "*",
        "a*",
        "a b",
        "a/b",
        "a@b",
        "a:b",
        "a%2eb",
        "\u00e9",
        "x" * 64,
    ):
        yield f"bad label {label[:16]!r}", f"https://{label}.preview.example.com", False
    yield "no label", "https://preview.example.com", False
    yield "glued label", "https://evilpreview.example.com", False
    yield "suffix as prefix", "https://a.preview.example.com.evil.example", False
    yield "suffix as user", "https://a.preview.example.com@evil.example", False
    yield "wildcard and path", "https://a.preview.example.com/", False
    yield "wildcard and trailing dot", "https://a.preview.example.com.", False
    yield "wildcard and default port", "https://a.preview.example.com:443", False
    yield "wildcard and upper case", "https://a.PREVIEW.example.com", False


def _cases() -> Iterator[OriginCase]:
    for origin in EXACT:
        yield OriginCase(f"exact: {origin}", [origin.encode()], True)
        for name, text in _near_misses(origin):
            # A near miss of one entry may be another entry; then it is no miss.
            if text not in EXACT:
                yield OriginCase(f"{name}: {origin}", [text.encode()], False)
    for name, text in (*_spellings_of_hosts(), *_others()):
        yield OriginCase(name, [text.encode()], False)
    for name, text, allowed in _wildcards():
        yield OriginCase(f"wildcard: {name}", [text.encode()], allowed)
    good = b"https://app.example.com"
    yield OriginCase("absent", [], False)
    yield OriginCase("twice the same", [good, good], False)
    yield OriginCase("good, then bad", [good, b"https://evil.example"], False)
    yield OriginCase("bad, then good", [b"https://evil.example", good], False)
    yield OriginCase("good, then empty", [good, b""], False)
    yield OriginCase("good, then null", [good, b"null"], False)
    yield OriginCase("three lines", [good, good, good], False)
    yield OriginCase("latin-1 byte", [b"https://app.example.com\xe9"], False)
    yield OriginCase("invalid UTF-8", [b"https://\xff\xfe.example.com"], False)
    yield OriginCase("UTF-16", ["https://app.example.com".encode("utf-16-le").replace(b"\0", b"\x80")], False)


def _unsendable() -> Iterator[OriginCase]:
    good = b"https://app.example.com"
    for byte in (0x00, 0x01, 0x07, 0x08, 0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x1B, 0x1F, 0x20, 0x7F):
        raw = bytes([byte])
        yield OriginCase(f"byte {byte:02x} before", [raw + good], False)
        yield OriginCase(f"byte {byte:02x} after", [good + raw], False)
        yield OriginCase(f"byte {byte:02x} inside", [good.replace(b".", raw + b".", 1)], False)
    yield OriginCase("header injection", [good + b"\r\nOrigin: https://evil.example"], False)


CASES: list[OriginCase] = list(_cases())
"""More than 250 cases that any HTTP client can send."""

UNSENDABLE: list[OriginCase] = list(_unsendable())
"""Refused too, but only by who is handed them directly."""
