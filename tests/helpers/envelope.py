"""The one helper that says what an answer of voxgate looks like. Every test that reads one goes through it.

It takes an ``httpx.Response`` or anything else with a status code, headers and content, and reads the schemas
and the list of security headers from the repository, so that it needs no voxgate package installed.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from jsonschema import Draft202012Validator

__all__ = ["Answered", "assert_envelope", "assert_openai_error", "assert_problem", "assert_security_headers"]

_RESPONDER = Path(__file__).parents[2] / "packages/responder/src/voxgate_responder"
_SECURITY = json.loads((_RESPONDER / "security_headers.json").read_bytes())
_SUCCESS = Draft202012Validator(json.loads((_RESPONDER / "schemas/envelope-success.json").read_bytes()))
_PROBLEM = Draft202012Validator(json.loads((_RESPONDER / "schemas/envelope-problem.json").read_bytes()))


class Answered(Protocol):
    """What the assertions need of a response; header names are looked up in lower case."""

    @property
    def status_code(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]: ...

    @property
    def content(self) -> bytes: ...


def assert_envelope(response: Answered, status: int = 200) -> dict[str, Any]:
    """A success in the envelope with every header it must carry; returns the whole body."""
    assert response.status_code == status, f"expected {status}, got {response.status_code}: {response.content[:500]!r}"
    assert response.headers["content-type"] == "application/json"
    body: dict[str, Any] = json.loads(response.content)
    _SUCCESS.validate(body)
    _assert_trace(response, body["traceId"])
    assert_security_headers(response)
    return body


def assert_problem(response: Answered, status: int, code: str) -> dict[str, Any]:
    """A problem in the envelope with this HTTP status and error code; returns the whole body."""
    assert response.status_code == status, f"expected {status}, got {response.status_code}: {response.content[:500]!r}"
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = json.loads(response.content)
    _PROBLEM.validate(body)
    assert body["error"]["code"] == code
    assert body["type"] == f"urn:voxgate:error:{code}"
    assert body["status"] == status
    assert body["detail"] == body["error"]["message"]
    _assert_trace(response, body["traceId"])
    _assert_error_headers(response, status)
    return body


def assert_openai_error(response: Answered, status: int, code: str) -> dict[str, Any]:
    """An error in OpenAI's shape, with our headers; returns the inner ``error``."""
    assert response.status_code == status, f"expected {status}, got {response.status_code}: {response.content[:500]!r}"
    assert response.headers["content-type"] == "application/json"
    body = json.loads(response.content)
    assert list(body) == ["error"]
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert body["error"]["code"] == code
    _assert_trace(response, response.headers["x-trace-id"])
    _assert_error_headers(response, status)
    error: dict[str, Any] = body["error"]
    return error


def assert_security_headers(response: Answered) -> None:
    """Every security header is there once; a content security policy may be the application's own."""
    for name, value in _SECURITY["every"].items():
        assert response.headers.get(name) == value, f"{name}: expected {value!r}, got {response.headers.get(name)!r}"
    assert "frame-ancestors 'none'" in response.headers["content-security-policy"]


def _assert_trace(response: Answered, trace_id: str) -> None:
    assert response.headers["x-trace-id"] == trace_id
    version, trace, _span, _flags = response.headers["traceparent"].split("-")
    assert (version, trace) == ("00", trace_id)


def _assert_error_headers(response: Answered, status: int) -> None:
    assert_security_headers(response)
    assert response.headers["cache-control"] == "no-store"
    assert int(response.headers["content-length"]) == len(response.content)
    if status == 401:
        assert response.headers["www-authenticate"]
    if status == 405:
        assert response.headers["allow"]
    if status == 429:
        assert int(response.headers["retry-after"]) >= 0
