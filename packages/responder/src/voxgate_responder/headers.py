"""The security headers of every answer, read from ``security_headers.json``.

The file is the one list; PHP reads it too. Its groups, and when each applies:

- ``every``: every answer.
- ``data`` or ``page``: the content security policy. ``page`` is for HTML, which loads scripts of its own;
  a page that can live with less sends its own policy.
- ``private``: paths below ``privatePaths``, and every error.
- ``https``: answers over TLS only, since RFC 6797 section 7.2 forbids the header on plain HTTP.
"""

import json
from collections.abc import Iterable, Mapping
from importlib.resources import files
from typing import TypedDict, cast

__all__ = [
    "SECURITY_HEADERS",
    "SECURITY_NAMES",
    "HeaderGroups",
    "OwnHeaders",
    "RawHeaders",
    "is_private",
    "missing_headers",
    "security_headers",
]

RawHeaders = tuple[tuple[bytes, bytes], ...]


class OwnHeaders(list[tuple[bytes, bytes]]):
    """Headers of an answer in JSON that this package made: lower case, the trace among them, no security header yet."""

    __slots__ = ()


class HeaderGroups(TypedDict):
    """The shape of ``security_headers.json``: header names are lower case."""

    every: dict[str, str]
    data: dict[str, str]
    page: dict[str, str]
    private: dict[str, str]
    https: dict[str, str]
    privatePaths: list[str]


SECURITY_HEADERS = cast(HeaderGroups, json.loads(files(__package__).joinpath("security_headers.json").read_bytes()))
"""The groups as the file holds them."""

_PRIVATE_PATHS = tuple(SECURITY_HEADERS["privatePaths"])


def _raw(headers: Mapping[str, str]) -> RawHeaders:
    return tuple((name.encode("ascii"), value.encode("ascii")) for name, value in headers.items())


def _combined(*, private: bool, page: bool, https: bool) -> RawHeaders:
    return (
        _raw(SECURITY_HEADERS["every"])
        + _raw(SECURITY_HEADERS["page" if page else "data"])
        + (_raw(SECURITY_HEADERS["private"]) if private else ())
        + (_raw(SECURITY_HEADERS["https"]) if https else ())
    )


_COMBINATIONS = {
    (private, page, https): _combined(private=private, page=page, https=https)
    for private in (False, True)
    for page in (False, True)
    for https in (False, True)
}

SECURITY_NAMES = frozenset(name for headers in _COMBINATIONS.values() for name, _ in headers)
"""Every header that one of the groups holds."""


def is_private(path: str) -> bool:
    """Whether answers at ``path`` may hold a caller's data, so that no cache may keep them."""
    return path.startswith(_PRIVATE_PATHS)


def security_headers(*, private: bool, content_type: bytes = b"", https: bool = False) -> RawHeaders:
    """The headers one answer should carry."""
    page = content_type[:9].lower() == b"text/html"
    return _COMBINATIONS[private, page, https]


def missing_headers(present: Iterable[tuple[bytes, bytes]], wanted: RawHeaders) -> list[tuple[bytes, bytes]]:
    """Those of ``wanted`` whose name is not among ``present``: what an application set on purpose stays."""
    names = {name.lower() for name, _ in present}
    return [header for header in wanted if header[0] not in names]
