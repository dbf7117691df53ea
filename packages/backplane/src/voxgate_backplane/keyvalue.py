"""The key-value port over a JetStream bucket, shared by every process that is connected to it.

A key's expiry is kept twice: as the server's own time to live, which removes it, and as epoch seconds in a header,
which decides. So a value is gone at the very moment it expires, however late the server is. Writes carry a random
mark: a write whose answer was lost is sent again, and recognises itself.

Source: NATS ADR-8 (key-value buckets), ADR-31 (direct reads) and ADR-43 (time to live of single messages).
"""

import asyncio
import base64
import math
import random
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from nats.aio.msg import Msg
from nats.js.api import DiscardPolicy, StorageType, StreamConfig
from nats.js.errors import APIError

from voxgate_backplane.client import Connection
from voxgate_backplane.faults import refusals
from voxgate_backplane.names import Names, check_key
from voxgate_backplane.streams import ensure_stream, read_page
from voxgate_backplane.watching import Watch
from voxgate_core import Change, Clock, Entry, SystemClock, VoxgateError

__all__ = ["NatsKeyValue"]

MAX_BUCKET_BYTES: Final = 1024 * 1024 * 1024
"""Bytes of all keys together; a write past it is refused rather than another key forgotten."""

MAX_ATTEMPTS: Final = 16
"""Times a conditional write is tried anew when others write the same key at the same moment."""

CONTENTION_SECONDS: Final = 0.02
"""Longest pause before a write is tried anew over one that is still on its way through the cluster."""

SCAN_PAGE: Final = 256
"""Entries asked for at a time when many are read."""

DELETED_SECONDS: Final = 60
"""How long the mark of a deleted key stays, for watchers to hear of it."""

LONGEST_TTL_SECONDS: Final = 100 * 365 * 86_400
"""A longer time to live is not told to the server, which takes one past 292 years for one that has passed."""

WRONG_REVISION: Final = frozenset({10071, 10164})
"""JetStream's error codes for a revision that is not the one expected."""

EXPIRES: Final = "Voxgate-Expires"
WRITER: Final = "Voxgate-Writer"
EXPECTED: Final = "Nats-Expected-Last-Subject-Sequence"


@dataclass(frozen=True, slots=True)
class _Stored:
    """The latest message of a key, whatever it says. ``value`` is ``None`` for a key that was deleted."""

    value: bytes | None
    revision: int
    expires_at: float | None
    writer: str | None


_NOTHING: Final = _Stored(None, 0, None, None)


