"""Targets: where events go, which ones, how fast and in what order; judged, rotated and shown. Pure.

A pattern is ``*`` for everything, a type as it is, or ``voice.*`` for every type below ``voice``, at any depth.
``order_by`` names what events that must arrive in order have in common: ``subject``, ``source``, ``type``, or a JSON
pointer (RFC 6901) into the data, such as ``/sessionId``.
"""

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from secrets import token_hex
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import msgspec

from voxgate_core import Event, VoxgateError
from voxgate_fanout.signing import new_secret, secret_key

__all__ = [
    "MAX_CONCURRENCY",
    "MAX_OVERLAP",
    "MAX_PATTERNS",
    "MAX_SECRETS",
    "MAX_TARGETS",
    "MAX_TIMEOUT",
    "MAX_URL",
    "MIN_RATE",
    "MIN_TIMEOUT",
    "ManagedBy",
    "Secret",
    "Target",
    "TargetState",
    "is_target_name",
    "live_secrets",
    "matches",
    "new_target",
    "order_key",
    "partition",
    "rotate",
    "shown",
    "target_faults",
]

MAX_TARGETS: Final = 1000
"""Targets of one gateway: each event is compared with all of them."""

MAX_PATTERNS: Final = 64
"""Patterns of one target: each event is compared with all of them."""

MAX_PATTERN: Final = 130
"""Characters of a pattern, the longest type and ``.*``; a longer one would match nothing."""

MAX_POINTER: Final = 256
"""Characters of a JSON pointer; a longer one is a fault."""

MAX_URL: Final = 2048
"""Characters of a URL; a longer one is a fault, for servers cut or refuse such."""

MIN_TIMEOUT: Final = 1.0
"""Seconds; less would call a target failed that is only far away."""

MAX_TIMEOUT: Final = 25.0
"""Seconds; a job is leased for 30, and past that another worker would deliver it too."""

MIN_RATE: Final = 0.001
"""Deliveries per second; with less, one event would wait for more than a quarter of an hour for the one before."""

MAX_CONCURRENCY: Final = 64
"""Deliveries in flight to one target: more of them would take from all the others."""

MAX_SECRETS: Final = 4
"""Secrets of one target, each one more signature on every delivery; a rotation drops the oldest."""

MAX_OVERLAP: Final = 30 * 86_400.0
"""Seconds that a secret may go on signing after its rotation; for longer it would not be rotated at all."""

TIMEOUT: Final = 15.0
"""Seconds that a target may take to answer, unless it is given others."""

CONCURRENCY: Final = 8
"""Deliveries in flight to one target, unless it is given another number."""

ALL_EVENTS: Final = ("*",)
ID_BYTES: Final = 6

ManagedBy = Literal["api", "file", "environment", "stub"]
"""Where a target was set up, and so where it can be changed."""

_is_id = re.compile(r"[A-Za-z0-9_-]{1,64}").fullmatch
_is_name = re.compile(r"[a-z0-9][a-z0-9-]{0,47}").fullmatch
_is_pattern = re.compile(r"\*|[a-z0-9_-]+(?:\.[a-z0-9_-]+)*(?:\.\*)?").fullmatch
_is_pointer = re.compile(r"(?:/(?:[^~/]|~[01])*)+", re.DOTALL).fullmatch
_is_index = re.compile(r"0|[1-9][0-9]{0,8}").fullmatch
_is_written_as_url = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+").fullmatch
_is_host_and_port = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?").fullmatch


class Secret(msgspec.Struct, frozen=True):
    """``value`` is ``whsec_…`` and in no repr; at ``expires_at`` (epoch seconds) it stops signing."""

    value: str
    expires_at: float | None = None

    def __repr__(self) -> str:
        return f"Secret(expires_at={self.expires_at!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("expires_at", self.expires_at)]


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """One receiver. ``timeout`` is seconds, ``rate`` deliveries per second, ``concurrency`` deliveries in flight.

    The first secret is the current one. ``created_at`` is epoch seconds, 0 for a target of a file. Nothing is judged
    on creation: see :func:`target_faults`.
    """

    id: str
    name: str
    url: str
    events: tuple[str, ...] = ALL_EVENTS
    secrets: tuple[Secret, ...]
    timeout: float = TIMEOUT
    rate: float | None = None
    concurrency: int = CONCURRENCY
    order_by: str | None = None
    managed_by: ManagedBy = "api"
    created_at: float


