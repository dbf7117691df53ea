"""Reads a WebSocket upgrade: which path, which credential, which subprotocol. Decides; does no I/O.

Sources: RFC 6455 section 4.2.1 (what an upgrade must hold), RFC 6750 section 2.1 (Bearer), the official OpenAI
clients (subprotocol credentials). The credential is never looked for in the query string: URLs end up in logs.
"""

import binascii
from base64 import b64decode
from dataclasses import dataclass, field
from enum import Enum
from typing import Final
from urllib.parse import parse_qsl

import msgspec

from voxgate_core import VoxgateError

__all__ = [
    "CARRIED",
    "PATHS",
    "Credential",
    "Dialect",
    "Resume",
    "Upgrade",
    "auth_success",
    "check_upgrade",
    "find_credential",
    "parse_upgrade",
    "read_auth_message",
]

SUBPROTOCOL: Final = "realtime"
SUBPROTOCOL_CREDENTIALS: Final = ("openai-insecure-api-key.", "bearer.")
MAX_TOKEN: Final = 8192
"""Characters of a credential worth handing to a verifier."""

MAX_QUERY_FIELDS: Final = 16

CARRIED: Final = "voxgate-carried"
"""Header of a connection from one process to another: who gets one looks no further, so that none goes in circles."""


class Dialect(Enum):
    """How a path speaks: NATIVE announces itself and takes a first-message credential, OPENAI stays silent."""

    NATIVE = "native"
    OPENAI = "openai"


PATHS: Final = {
    "/realtime": Dialect.NATIVE,
    "/v1/realtime": Dialect.OPENAI,
    "/openai/v1/realtime": Dialect.OPENAI,
}


@dataclass(frozen=True, slots=True)
class Credential:
    """A token as it was found, never shown in a repr. ``source`` names where."""

    token: str = field(repr=False)
    source: str


@dataclass(frozen=True, slots=True)
class Resume:
    """The session a client wants back, and the last event it has of it; ``None`` when it has none.

    ``may_travel``: it may be looked for on other processes, this request not being from one of them.
    """

    session_id: str
    last_event_id: str | None
    may_travel: bool = True