class NatsKeyValue:
    """:class:`voxgate_core.KeyValue` over one bucket. Keys are letters, digits, ``-_=/`` and single dots between.

    Every method raises ``ValueError`` for another key, and :class:`VoxgateError` ``unavailable`` when the store can't
    be asked or refuses, ``body_too_large`` for a value that no server takes. In a cluster ``scan`` may miss what was
    written within the last moments; ``get`` does not.
    """

    def __init__(self, connection: Connection, names: Names, *, replicas: int, clock: Clock | None = None) -> None:
        self._connection = connection
        self._names = names
        self._clock = clock or SystemClock()
        # With one replica its server answers reads directly. With more, a follower may lag: ask the leader.
        self._direct = replicas == 1

    @classmethod
    async def open(
        cls,
        connection: Connection,
        names: Names,
        *,
        replicas: int = 1,
        clock: Clock | None = None,
        max_bytes: int = MAX_BUCKET_BYTES,
    ) -> "NatsKeyValue":
        """Make the bucket unless it is there. Raises :class:`VoxgateError` ``unavailable``."""
        config = StreamConfig(
            name=names.bucket_stream,
            subjects=[names.key_subject(">")],
            max_msgs_per_subject=1,
            max_bytes=max_bytes,
            discard=DiscardPolicy.NEW,
            storage=StorageType.FILE,
            num_replicas=replicas,
            allow_rollup_hdrs=True,
            deny_delete=True,
            allow_direct=True,
            allow_msg_ttl=True,
        )
        await ensure_stream(connection, config)
        return cls(connection, names, replicas=replicas, clock=clock)

    async def get(self, key: str) -> Entry | None:
        return self._live(await self._read(check_key(key)))

    async def put(self, key: str, value: bytes, *, ttl: float | None = None) -> int:
        subject, headers = self._names.key_subject(check_key(key)), self._headers(ttl)
        with refusals("write a key"):
            return await self._connection.publish(subject, value, headers)

    async def put_if_absent(self, key: str, value: bytes, *, ttl: float | None = None) -> bool:
        headers, expected = self._headers(ttl), 0
        for _ in range(MAX_ATTEMPTS):
            found = await self._write_at(check_key(key), value, headers, expected)
            if found is None:
                return True
            if self._live(found) is not None:
                return False
            expected = await self._look_past(found, expected)
        raise _contended()

    async def compare_and_set(self, key: str, value: bytes, *, revision: int, ttl: float | None = None) -> bool:
        headers = self._headers(ttl)
        stored = await self._read(check_key(key))
        if self._live(stored) is None or stored.revision != revision:
            return False
        return await self._write_at(key, value, headers, revision) is None

    async def delete(self, key: str) -> bool:
        headers = {"KV-Operation": "PURGE", "Nats-TTL": str(DELETED_SECONDS), WRITER: secrets.token_hex(8)}
        stored = await self._read(check_key(key))
        for _ in range(MAX_ATTEMPTS):
            if self._live(stored) is None:
                return False
            found = await self._write_at(key, b"", headers, stored.revision)
            if found is None:
                return True
            await self._look_past(found, stored.revision)
            stored = found
        raise _contended()

    async def scan(self, prefix: str) -> Mapping[str, Entry]:
        stream, subject = self._names.bucket_stream, self._filter(prefix)
        found: dict[str, Entry] = {}
        after, left = 0, True
        with refusals("read keys"):
            while left:
                page = await read_page(self._connection, stream, subject, after=after, limit=SCAN_PAGE)
                for message in page.messages:
                    headers = message.headers or {}
                    key = self._key(headers["Nats-Subject"])
                    entry = self._live(_stored(message.data, headers, int(headers["Nats-Sequence"])))
                    if entry is None:
                        found.pop(key, None)  # it was deleted since an earlier page
                    elif key.startswith(prefix):
                        found[key] = entry
                after, left = page.last, page.left
        return found

    @asynccontextmanager
    async def watch(self, prefix: str) -> AsyncIterator[AsyncIterator[Change]]:
        watch = Watch(self._connection, self._names.bucket_stream, self._filter(prefix))
        await watch.begin()
        try:
            yield _Changes(watch, prefix, skip=len(self._names.key_subject("")))
        finally:
            await watch.end()

    async def _read(self, key: str) -> _Stored:
        stream, subject = self._names.bucket_stream, self._names.key_subject(key)
        with refusals("read a key"):
            if self._direct:
                return _stored_directly(await self._connection.ask(f"$JS.API.DIRECT.GET.{stream}.{subject}"))
            try:
                answer = await self._connection.api(f"STREAM.MSG.GET.{stream}", {"last_by_subj": subject})
            except APIError as error:
                if error.code != 404:
                    raise
                return _NOTHING
            return _stored_by_leader(answer["message"])

    async def _write_at(self, key: str, value: bytes, headers: dict[str, str], revision: int) -> _Stored | None:
        """Write when the key is still at ``revision``, 0 for none. ``None`` when that was done, else what is there."""
        sent = {**headers, EXPECTED: str(revision)}
        with refusals("write a key"):
            try:
                await self._connection.publish(self._names.key_subject(key), value, sent)
            except APIError as error:
                if error.err_code not in WRONG_REVISION:
                    raise
            else:
                return None
        stored = await self._read(key)
        # The answer to our own write may have been lost, so that we were refused by ourselves.
        return None if stored.writer == headers[WRITER] else stored

    async def _look_past(self, found: _Stored, expected: int) -> int:
        """The revision to write at next. The one that refused us may be on its way still, and not be seen yet."""
        if found.revision == expected:
            await asyncio.sleep(random.uniform(0, CONTENTION_SECONDS))
        return found.revision

    def _headers(self, ttl: float | None) -> dict[str, str]:
        headers = {WRITER: secrets.token_hex(8)}
        if ttl is None or ttl == math.inf:
            return headers
        if math.isnan(ttl):
            raise ValueError("a ttl is a number of seconds")
        headers[EXPIRES] = repr(self._clock.now() + ttl)
        if ttl <= LONGEST_TTL_SECONDS:
            # A second more than asked, so that only the header decides when it is gone.
            headers["Nats-TTL"] = str(math.ceil(max(ttl, 0)) + 1)
        return headers

    def _live(self, stored: _Stored) -> Entry | None:
        if stored.value is None or (stored.expires_at is not None and stored.expires_at <= self._clock.now()):
            return None
        return Entry(stored.value, stored.revision, stored.expires_at)

    def _filter(self, prefix: str) -> str:
        """The narrowest subject that covers every key beginning with ``prefix``."""
        whole = prefix.rpartition(".")[0]
        return self._names.key_subject(f"{check_key(whole)}.>" if whole else ">")

    def _key(self, subject: str) -> str:
        return subject[len(self._names.key_subject("")) :]


class _Changes:
    """Not an async generator: one left half read would need closing, and its reader may be another task."""

    def __init__(self, watch: Watch, prefix: str, *, skip: int) -> None:
        self._watch = watch
        self._prefix = prefix
        self._skip = skip

    def __aiter__(self) -> AsyncIterator[Change]:
        return self

    async def __anext__(self) -> Change:
        while True:
            message = await self._watch.next()
            if message is None:
                return Change("", None, missed=True)
            key = message.subject[self._skip :]
            if key.startswith(self._prefix):
                return Change(key, _stored(message.data, message.headers or {}, 0).value)


def _stored_directly(answer: Msg) -> _Stored:
    headers = answer.headers or {}
    status = headers.get("Status")
    if status == "404":
        return _NOTHING
    if status is not None:
        raise APIError(code=int(status), description=headers.get("Description", ""))
    return _stored(answer.data, headers, int(headers["Nats-Sequence"]))


def _stored_by_leader(message: Mapping[str, str | int]) -> _Stored:
    lines = base64.b64decode(str(message.get("hdrs", ""))).decode().split("\r\n")[1:]
    headers = {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return _stored(base64.b64decode(str(message.get("data", ""))), headers, int(message["seq"]))


def _stored(data: bytes, headers: Mapping[str, str], revision: int) -> _Stored:
    writer = headers.get(WRITER)
    # The tool `nats kv` deletes with either word.
    if headers.get("KV-Operation") in ("DEL", "PURGE"):
        return _Stored(None, revision, None, writer)
    expires = headers.get(EXPIRES)
    return _Stored(data, revision, None if expires is None else float(expires), writer)


def _contended() -> VoxgateError:
    return VoxgateError("unavailable", "too many writers of one key at once; try again")
