"""The local stub: where events go when no PHP backend may have them. It verifies them like any receiver should."""

import re
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from voxgate_core import Clock, KeyValue, VoxgateError
from voxgate_fanout.event import decode_event
from voxgate_fanout.signing import SignatureError, verify
from voxgate_fanout.targets import Target, live_secrets

__all__ = ["KEEP_SECONDS", "Received", "Stub"]

KEEP_SECONDS: Final = 3600.0
"""How long the stub remembers what it received."""

MAX_ATTEMPTS: Final = 8
"""Times a record is written anew when the same event arrives twice at the same moment."""

PREFIX: Final = "stub."

_is_id = re.compile(r"[A-Za-z0-9_-]{1,64}").fullmatch


class Received(msgspec.Struct, frozen=True, rename="camel"):
    """One event as the stub got it. ``deliveries`` counts how often; ``received_at`` is epoch seconds of the first."""

    event_id: str
    type: str
    received_at: float
    deliveries: int


_decode = msgspec.json.Decoder(Received).decode


class Stub:
    """Keeps what it received in the shared store, so that any worker can tell. ``target`` is what it stands behind."""

    def __init__(self, store: KeyValue, clock: Clock, target: Callable[[], Target]) -> None:
        self._store = store
        self._clock = clock
        self._target = target

    async def receive(self, headers: Mapping[str, str], body: bytes) -> Received:
        """Take one delivery.

        Raises :class:`VoxgateError` ``credential_invalid`` for one that is not signed by this gateway, ``bad_request``
        for a body that is no event or another one than the headers say, ``unavailable``.
        """
        now = self._clock.now()
        secrets = [secret.value for secret in live_secrets(self._target(), now)]
        if not secrets:
            raise VoxgateError("unavailable", "the stub has no secret yet to verify with; try again")
        try:
            event_id = verify(headers, body, secrets, now)
        except SignatureError as error:
            raise VoxgateError("credential_invalid", f"the signature does not hold: {error.reason}") from None
        try:
            event = decode_event(body)
        except ValueError:
            raise VoxgateError("bad_request", "the body is not an event") from None
        if event.id != event_id or _is_id(event_id) is None:
            raise VoxgateError("bad_request", "webhook-id is not the id of the event in the body")
        key = PREFIX + event_id
        first = Received(event_id, event.type, now, 1)
        for _ in range(MAX_ATTEMPTS):
            if await self._store.put_if_absent(key, msgspec.json.encode(first), ttl=KEEP_SECONDS):
                return first
            entry = await self._store.get(key)
            if entry is None:
                continue
            known = _decode(entry.value)
            again = msgspec.structs.replace(known, deliveries=known.deliveries + 1)
            encoded = msgspec.json.encode(again)
            if await self._store.compare_and_set(key, encoded, revision=entry.revision, ttl=KEEP_SECONDS):
                return again
        raise VoxgateError("unavailable", "the same event arrives too often at once; try again")

    async def received(self, event_id: str) -> Received:
        """What is known of one event. Raises :class:`VoxgateError` ``not_found``, ``unavailable``."""
        entry = await self._store.get(PREFIX + event_id)
        if entry is None:
            raise VoxgateError("not_found", "the stub has not received this event")
        return _decode(entry.value)