class TargetState(msgspec.Struct, frozen=True):
    """How a target fares. ``disabled`` is why nothing is sent to it; times are epoch seconds."""

    disabled: str | None = None
    disabled_at: float | None = None
    failing_since: float | None = None


def matches(target: Target, event_type: str) -> bool:
    """Whether the target wants events of this type."""
    for pattern in target.events:
        if pattern == event_type or pattern == "*":
            return True
        if pattern.endswith(".*") and event_type.startswith(pattern[:-1]):
            return True
    return False


def order_key(target: Target, event: Event) -> str | None:
    """What the event must keep its order with; ``None`` when the target does not care.

    Events that lack the value share one key, the empty text, and so do those where it is an object, an array or null.
    """
    if target.order_by is None:
        return None
    if target.order_by == "subject":
        return event.subject or ""
    if target.order_by == "source":
        return event.source
    if target.order_by == "type":
        return event.type
    value = _pointed_at(event.data, _steps(target.order_by))
    if isinstance(value, str):
        return value
    return json.dumps(value) if isinstance(value, int | float) else ""


def partition(key: str, partitions: int) -> int:
    """The number, from 0, of the partition that the key belongs to: the same in every process and version."""
    digest = hashlib.blake2b(key.encode(errors="surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest) % partitions


def live_secrets(target: Target, now: float) -> tuple[Secret, ...]:
    """The secrets that sign now, the current one first. ``now`` is epoch seconds."""
    return tuple(secret for secret in target.secrets if secret.expires_at is None or secret.expires_at > now)


def rotate(target: Target, new_secret: str, now: float, overlap: float) -> Target:
    """The target with ``new_secret`` first; the secrets before it sign for ``overlap`` seconds more, or less if they
    were to expire earlier. Of more than :data:`MAX_SECRETS` the oldest are dropped.

    Raises :class:`VoxgateError` ``invalid_input`` for a malformed secret, or an overlap not in 0 to
    :data:`MAX_OVERLAP`.
    """
    faults = {}
    try:
        secret_key(new_secret)
    except ValueError as error:
        faults["secret"] = str(error)
    if not 0 <= overlap <= MAX_OVERLAP:
        faults["overlap"] = f"must be 0 to {MAX_OVERLAP:.0f} seconds"
    if faults:
        raise VoxgateError("invalid_input", details=faults)
    until = now + overlap
    before = [
        Secret(old.value, until if old.expires_at is None else min(old.expires_at, until))
        for old in live_secrets(target, now)
        if overlap > 0 and old.value != new_secret
    ]
    return msgspec.structs.replace(target, secrets=(Secret(new_secret), *before)[:MAX_SECRETS])


def is_target_name(text: str) -> bool:
    """Whether a target may have this name. Such a text is safe to repeat in messages."""
    return _is_name(text) is not None


def target_faults(target: Target, *, prod: bool) -> list[str]:
    """What is wrong with the target, a sentence each that begins with the field; none repeats a secret or the URL."""
    return list(_faults(target, prod))


def new_target(
    *,
    name: str,
    url: str,
    now: float,
    secret: str | None = None,
    events: tuple[str, ...] = ALL_EVENTS,
    timeout: float = TIMEOUT,
    rate: float | None = None,
    concurrency: int = CONCURRENCY,
    order_by: str | None = None,
    managed_by: ManagedBy = "api",
) -> Target:
    """A target with an id of its own (``tgt_`` and 12 hex digits), and a new secret where none is given."""
    return Target(
        id=f"tgt_{token_hex(ID_BYTES)}",
        name=name,
        url=url,
        events=events,
        secrets=(Secret(new_secret() if secret is None else secret),),
        timeout=timeout,
        rate=rate,
        concurrency=concurrency,
        order_by=order_by,
        managed_by=managed_by,
        created_at=now,
    )


def shown(target: Target, state: TargetState) -> dict[str, object]:
    """Everything an operator may see, as JSON data: of the secrets only how many there are, and the first 8 hex digits
    of the SHA-256 of the current one."""
    fingerprints = [hashlib.sha256(secret.value.encode()).hexdigest()[:8] for secret in target.secrets[:1]]
    return {
        "id": target.id,
        "name": target.name,
        "url": target.url,
        "events": list(target.events),
        "secret": {"fingerprint": fingerprints[0] if fingerprints else None, "count": len(target.secrets)},
        "timeout": target.timeout,
        "rate": target.rate,
        "concurrency": target.concurrency,
        "orderBy": target.order_by,
        "managedBy": target.managed_by,
        "createdAt": target.created_at,
        "disabled": state.disabled,
        "disabledAt": state.disabled_at,
        "failingSince": state.failing_since,
    }


def _faults(target: Target, prod: bool) -> Iterator[str]:
    if _is_id(target.id) is None:
        yield "id must be 1 to 64 letters, digits, - and _"
    if not is_target_name(target.name):
        yield "name must be 1 to 48 of a-z, 0-9 and -, and not begin with -"
    yield from _url_faults(target.url, prod)
    if not 1 <= len(target.events) <= MAX_PATTERNS:
        yield f"events must be 1 to {MAX_PATTERNS} patterns"
    for number, pattern in enumerate(target.events[:MAX_PATTERNS], start=1):
        if len(pattern) > MAX_PATTERN or _is_pattern(pattern) is None:
            yield f"events: pattern {number} must be *, a type such as voice.turn.completed, or a beginning and .*"
    if not MIN_TIMEOUT <= target.timeout <= MAX_TIMEOUT:
        yield f"timeout must be {MIN_TIMEOUT:g} to {MAX_TIMEOUT:g} seconds"
    if target.rate is not None and not MIN_RATE <= target.rate < math.inf:
        yield f"rate must be {MIN_RATE:g} deliveries per second or more"
    if not 1 <= target.concurrency <= MAX_CONCURRENCY:
        yield f"concurrency must be 1 to {MAX_CONCURRENCY}"
    if not 1 <= len(target.secrets) <= MAX_SECRETS:
        yield f"secrets must be 1 to {MAX_SECRETS}"
    if any(secret.expires_at is not None for secret in target.secrets[:1]):
        yield "secrets: the first one is the current one and must not expire"
    for number, secret in enumerate(target.secrets[:MAX_SECRETS], start=1):
        try:
            secret_key(secret.value)
        except ValueError as error:
            yield f"secrets: number {number} is wrong: {error}"
    if target.order_by not in (None, "subject", "source", "type") and not _is_order(target.order_by):
        yield "order_by must be subject, source, type, or a JSON pointer into the data such as /sessionId"


def _is_order(pointer: str) -> bool:
    return len(pointer) <= MAX_POINTER and _is_pointer(pointer) is not None


def _url_faults(url: str, prod: bool) -> Iterator[str]:
    if len(url) > MAX_URL or _is_written_as_url(url) is None:
        yield f"url must be 1 to {MAX_URL} characters that may stand in a URL; others are written as %XX"
        return
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        yield "url must have a port of 1 to 65535, and an IPv6 address in brackets"
        return
    if parts.scheme not in ("http", "https"):
        yield "url must begin with https://" if prod else "url must begin with https:// or http://"
    elif prod and parts.scheme != "https":
        yield "url must begin with https:// in prod"
    if "@" in parts.netloc:
        yield "url must not hold a user or a password; deliveries are signed instead"
    elif _is_host_and_port(parts.netloc) is None:
        yield "url must have a host; write an international one in its xn-- form"
    if port == 0:
        yield "url must have a port of 1 to 65535"
    if "#" in url:
        yield "url must not have a fragment"


@lru_cache(maxsize=MAX_TARGETS)
def _steps(pointer: str) -> tuple[str, ...]:
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in pointer[1:].split("/"))


def _pointed_at(data: object, steps: tuple[str, ...]) -> object:
    """The value that the pointer leads to; ``None`` when there is none."""
    value = data
    for step in steps:
        if isinstance(value, Mapping):
            value = value.get(step)
        elif isinstance(value, list | tuple) and _is_index(step) is not None and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value
