"""The error table, by code and by close code."""

from collections.abc import Iterator
from typing import Final

from reference_pages.markdown import heading, table
from voxgate_core import ERRORS, ErrorKind, Retry
from voxgate_realtime.closing import REASONS, client_code

__all__ = ["close_codes", "errors"]

RETRY: Final = {
    Retry.NEVER: "no: the same request is refused again",
    Retry.NEW_TOKEN: "with a new token",
    Retry.LATER: "later",
    Retry.NOW: "at once",
}

NAMES: Final = {
    1000: "normal closure",
    1001: "going away",
    1002: "protocol error",
    1003: "unsupported data",
    1007: "invalid payload",
    1008: "policy violation",
    1009: "message too big",
    1011: "internal error",
    1012: "service restart",
    1013: "try again later",
    4001: "no credential",
    4003: "credential refused",
    4008: "not allowed",
    4029: "quota used up",
}
"""Up to 1013 the names of IANA's registry of WebSocket close codes; from 4000 on they are voxgate's own."""

UPSTREAM: Final = tuple(code for code in range(1000, 1016) if client_code(code) == code)
"""Codes of the model server that a client sees as they are."""


def errors() -> Iterator[str]:
    """Every row of the error table."""
    yield from heading("Errors")
    yield "Every refusal has one row here, and HTTP answers, WebSocket closes and this page all read the same table"
    yield "(`voxgate_core.ERRORS`). A code may be added; none is ever renamed."
    yield ""
    yield "Over HTTP the code is `error.code` of the body, sent with the status. On a WebSocket an `error` event with"
    yield "the same `code` goes out first, then a close frame with the [close code](close-codes.md)."
    yield ""
    header = ("code", "HTTP status", "close code", "meaning", "try again?")
    yield from table(header, (_row(kind) for kind in ERRORS.values()))


def close_codes() -> Iterator[str]:
    """A section for each close code that a client can see."""
    by_code: dict[int, list[ErrorKind]] = {code: [] for code in (*REASONS, *UPSTREAM)}
    for kind in ERRORS.values():
        by_code.setdefault(kind.close_code, []).append(kind)
    yield from heading("Close codes")
    yield "What a client sees when a session ends. The reason in the close frame is a sentence of at most 123 bytes, and an"
    yield "`error` event with the [error's code](errors.md) goes out before the frame. Codes below 4000 are those of RFC 6455"
    yield "and IANA's registry; those from 4000 on are the gateway's own. What the model server closes with is passed on only"
    yield "where it means the same to the client; anything else of it is 1011."
    for code in sorted(by_code):
        kinds = by_code[code]
        yield ""
        yield f"## {code}: {NAMES[code]}"
        yield ""
        if code in REASONS:
            yield f"With the reason “{REASONS[code]}”."
        if code in UPSTREAM:
            yield f"The model server's own {code} is passed on."
        if kinds:
            if code in REASONS or code in UPSTREAM:
                yield ""
            rows = ((f"`{kind.code}`", kind.title, RETRY[kind.retry]) for kind in kinds)
            yield from table(("error", "meaning", "connect again?"), rows)
    yield ""
    yield "## 3000 to 3999"
    yield ""
    yield "Codes registered with IANA for libraries and frameworks: passed on as the model server sent them."


def _row(kind: ErrorKind) -> tuple[str, ...]:
    close = f"[{kind.close_code}](close-codes.md#{anchor(kind.close_code)})"
    return f"`{kind.code}`", str(kind.status), close, kind.title, RETRY[kind.retry]


def anchor(code: int) -> str:
    """The fragment of a code's section, as the site makes it from the heading."""
    return f"{code}-{NAMES[code].replace(' ', '-')}"
