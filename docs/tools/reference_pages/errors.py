"""The error table, by code and by close code."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from reference_pages.markdown import heading, table
from voxgate_core import ERRORS, ErrorKind, Retry
from voxgate_realtime.closing import MAX_REASON, REASONS, client_code

__all__ = ["close_codes", "errors"]

RETRY: Final = {
    Retry.NEVER: "no: the same request is refused again",
    Retry.NEW_TOKEN: "with a new token",
    Retry.LATER: "later",
    Retry.NOW: "at once",
}

AGAIN: Final = {
    Retry.NEVER: "no",
    Retry.NEW_TOKEN: "with a new token",
    Retry.LATER: "later",
    Retry.NOW: "at once",
}
"""The same in short."""

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

FAILED: Final = ERRORS["upstream_failed"].close_code
"""What every other code of the model server becomes: an error, its own code of that number included."""

UPSTREAM: Final = tuple(code for code in range(1000, 1016) if client_code(code) == code != FAILED)
"""Codes of the model server that a client sees as they are."""

REGISTERED: Final = range(3000, 4000)
"""The same, every one of them: they are registered for libraries and frameworks."""

NOT_ERRORS: Final = {
    1000: "A client that closes without a code gets this one back. Nothing went wrong",
    1001: "A client that was silent for too long gets it too. Connect again for a new session",
    1002: "The answer to an unmasked frame, to one of an unknown kind, and to a close code that no frame may hold",
}
"""Where closes come from that no error and no model server stands behind, read from voxgate_realtime.relay."""


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
    """A section for each close code that a client can see, after one table of them all."""
    by_code: dict[int, list[ErrorKind]] = {code: [] for code in sorted({*REASONS, *UPSTREAM, *NAMES})}
    for kind in ERRORS.values():
        by_code[kind.close_code].append(kind)
    yield from heading("Close codes")
    yield "What a client sees when a session ends. Codes below 4000 are those of RFC 6455 and IANA's registry; those from 4000"
    yield f"on are the gateway's own. The reason in the close frame is a sentence of at most {MAX_REASON} bytes."
    yield ""
    yield "- For an [error](errors.md), an `error` event with the error's code goes out first."
    yield "- A model server's own code is passed on with its reason where it means the same to the client."
    yield "- What a client closes with is echoed."
    yield "- A client that stops reading is cut without a close frame: there is no room for one."
    yield ""
    yield "Every error has a close code, also one that only HTTP answers give. A refused upgrade, such as one from another"
    yield "origin, is answered with the error's HTTP status: there is no WebSocket yet that could be closed."
    yield ""
    rows = ((_link(code), NAMES[code], _again(kinds)) for code, kinds in by_code.items())
    yield from table(("code", "name", "connect again?"), rows)
    for code, kinds in by_code.items():
        if code > max(REGISTERED) > previous(code, by_code):
            yield ""
            yield f"## {min(REGISTERED)} to {max(REGISTERED)}"
            yield ""
            yield "Codes registered with IANA for libraries and frameworks: passed on as the model server sent them."
        yield ""
        yield f"## {code}: {NAMES[code]}"
        yield ""
        yield from _section(code, kinds)


def previous(code: int, codes: Iterable[int]) -> int:
    """The code before this one."""
    return max((each for each in codes if each < code), default=0)


def _section(code: int, kinds: Sequence[ErrorKind]) -> Iterator[str]:
    told = []
    if code in UPSTREAM:
        told.append(f"The model server's own {code} is passed on")
    if code in REASONS:
        told.append(f"The reason is “{REASONS[code]}” where none was given")
    if code == FAILED:
        told.append("Whatever else the model server closes with becomes this one, as `upstream_failed`")
    if code in NOT_ERRORS:
        told.append(NOT_ERRORS[code])
    yield from (f"{sentence}." for sentence in told)
    if told and kinds:
        yield ""
    if kinds:
        rows = ((f"[`{kind.code}`](errors.md#{kind.code})", kind.title, RETRY[kind.retry]) for kind in kinds)
        yield from table(("error", "meaning", "connect again?"), rows)


def _again(kinds: Sequence[ErrorKind]) -> str:
    """What holds for every error of a code."""
    retries = {kind.retry for kind in kinds}
    if len(retries) > 1:
        return "by its error"
    return AGAIN[retries.pop()] if retries else "as you like"


def _link(code: int) -> str:
    return f"[{code}](#{anchor(code)})"


def _row(kind: ErrorKind) -> tuple[str, ...]:
    close = f"[{kind.close_code}](close-codes.md#{anchor(kind.close_code)})"
    return f'<a id="{kind.code}"></a>`{kind.code}`', str(kind.status), close, kind.title, RETRY[kind.retry]


def anchor(code: int) -> str:
    """The fragment of a code's section, as the site makes it from the heading."""
    return f"{code}-{NAMES[code].replace(' ', '-')}"
