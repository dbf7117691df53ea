"""The one envelope: what a success, a problem and an OpenAI-shaped error look like, and their bytes.

Problems follow RFC 9457 (members ``type``, ``title``, ``status``, ``detail``, ``instance``) and carry the
envelope's own members beside them, which section 3.2 calls extension members.
"""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from voxgate_core import Answer, VoxgateError

__all__ = [
    "PROBLEM_TYPE",
    "RESERVED",
    "RESERVED_IN_PROBLEMS",
    "encode",
    "instance_of",
    "openai_error_body",
    "problem_body",
    "success_body",
]

PROBLEM_TYPE = "urn:voxgate:error:"
"""Prefix of a problem's ``type``; the error's code follows. A name, not an address to fetch."""

RESERVED = frozenset({"success", "traceId", "data", "error"})
"""Members of the envelope that legacy fields may not replace."""

RESERVED_IN_PROBLEMS = RESERVED | {"type", "title", "status", "detail", "instance"}
"""Members of a problem that legacy fields may not replace either."""

MAX_INSTANCE = 1024
"""Characters of the request's path that an error repeats."""

_PATH_SAFE = "/:@!$&'()*+,;="
_is_plain_path = re.compile(rf"/(?!/)[A-Za-z0-9_.~/:@!$&'()*+,;=-]{{0,{MAX_INSTANCE - 1}}}").fullmatch
"""Nothing to quote and nothing to cut, as nearly always: every request asks."""

_SERVER_ERRORS = 500
_TOO_MANY_REQUESTS = 429


def success_body(answer: Answer, trace_id: str) -> dict[str, object]:
    """The success envelope: ``success``, ``traceId``, ``data``, then the legacy fields.

    Raises ``ValueError`` when a legacy field would replace one of :data:`RESERVED`.
    """
    _refuse_clashes(RESERVED, answer.legacy)
    return {"success": True, "traceId": trace_id, "data": answer.data, **answer.legacy}


def problem_body(
    error: VoxgateError,
    trace_id: str,
    instance: str | None = None,
    *,
    status: int | None = None,
    legacy: Mapping[str, object] | None = None,
) -> dict[str, object]:
    """The problem envelope, then the legacy fields. ``status`` replaces the table's where another layer has fixed it.

    ``instance`` is the request's path, already a URI reference; without one the trace names the occurrence.

    Raises ``ValueError`` when a legacy field would replace one of :data:`RESERVED_IN_PROBLEMS`.
    """
    _refuse_clashes(RESERVED_IN_PROBLEMS, legacy or {})
    message = error.message or error.kind.title
    shown: dict[str, object] = {"code": error.code, "message": message}
    if error.details is not None:
        shown["details"] = error.details
    return {
        "success": False,
        "traceId": trace_id,
        "error": shown,
        "type": PROBLEM_TYPE + error.code,
        "title": error.kind.title,
        "status": error.kind.status if status is None else status,
        "detail": message,
        "instance": f"urn:voxgate:trace:{trace_id}" if instance is None else instance,
        **(legacy or {}),
    }


def openai_error_body(error: VoxgateError, *, status: int | None = None) -> dict[str, object]:
    """The error as OpenAI's HTTP API words it: ``{"error": {message, type, param, code}}``."""
    effective = error.kind.status if status is None else status
    if effective >= _SERVER_ERRORS:
        kind = "server_error"
    elif effective == _TOO_MANY_REQUESTS:
        kind = "rate_limit_error"
    else:
        kind = "invalid_request_error"
    param = (error.details or {}).get("param")
    return {
        "error": {
            "message": error.message or error.kind.title,
            "type": kind,
            "param": param if isinstance(param, str) else None,
            "code": error.code,
        }
    }


def encode(body: Mapping[str, object]) -> bytes:
    """The body as UTF-8 JSON, members in the order given; the same input always makes the same bytes.

    NaN and the infinities become ``null``. A lone surrogate, which UTF-8 cannot hold, becomes U+FFFD and a
    surrogate pair the character it stands for. A set has no order, so pass lists.

    Raises ``TypeError`` for a value that is not JSON data, ``RecursionError`` for one that holds itself.
    """
    try:
        return _ENCODER.encode(body)
    except UnicodeEncodeError:
        return _ENCODER.encode(_without_surrogates(msgspec.to_builtins(body, enc_hook=_plain_mapping)))


def instance_of(path: str) -> str:
    """A request's decoded path as a URI reference: no query, nothing a terminal or a page would act on."""
    if _is_plain_path(path):
        return path
    reference = quote(path[:MAX_INSTANCE], safe=_PATH_SAFE, errors="replace")
    if reference.startswith("//"):
        # It would be read as another host's address (RFC 3986 section 4.2).
        return f"/.{reference}"
    # The target "*" is OPTIONS asking about the whole server (RFC 9112 section 3.2.4).
    return reference if reference.startswith("/") or reference == "*" else f"/{reference}"


def _refuse_clashes(reserved: frozenset[str], legacy: Mapping[str, object]) -> None:
    if not reserved.isdisjoint(legacy):
        raise ValueError(f"legacy fields may not be named {', '.join(sorted(reserved.intersection(legacy)))}")


def _plain_mapping(value: object) -> dict[object, object]:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"an envelope cannot hold {type(value).__name__}")


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, dict):
        return {_without_surrogates(name): _without_surrogates(item) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_without_surrogates(item) for item in value]
    return value


_ENCODER = msgspec.json.Encoder(enc_hook=_plain_mapping)
