"""Takes tokens back before they expire, and tells every gateway whose sockets to close.

A token or a session is revoked for good. A subject is revoked up to a moment: tokens issued in or before that second
are void, later ones are good again. Tokens carry whole seconds (RFC 7519 section 2, NumericDate), so a token issued in
the very second of the revocation, after it, is void too; the next second's is not.
"""

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import msgspec

from voxgate_core import Change, Clock, Grant, KeyValue, VoxgateError, session_of_token

__all__ = ["Revocation", "RevocationKind", "Revocations"]

PREFIX: Final = "security.revoked."
RECENT: Final = "security.recently-revoked"
"""One record of the latest revocations: what a watcher reads to learn what it has missed."""

MAX_RECENT: Final = 500
MAX_ATTEMPTS: Final = 32
"""Times a record is written anew when other gateways write it at the same moment."""

KEEP_SECONDS: Final = 7200
"""How long a revocation is remembered: past the last token it voids and the longest session."""

REWATCH_SECONDS: Final = 1.0
"""Pause before watching again after the store failed."""

logger = logging.getLogger("voxgate.security")


class RevocationKind(StrEnum):
    """What a revocation names."""

    TOKEN = "jti"
    SUBJECT = "sub"
    SESSION = "sid"


class Revocation(msgspec.Struct, frozen=True):
    """One revocation. ``value`` is the ``jti``, ``sub`` or ``sid``; ``revoked_at`` is whole epoch seconds."""

    kind: RevocationKind
    value: str
    revoked_at: int

    def matches(self, grant: Grant) -> bool:
        """Whether the token behind ``grant`` is void."""
        if self.kind is RevocationKind.TOKEN:
            return grant.token_id == self.value
        if self.kind is RevocationKind.SESSION:
            return grant.session_id == self.value
        return grant.subject == self.value and grant.issued_at <= self.revoked_at


@dataclass(eq=False, slots=True)
class _Check:
    """A look-up under way, and whether a revocation of its token was heard of meanwhile."""

    grant: Grant
    void: bool = False


_decode_one = msgspec.json.Decoder(Revocation).decode
_decode_many = msgspec.json.Decoder(list[msgspec.Raw]).decode