@dataclass(frozen=True, slots=True)
class Upgrade:
    """One upgrade request. Header names are lower case; values are as the HTTP parser gave them."""

    method: str
    path: str
    query_string: str = field(repr=False)
    headers: tuple[tuple[bytes, bytes], ...] = field(repr=False)

    @property
    def origins(self) -> list[bytes]:
        """Every ``Origin`` value, byte for byte what an HTTP route would be given: the verdict must be the same."""
        return [value for key, value in self.headers if key == b"origin"]

    def read_query(self) -> tuple[str | None, Resume | None]:
        """The model and the session asked for. Raises :class:`VoxgateError` ``bad_request`` for too many fields."""
        try:
            fields = dict(parse_qsl(self.query_string, max_num_fields=MAX_QUERY_FIELDS))
        except ValueError as error:
            raise VoxgateError("bad_request", "the query has too many fields") from error
        session_id = fields.get("resume")
        may_travel = not self.values(CARRIED.encode())
        resume = None if session_id is None else Resume(session_id, fields.get("last_event_id"), may_travel)
        return fields.get("model"), resume

    def values(self, name: bytes) -> list[bytes]:
        """Every value of one header, in order, without white space around it (RFC 9110 section 5.5)."""
        return [value.strip(b" \t") for key, value in self.headers if key == name]

    def tokens(self, name: bytes) -> list[str]:
        """The comma-separated members of one header, over all its lines."""
        joined = b",".join(self.values(name)).decode("latin-1")
        return [member.strip() for member in joined.split(",") if member.strip()]

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol to echo: ``realtime`` where offered, never one that carries a credential."""
        return SUBPROTOCOL if SUBPROTOCOL in self.tokens(b"sec-websocket-protocol") else None


def parse_upgrade(head: bytes) -> Upgrade:
    """Read a request head that an HTTP parser has already accepted.

    Raises :class:`VoxgateError` ``bad_request`` when it is not one.
    """
    try:
        request_line, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
        method, target, _ = request_line.decode("ascii").split(" ")
    except ValueError as error:
        raise VoxgateError("bad_request") from error
    path, _, query_string = target.partition("?")
    pairs = [line.partition(b":") for line in lines]
    headers = tuple((name.lower(), value.removeprefix(b" ")) for name, _, value in pairs)
    return Upgrade(method, path, query_string, headers)


def check_upgrade(upgrade: Upgrade) -> bytes:
    """The client's ``Sec-WebSocket-Key`` when the request may be upgraded.

    Raises :class:`VoxgateError`: ``method_not_allowed``, ``upgrade_required`` or ``bad_request``.
    """
    if upgrade.method != "GET":
        raise VoxgateError("method_not_allowed", headers={"Allow": "GET"})
    if upgrade.values(b"sec-websocket-version") != [b"13"]:
        message = "this address speaks WebSocket version 13"
        raise VoxgateError("upgrade_required", message, headers={"Sec-WebSocket-Version": "13"})
    if len(upgrade.values(b"host")) != 1:
        raise VoxgateError("bad_request", "exactly one Host header is needed")
    if upgrade.values(b"transfer-encoding") or any(length != b"0" for length in upgrade.values(b"content-length")):
        raise VoxgateError("bad_request", "an upgrade request has no body")  # it would be read as frames
    keys = upgrade.values(b"sec-websocket-key")
    try:
        valid = len(keys) == 1 and len(b64decode(keys[0], validate=True)) == 16
    except binascii.Error:
        valid = False
    if not valid:
        raise VoxgateError("bad_request", "Sec-WebSocket-Key is not 16 bytes in base64")
    return keys[0]


def find_credential(upgrade: Upgrade) -> Credential | None:
    """The first credential found: Bearer, ``api-key``, then a subprotocol.

    Raises :class:`VoxgateError` ``credential_invalid`` for one that is there but cannot be a token.
    """
    bearer = upgrade.values(b"authorization")
    if len(bearer) > 1:
        raise VoxgateError("credential_invalid", "more than one Authorization header was sent")
    if bearer:
        scheme, _, token = bearer[0].partition(b" ")
        if scheme.lower() == b"bearer":
            return _credential(token.strip().decode("latin-1"), "bearer")
    api_keys = upgrade.values(b"api-key")
    if len(api_keys) > 1:
        raise VoxgateError("credential_invalid", "more than one api-key header was sent")
    if api_keys:
        return _credential(api_keys[0].decode("latin-1"), "api-key")
    for offered in upgrade.tokens(b"sec-websocket-protocol"):
        for prefix in SUBPROTOCOL_CREDENTIALS:
            if offered.startswith(prefix):
                return _credential(offered.removeprefix(prefix), "subprotocol")
    return None


class _AuthMessage(msgspec.Struct, forbid_unknown_fields=True):
    type: str
    token: str


_decode_auth = msgspec.json.Decoder(_AuthMessage).decode


def read_auth_message(message: bytes) -> Credential:
    """The credential in a first message ``{"type":"auth","token":…}``.

    Raises :class:`VoxgateError` ``credential_missing`` when the first message is anything else.
    """
    try:
        auth = _decode_auth(message)
    except (UnicodeDecodeError, msgspec.DecodeError, RecursionError) as error:
        raise VoxgateError("credential_missing", "the first message was not an auth message") from error
    if auth.type != "auth":
        raise VoxgateError("credential_missing", "the first message was not an auth message")
    return _credential(auth.token, "message")


def auth_success(session_id: str, *, expires_at: int, resumed: bool, received: int) -> bytes:
    """The event that opens a native session. ``expires_at`` is seconds since the epoch."""
    return msgspec.json.encode(
        {
            "type": "auth_success",
            "sessionId": session_id,
            "resumed": resumed,
            "expiresAt": expires_at,
            "received": received,
        }
    )


def _credential(token: str, source: str) -> Credential:
    if not token or len(token) > MAX_TOKEN or not token.isascii():
        raise VoxgateError("credential_invalid")
    return Credential(token, source)
