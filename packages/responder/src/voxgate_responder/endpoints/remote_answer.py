"""What a PHP backend's answer means: passed on, wrapped into the envelope, or a failure of the backend. Pure.

The backend is trusted with what it knows, and with nothing else: no header of it goes on but ``Allow`` and
``Retry-After``, no text that is not in a problem, and no answer that does not fit the endpoint's schema.
"""

import logging
import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from jsonschema import Draft202012Validator

from voxgate_core import ERRORS, Answer, Trace, VoxgateError
from voxgate_responder.endpoints.call import Refused
from voxgate_responder.endpoints.table import Endpoint
from voxgate_responder.envelope import RESERVED, success_body
from voxgate_responder.problem import code_of_status
from voxgate_responder.schemas import load_schema

__all__ = ["failed", "read_answer"]

logger = logging.getLogger("voxgate.responder")

PASSED: Final = frozenset({400, 404, 405, 408, 409, 413, 415, 422, 429})
"""Statuses that say something of the request. Others are the backend's failure: a 401 is about our own key."""

BAD_GATEWAY: Final = 502
UNAVAILABLE: Final = 503

_PROBLEM: Final = Draft202012Validator(load_schema("envelope-problem"))
_is_allow = re.compile(r"[A-Z, ]{1,100}").fullmatch
_is_seconds = re.compile(r"[0-9]{1,5}").fullmatch


def failed(message: str) -> Refused:
    """The backend failed: 502."""
    return Refused(VoxgateError("upstream_failed", message), BAD_GATEWAY)


def read_answer(endpoint: Endpoint, status: int, headers: Mapping[str, str], body: bytes, trace: Trace) -> Answer:
    """The answer to give. Header names are in lower case. Raises :class:`Refused`, :class:`VoxgateError`."""
    if not 200 <= status <= 299:
        raise _refusal(status, headers, body)
    try:
        given = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _unfit(endpoint, "not JSON") from None
    answer = _wrapped(given, status)
    fault = next(endpoint.success.iter_errors(success_body(answer, trace.trace_id)), None)
    if fault is not None:
        # Where it is, and never what: an answer may hold a caller's data.
        raise _unfit(endpoint, f"at {fault.json_path[:200]}, {fault.validator}")
    return answer


def _wrapped(given: Any, status: int) -> Answer:
    if not isinstance(given, dict):
        return Answer(given, status=status)
    if given.get("success", True) is not True:
        raise failed("The PHP backend reported a failure")
    legacy = {name: value for name, value in given.items() if name not in RESERVED}
    return Answer(given["data"] if "data" in given else legacy, legacy, status)


def _unfit(endpoint: Endpoint, why: str) -> Refused:
    logger.warning("the PHP backend's answer at %s does not fit its schema: %s", endpoint.path, why)
    return failed("The PHP backend's answer does not fit its schema")


def _refusal(status: int, headers: Mapping[str, str], body: bytes) -> Exception:
    retry_after = headers.get("retry-after", "")
    seconds = float(retry_after) if _is_seconds(retry_after) else None
    if status == UNAVAILABLE:
        return VoxgateError("unavailable", "The PHP backend is not available now", retry_after=seconds)
    if status not in PASSED:
        return failed(f"The PHP backend answered {status}")
    allow = headers.get("allow", "")
    kept = {"Allow": allow} if _is_allow(allow) else {}
    code, message, details = code_of_status(status), None, None
    problem = _problem(body)
    if problem is not None and ERRORS[problem["code"]].status == status:
        code, message, details = problem["code"], problem["message"], problem.get("details")
    return Refused(VoxgateError(code, message, details=details, retry_after=seconds, headers=kept), status)


def _problem(body: bytes) -> dict[str, Any] | None:
    """The ``error`` of a body that is a problem of ours."""
    try:
        given = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not _PROBLEM.is_valid(given) or given["error"]["code"] not in ERRORS:
        return None
    error: dict[str, Any] = given["error"]
    return error