class Revocations:
    """Revocations over a shared store. ``keep`` is seconds that one is remembered."""

    def __init__(
        self,
        store: KeyValue,
        clock: Clock,
        *,
        keep: float = KEEP_SECONDS,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._clock = clock
        self._keep = keep
        self._pause = pause
        self._checks: set[_Check] = set()

    async def revoke(
        self, *, jti: str | None = None, subject: str | None = None, session_id: str | None = None
    ) -> Revocation:
        """Revoke by exactly one of the three, and return what was recorded.

        The id of one connection of a token that opens several stands for that token: or it would come right back.

        Raises ``TypeError`` for none or several, :class:`VoxgateError` ``unavailable`` when it can't be recorded: then
        ask again, for watchers may have heard of it and new sessions may not be held to it.
        """
        now = int(self._clock.now())
        named = [
            (kind, value)
            for kind, value in (
                (RevocationKind.TOKEN, jti),
                (RevocationKind.SUBJECT, subject),
                (RevocationKind.SESSION, session_id),
            )
            if value is not None
        ]
        if len(named) != 1:
            raise TypeError("name exactly one of jti, subject and session_id")
        kind, value = named[0]
        revocation = Revocation(kind, session_of_token(value) if kind is RevocationKind.SESSION else value, now)
        # In this order: who begins to watch in between has read of it, or will hear of the write that follows.
        await self._remember(revocation)
        recorded = await self._record(revocation)
        logger.info("revoked", extra={"kind": recorded.kind.value, "revoked_at": recorded.revoked_at})
        return recorded

    async def check(self, grant: Grant) -> None:
        """Raise :class:`VoxgateError` ``token_revoked`` when the token is void, ``unavailable`` when unknown.

        While :meth:`watch` runs on the same object, a revocation heard of before the last answer of the store counts
        as well: a slow store leaves no gap between what was looked up and what is still to be reported.
        """
        check = _Check(grant)
        self._checks.add(check)
        try:
            for kind, value in (
                (RevocationKind.TOKEN, grant.token_id),
                (RevocationKind.SESSION, grant.session_id),
                (RevocationKind.SUBJECT, grant.subject),
            ):
                entry = await self._store.get(_key(kind, value))
                if check.void or (entry is not None and _read_one(entry.value).matches(grant)):
                    raise VoxgateError("token_revoked")
        finally:
            self._checks.remove(check)

    async def watch(self, callback: Callable[[Revocation], None]) -> None:
        """Report every revocation, made anywhere, until cancelled; one may be reported more than once.

        On entering, and whenever the store says that changes were missed, the latest revocations are read and
        reported again: what a gap has swallowed is caught up with. ``callback`` runs on the event loop.
        """
        while True:
            try:
                async with self._store.watch(PREFIX) as changes:
                    await self._report_recent(callback)
                    async for change in changes:
                        await self._report_change(change, callback)
            except VoxgateError as error:
                logger.warning("the watch on revocations broke; watching again", extra={"code": error.code})
            await self._pause(REWATCH_SECONDS)

    async def _report_change(self, change: Change, callback: Callable[[Revocation], None]) -> None:
        if change.missed:
            await self._report_recent(callback)
        elif change.value is not None:
            self._report_record(change.value, callback)

    async def _report_recent(self, callback: Callable[[Revocation], None]) -> None:
        entry = await self._store.get(RECENT)
        recent = [] if entry is None else _read_many(entry.value)
        for record in recent:
            self._report_record(bytes(record), callback)
        if len(recent) >= MAX_RECENT:  # there may have been more of them than it holds: read each one's own record
            for own in (await self._store.scan(PREFIX)).values():
                self._report_record(own.value, callback)

    def _report_record(self, value: bytes, callback: Callable[[Revocation], None]) -> None:
        try:
            revocation = _read_one(value)
        except VoxgateError:
            # One record that can't be read must not keep the next revocation from being heard.
            logger.error("a record of a revocation can't be read, and nobody's session is closed for it")
            return
        self._report(revocation, callback)

    def _report(self, revocation: Revocation, callback: Callable[[Revocation], None]) -> None:
        for check in self._checks:
            check.void = check.void or revocation.matches(check.grant)
        try:
            callback(revocation)
        except Exception:
            # One socket that can't be closed must not keep the next revocation from being heard.
            logger.exception("a revocation could not be acted upon")

    async def _record(self, revocation: Revocation) -> Revocation:
        """Write it down, or return the later one of the same that is there: a slow writer must not move it back."""
        key, value = _key(revocation.kind, revocation.value), msgspec.json.encode(revocation)
        for _ in range(MAX_ATTEMPTS):
            entry = await self._store.get(key)
            if entry is None:
                if await self._store.put_if_absent(key, value, ttl=self._keep):
                    return revocation
                continue
            known = _read_one(entry.value)
            if known.revoked_at > revocation.revoked_at:
                return known
            if await self._store.compare_and_set(key, value, revision=entry.revision, ttl=self._keep):
                return revocation
        raise _contended()

    async def _remember(self, revocation: Revocation) -> None:
        """Append to the record of the latest, without losing what another gateway appends meanwhile."""
        for _ in range(MAX_ATTEMPTS):
            entry = await self._store.get(RECENT)
            if entry is None:
                if await self._store.put_if_absent(RECENT, msgspec.json.encode([revocation]), ttl=self._keep):
                    return
                continue
            oldest = self._clock.now() - self._keep
            recent = [record for record in _read_many(entry.value) if not _is_older(record, oldest)]
            kept = msgspec.json.encode([*recent, revocation][-MAX_RECENT:])
            if await self._store.compare_and_set(RECENT, kept, revision=entry.revision, ttl=self._keep):
                return
        raise _contended()


def _contended() -> VoxgateError:
    return VoxgateError("unavailable", "too many revocations at once; try again")


def _key(kind: RevocationKind, value: str) -> str:
    # A subject may hold any printable text; keys of a store may not.
    return f"{PREFIX}{kind.value}.{hashlib.sha256(value.encode()).hexdigest()}"


def _read_one(value: bytes) -> Revocation:
    try:
        return _decode_one(value)
    except msgspec.MsgspecError:
        raise VoxgateError("unavailable", "a revocation record can't be read") from None


def _is_older(record: msgspec.Raw, moment: float) -> bool:
    """One that can't be read, as from a newer version, is kept for those who can, until its place is needed."""
    try:
        return _decode_one(record).revoked_at <= moment
    except msgspec.MsgspecError:
        return False


def _read_many(value: bytes) -> list[msgspec.Raw]:
    """The records one by one: one that can't be read must not hide the others."""
    try:
        return _decode_many(value)
    except msgspec.MsgspecError:
        raise VoxgateError("unavailable", "the record of revocations can't be read") from None
