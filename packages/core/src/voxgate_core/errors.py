"""The error table: every refusal voxgate can utter, in one place.

The HTTP envelope, the WebSocket close codes and the documentation all read :data:`ERRORS`. A code is
part of the public surface: add freely, rename never.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

__all__ = ["ERRORS", "ConfigurationError", "ErrorKind", "Retry", "VoxgateError"]


class Retry(StrEnum):
    """What a caller should do after the refusal."""

    NEVER = "never"  # the same request will be refused again
    NEW_TOKEN = "new_token"  # fetch a token, then connect again
    LATER = "later"  # wait (``Retry-After`` where given), then try again
    NOW = "now"  # try again at once, perhaps on another node


@dataclass(frozen=True, slots=True)
class ErrorKind:
    """One row: ``status`` is the HTTP answer, ``close_code`` the WebSocket's (RFC 6455 section 7.4)."""

    code: str
    status: int
    close_code: int
    title: str
    retry: Retry


_ROWS = (
    # credentials and callers
    ErrorKind("credential_missing", 401, 4001, "No credential was sent", Retry.NEW_TOKEN),
    ErrorKind("credential_timeout", 401, 4001, "No credential was sent in time", Retry.NEW_TOKEN),
    ErrorKind("credential_invalid", 401, 4003, "The credential is not valid", Retry.NEW_TOKEN),
    ErrorKind("token_expired", 401, 4003, "The token has expired", Retry.NEW_TOKEN),
    ErrorKind("token_replayed", 401, 4003, "The token was used before", Retry.NEW_TOKEN),
    ErrorKind("token_revoked", 401, 4003, "The token was revoked", Retry.NEW_TOKEN),
    ErrorKind("token_wrong_origin", 403, 4003, "The token is bound to another origin", Retry.NEW_TOKEN),
    ErrorKind("origin_refused", 403, 4003, "This origin is not allowed", Retry.NEVER),
    ErrorKind("role_refused", 403, 4003, "This key may not do that", Retry.NEVER),
    # limits
    ErrorKind("policy_refused", 403, 4008, "The token does not allow this", Retry.NEVER),
    ErrorKind("quota_exceeded", 429, 4029, "The quota is used up", Retry.LATER),
    ErrorKind("capacity_exceeded", 503, 1013, "The gateway is full", Retry.LATER),
    # requests
    ErrorKind("bad_request", 400, 1007, "The request cannot be read", Retry.NEVER),
    ErrorKind("malformed_json", 400, 1007, "The body is not valid JSON", Retry.NEVER),
    ErrorKind("invalid_input", 422, 4008, "The input does not fit the schema", Retry.NEVER),
    ErrorKind("not_found", 404, 1008, "There is nothing at this address", Retry.NEVER),
    ErrorKind("method_not_allowed", 405, 1008, "This method is not allowed here", Retry.NEVER),
    ErrorKind("request_timeout", 408, 1008, "The request took too long to arrive", Retry.LATER),
    ErrorKind("conflict", 409, 1008, "The request conflicts with an earlier one", Retry.NEVER),
    ErrorKind("body_too_large", 413, 1009, "The body is too large", Retry.NEVER),
    ErrorKind("unsupported_media_type", 415, 1003, "The content type is not supported", Retry.NEVER),
    ErrorKind("upgrade_required", 426, 1002, "This address speaks WebSocket", Retry.NEVER),
    ErrorKind("headers_too_large", 431, 1009, "The request headers are too large", Retry.NEVER),
    # WebSocket messages
    ErrorKind("invalid_message", 400, 1007, "The message is not a JSON text event", Retry.NEVER),
    ErrorKind("binary_refused", 400, 1003, "Binary messages are not accepted", Retry.NEVER),
    ErrorKind("message_too_large", 413, 1009, "The message is too large", Retry.NEVER),
    # the far side, and ourselves
    ErrorKind("upstream_failed", 502, 1011, "The model server failed", Retry.NOW),
    ErrorKind("upstream_unreachable", 503, 1013, "The model server cannot be reached", Retry.LATER),
    ErrorKind("session_limit", 503, 1001, "The session reached its time limit", Retry.NOW),
    ErrorKind("client_stalled", 408, 1008, "The client stopped reading", Retry.NOW),
    ErrorKind("proxy_disabled", 503, 1013, "The realtime proxy is switched off", Retry.LATER),
    ErrorKind("unavailable", 503, 1013, "The service is not available now", Retry.LATER),
    ErrorKind("draining", 503, 1012, "This node is going down; resume elsewhere", Retry.NOW),
    ErrorKind("internal_error", 500, 1011, "The gateway failed", Retry.LATER),
)

ERRORS: Mapping[str, ErrorKind] = MappingProxyType({row.code: row for row in _ROWS})
"""Every error kind by its code."""


class VoxgateError(Exception):
    """A refusal from the table, with what the caller may know about it.

    ``message`` is shown to callers: it never holds a secret, a token or a path. ``details`` is JSON data
    for the envelope; ``retry_after`` is seconds for ``Retry-After``; ``headers`` go out with an HTTP answer.

    Raises ``KeyError`` when ``code`` is not in :data:`ERRORS`.
    """

    def __init__(
        self,
        code: str,
        message: str | None = None,
        *,
        details: Mapping[str, object] | None = None,
        retry_after: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.kind = ERRORS[code]
        self.message = self.kind.title if message is None else message
        self.details = details
        self.retry_after = retry_after
        self.headers: Mapping[str, str] = MappingProxyType(dict(headers or {}))
        super().__init__(f"{code}: {self.message}")

    @property
    def code(self) -> str:
        """The public code, such as ``token_expired``."""
        return self.kind.code


class ConfigurationError(Exception):
    """Every fault found in a configuration, each a sentence that names the setting and what to do."""

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(f"- {fault}" for fault in self.faults))
