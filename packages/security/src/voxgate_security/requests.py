"""What the token routes take: bodies read strictly, and the public URL a client is told. Pure.

Sources: RFC 9110 section 8.3 (content type), section 7.2 (Host); the OpenAI Realtime API's ``client_secrets``.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal, TypeVar
from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from voxgate_core import ConfigurationError, Leash, VoxgateError, is_json_type, read_json
from voxgate_security.guard import MAX_COUNT, MAX_IDENTIFIER, MAX_SCOPES, MAX_SUBJECT
from voxgate_security.origins import MAX_ORIGIN_LENGTH, is_host

__all__ = [
    "MAX_BODY",
    "ClientSecretBody",
    "RevokeBody",
    "TokenBody",
    "check_public_url",
    "read_body",
    "realtime_url",
    "session_settings",
]

MAX_BODY: Final = 64 * 1024
"""Bytes of a request body: many times what fits into a token."""

REALTIME_PATH: Final = "/realtime"
MIN_SECRET_SECONDS: Final = 10
MAX_SECRET_SECONDS: Final = 7200
DEFAULT_SECRET_SECONDS: Final = 600

T = TypeVar("T", bound=Struct)
Subject = Annotated[str, Meta(min_length=1, max_length=MAX_SUBJECT)]
Identifier = Annotated[str, Meta(min_length=1, max_length=MAX_IDENTIFIER)]
Count = Annotated[int, Meta(ge=1, le=MAX_COUNT)]
JsonObject = dict[str, Any]


class LeashBody(Struct, forbid_unknown_fields=True, frozen=True):
    """Limits for one session. Of a :class:`voxgate_core.Leash` only what is enforced can be asked for.

    A limit that rode along and bound nobody would be worse than none.
    """

    seconds: Count | None = None

    def leash(self) -> Leash:
        return Leash(self.seconds)


class TokenBody(Struct, forbid_unknown_fields=True, frozen=True):
    """The body of ``POST /api/realtime/token``; every field may be left out. ``ttl`` is seconds."""

    sub: Subject | None = None
    scope: Annotated[list[str], Meta(min_length=1, max_length=MAX_SCOPES)] | None = None
    ttl: Count | None = None
    leash: LeashBody = LeashBody()
    origin: Annotated[str, Meta(min_length=1, max_length=MAX_ORIGIN_LENGTH)] | None = None


class RevokeBody(Struct, forbid_unknown_fields=True, frozen=True):
    """The body of ``POST /api/realtime/revoke``: exactly one field."""

    jti: Identifier | None = None
    sub: Subject | None = None
    session_id: Identifier | None = msgspec.field(name="sessionId", default=None)


class ExpiresAfter(Struct, forbid_unknown_fields=True, frozen=True):
    anchor: Literal["created_at"] = "created_at"
    seconds: Annotated[int, Meta(ge=MIN_SECRET_SECONDS, le=MAX_SECRET_SECONDS)] = DEFAULT_SECRET_SECONDS


class AudioFormat(Struct, forbid_unknown_fields=True, frozen=True):
    type: Literal["audio/pcm", "audio/pcmu", "audio/pcma"]
    rate: Literal[24000] | UnsetType = UNSET


class AudioInput(Struct, forbid_unknown_fields=True, frozen=True):
    format: AudioFormat | UnsetType = UNSET
    noise_reduction: JsonObject | None | UnsetType = UNSET
    transcription: JsonObject | None | UnsetType = UNSET
    turn_detection: JsonObject | None | UnsetType = UNSET


class AudioOutput(Struct, forbid_unknown_fields=True, frozen=True):
    format: AudioFormat | UnsetType = UNSET
    speed: Annotated[float, Meta(ge=0.25, le=1.5)] | UnsetType = UNSET
    voice: str | JsonObject | UnsetType = UNSET


class Audio(Struct, forbid_unknown_fields=True, frozen=True):
    input: AudioInput | UnsetType = UNSET
    output: AudioOutput | UnsetType = UNSET


class SessionBody(Struct, forbid_unknown_fields=True, frozen=True):
    """A realtime session's settings in the GA shape; the beta's (``voice``, ``modalities``) are unknown here."""

    type: Literal["realtime"] = "realtime"
    model: str | UnsetType = UNSET
    instructions: str | UnsetType = UNSET
    output_modalities: Annotated[list[Literal["text", "audio"]], Meta(min_length=1, max_length=1)] | UnsetType = UNSET
    audio: Audio | UnsetType = UNSET
    include: list[Literal["item.input_audio_transcription.logprobs"]] | UnsetType = UNSET
    max_output_tokens: Annotated[int, Meta(ge=1)] | Literal["inf"] | UnsetType = UNSET
    parallel_tool_calls: bool | UnsetType = UNSET
    prompt: JsonObject | None | UnsetType = UNSET
    reasoning: JsonObject | UnsetType = UNSET
    tool_choice: str | JsonObject | UnsetType = UNSET
    tools: list[JsonObject] | UnsetType = UNSET
    tracing: Literal["auto"] | JsonObject | None | UnsetType = UNSET
    truncation: Literal["auto", "disabled"] | JsonObject | UnsetType = UNSET


class ClientSecretBody(Struct, forbid_unknown_fields=True, frozen=True):
    """The body of ``POST /v1/realtime/client_secrets``; both fields may be left out."""

    expires_after: ExpiresAfter = ExpiresAfter()
    session: SessionBody | None = None


def read_body(shape: type[T], content_types: list[bytes], body: bytes) -> T:
    """Read ``body`` as ``shape``; an empty body is an empty object.

    Raises :class:`VoxgateError`: ``unsupported_media_type``, ``malformed_json``, or ``invalid_input`` whose details
    name the field and what is wrong with it.
    """
    if not body:
        return _convert(shape, {})
    if not is_json_type(content_types):
        raise VoxgateError("unsupported_media_type", "the body must be application/json")
    return _convert(shape, read_json(body))


def session_settings(body: ClientSecretBody) -> dict[str, object]:
    """The settings a client secret carries along, as JSON data; empty when none were asked for.

    Raises :class:`VoxgateError` ``invalid_input`` for secrets of tools: whoever holds a token can read it.
    """
    if body.session is None:
        return {}
    settings: dict[str, object] = msgspec.to_builtins(body.session)
    for position, tool in enumerate(body.session.tools or ()):
        for name in ("authorization", "headers"):
            if name in tool:
                reason = "a token can be read by its holder; keep secrets of tools on the server"
                raise VoxgateError("invalid_input", details={f"session.tools.{position}.{name}": reason})
    return settings


def check_public_url(url: str) -> str:
    """The WebSocket URL of ``/realtime`` below a configured public URL (http, https, ws or wss).

    Raises :class:`ConfigurationError` when it is none.
    """
    try:
        parts = urlsplit(url)
        sound = parts.scheme in _SOCKET_SCHEMES and parts.hostname is not None and parts.port != 0
    except ValueError:
        sound = False
    if not sound or "@" in parts.netloc or parts.query or parts.fragment or not is_host_port(parts.netloc):
        raise ConfigurationError(["VOXGATE_PUBLIC_URL: must be an http(s) or ws(s) URL with a host, and no query"])
    return f"{_SOCKET_SCHEMES[parts.scheme]}://{parts.netloc.lower()}{parts.path.rstrip('/')}{REALTIME_PATH}"


def realtime_url(scheme: str, hosts: Sequence[bytes]) -> str:
    """The WebSocket URL of ``/realtime`` on the host that a request was sent to.

    Raises :class:`VoxgateError` ``bad_request`` for a ``Host`` that is absent, repeated or no host.
    """
    try:
        (host,) = hosts
        text = host.decode("ascii").lower()
    except ValueError:
        text = ""
    if not is_host_port(text):
        raise VoxgateError("bad_request", "the Host header is not one host")
    return f"{_SOCKET_SCHEMES.get(scheme, 'ws')}://{text}{REALTIME_PATH}"


_SOCKET_SCHEMES: Final = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}


def is_host_port(text: str) -> bool:
    """Whether ``text`` is ``host`` or ``host:port``, an IPv6 address in brackets."""
    bracketed = text.startswith("[")
    host, colon, port = text.rpartition(":") if ":" in text.rpartition("]")[2] else (text, "", "")
    if not is_host(host.lower()) or (bracketed and not host.endswith("]")):
        return False
    return not colon or (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65_535)


def _convert(shape: type[T], value: object) -> T:
    try:
        return msgspec.convert(value, shape)
    except msgspec.ValidationError as error:
        raise VoxgateError("invalid_input", details=_details(str(error))) from None


def _details(message: str) -> Mapping[str, object]:
    """``{field: what is wrong}`` from msgspec's sentence, such as "Expected `int`, got `str` - at `$.leash.tokens`"."""
    rule, _, path = message.partition(" - at `")
    field = path.rstrip("`").removeprefix("$").removeprefix(".")
    for opening in ("Object contains unknown field `", "Object missing required field `"):
        if rule.startswith(opening):
            name = rule.removeprefix(opening).rstrip("`")
            field = f"{field}.{name}" if field else name
            rule = "unknown field" if "unknown" in opening else "required"
    return {field or "body": rule}
