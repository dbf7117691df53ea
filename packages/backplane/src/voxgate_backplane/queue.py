"""The durable queue port over JetStream: one work-queue stream, and one durable consumer for each lane.

A job that must wait lies under a subject of its own with a schedule, and is moved into its lane by the server when its
moment comes: it survives every process and holds no slot. Dead letters lie in a stream of their own.

Sources: NATS ADR-37 (pull consumers), ADR-51 (message schedules), ADR-31 (direct reads).
"""

import asyncio
import json
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DiscardPolicy, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import APIError

from voxgate_backplane.client import Connection
from voxgate_backplane.faults import refusals
from voxgate_backplane.names import Names, check_token
from voxgate_backplane.pulling import Puller
from voxgate_backplane.streams import ensure_stream, moment, read_page
from voxgate_core import DeadLetter, DeadQuery, Handler, LaneWorker

__all__ = ["JetStreamQueue"]

DUPLICATE_SECONDS: Final = 120.0
"""How long the server remembers the ids of jobs, and swallows a second one."""

MAX_LANES: Final = 16_384
"""Lanes there may be: each is a consumer of the one stream."""

DEAD_SECONDS: Final = 30 * 86_400.0
"""How long a dead letter is kept."""

DEAD_BYTES: Final = 4 * 1024 * 1024 * 1024
"""Bytes of all dead letters together; past it the oldest goes."""

OPEN_AT_ONCE: Final = 16
"""Lanes that are being made at the same time: each costs the server a few writes to disk."""

LAST_MOMENT: Final = 253_402_300_799.0
"""The last second of the year 9999, in epoch seconds."""

DEAD_SLACK_SECONDS: Final = 300.0
"""How much earlier than it died a letter may have been stored, by the server's clock."""

NOT_THERE: Final = 404
"""JetStream's answer for a consumer or message that does not exist (any more)."""


class JetStreamQueue:
    """:class:`voxgate_core.DurableQueue` over JetStream.

    A job that is kept back is replaced by a later one with the same id. Every method raises ``ValueError`` for a lane,
    id or ``ref`` that can't be one, and :class:`VoxgateError` ``unavailable`` when the server can't be asked or
    refuses; ``put`` and ``bury`` raise ``body_too_large`` for a body that no server takes. In a cluster ``dead`` may
    miss what was buried within the last moments.
    """

    def __init__(self, connection: Connection, names: Names, puller: Puller) -> None:
        self._connection = connection
        self._names = names
        self._puller = puller
        self._opening = asyncio.Semaphore(OPEN_AT_ONCE)

    @classmethod
    async def open(cls, connection: Connection, names: Names, *, replicas: int = 1) -> "JetStreamQueue":
        """Make the streams unless they are there. Raises :class:`VoxgateError` ``unavailable``."""
        jobs = StreamConfig(
            name=names.jobs_stream,
            subjects=[names.job_subject("*"), names.later_subject("*", "*")],
            retention=RetentionPolicy.WORK_QUEUE,
            storage=StorageType.FILE,
            num_replicas=replicas,
            max_consumers=MAX_LANES,
            duplicate_window=DUPLICATE_SECONDS,
            allow_msg_schedules=True,
            allow_direct=True,
        )
        dead = StreamConfig(
            name=names.dead_stream,
            subjects=[names.dead_subject("*", "*")],
            storage=StorageType.FILE,
            num_replicas=replicas,
            max_age=DEAD_SECONDS,
            max_bytes=DEAD_BYTES,
            discard=DiscardPolicy.OLD,
            allow_direct=True,
        )
        await ensure_stream(connection, jobs)
        await ensure_stream(connection, dead)
        puller = Puller(connection, names.jobs_stream)
        with refusals("listen for jobs"):
            await puller.begin()
        return cls(connection, names, puller)

    async def open_lane(self, lane: str, *, in_hand: int, lease: float) -> None:
        wanted = ConsumerConfig(
            durable_name=check_token(lane),
            filter_subject=self._names.job_subject(lane),
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=lease,
            max_deliver=-1,
            max_ack_pending=in_hand,
        ).as_dict()
        stream = self._names.jobs_stream
        async with self._opening:
            with refusals(f"open the lane {lane}"):
                # Asking costs a hundredth of writing, and after a restart most lanes are as they should be.
                if not await self._is_open(lane, wanted):
                    question = {"stream_name": stream, "config": wanted}
                    await self._connection.api(f"CONSUMER.DURABLE.CREATE.{stream}.{lane}", question)

    async def _is_open(self, lane: str, wanted: Mapping[str, object]) -> bool:
        try:
            known = await self._connection.api(f"CONSUMER.INFO.{self._names.jobs_stream}.{lane}")
        except APIError as error:
            if error.code != NOT_THERE:
                raise
            return False
        return wanted.items() <= {**wanted, **known["config"]}.items()

    async def lanes(self) -> frozenset[str]:
        names: list[str] = []
        with refusals("list the lanes"):
            while True:
                page = await self._connection.api(f"CONSUMER.NAMES.{self._names.jobs_stream}", {"offset": len(names)})
                names += page.get("consumers") or ()
                if len(names) >= page["total"] or not page.get("consumers"):
                    return frozenset(names)

    async def close_lane(self, lane: str) -> None:
        stream = self._names.jobs_stream
        with refusals(f"close the lane {check_token(lane)}"):
            try:
                await self._connection.api(f"CONSUMER.DELETE.{stream}.{lane}")
            except APIError as error:
                if error.code != NOT_THERE:  # it was closed before; its jobs may still be there
                    raise
            # In this order: a job whose moment comes in between moves to where the second purge finds it.
            for subject in (self._names.later_subject(lane, "*"), self._names.job_subject(lane)):
                await self._connection.api(f"STREAM.PURGE.{stream}", {"filter": subject})

    async def put(self, lane: str, body: bytes, *, id: str | None = None, at: float | None = None) -> None:
        uid = secrets.token_hex(12) if id is None else check_token(id)
        subject = self._names.job_subject(check_token(lane))
        headers = {"Nats-Msg-Id": f"{lane}.{uid}"}
        if at is not None:
            headers |= {"Nats-Schedule": f"@at {moment(at)}", "Nats-Schedule-Target": subject}
            subject = self._names.later_subject(lane, uid)
        with refusals("store a job"):
            await self._connection.publish(subject, body, headers)

    async def work(self, lane: str, handler: Handler, *, slots: int) -> LaneWorker:
        return self._puller.work(check_token(lane), handler, slots)

    async def backlog(self) -> Mapping[str, int]:
        """As the port has it. Jobs of closed lanes that came late are counted too."""
        counts: Counter[str] = Counter()
        with refusals("count the jobs"):
            offset = 0
            while True:
                page, total = await self._subjects(offset)
                for subject, count in page.items():
                    counts[subject.split(".")[2]] += count
                offset += len(page)
                if not page or offset >= total:
                    return counts

    async def bytes_stored(self) -> int:
        """Bytes of every job that is not done. Raises :class:`VoxgateError` ``unavailable``."""
        with refusals("measure the queue"):
            info = await self._connection.api(f"STREAM.INFO.{self._names.jobs_stream}")
            return int(info["state"]["bytes"])

    async def bury(self, letter: DeadLetter) -> None:
        headers = {
            "Nats-Msg-Id": secrets.token_hex(12),
            "Voxgate-Reason": json.dumps(letter.reason),  # any text fits into a header that way
            "Voxgate-Attempts": str(letter.attempts),
            "Voxgate-Accepted": repr(letter.accepted_at),
            "Voxgate-Died": repr(letter.died_at),
        }
        subject = self._names.dead_subject(check_token(letter.lane), check_token(letter.id))
        with refusals("keep a dead letter"):
            await self._connection.publish(subject, letter.body, headers)

    async def dead(self, query: DeadQuery) -> Sequence[DeadLetter]:
        lane = "*" if query.lane is None else check_token(query.lane)
        subject = self._names.dead_subject(lane, "*" if query.id is None else check_token(query.id))
        after = 0 if query.after is None else int(query.after)
        # Where to begin; which letters count is decided below. A time that no date can tell begins at the nearest.
        since = None if query.since is None or after else query.since - DEAD_SLACK_SECONDS
        since = None if since is None or since < 0 else min(since, LAST_MOMENT)
        found: list[DeadLetter] = []
        left = True
        with refusals("read the dead letters"):
            while left and len(found) < query.limit:
                page = await read_page(
                    self._connection, self._names.dead_stream, subject, after=after, since=since, limit=query.limit
                )
                letters = map(self._letter, page.messages)
                found += [letter for letter in letters if query.since is None or letter.died_at >= query.since]
                after, since, left = page.last, None, page.left
        return found[: query.limit]

    async def forget(self, letter: DeadLetter) -> None:
        stream, sequence = self._names.dead_stream, int(letter.ref)
        with refusals("forget a dead letter"):
            try:
                await self._connection.api(f"STREAM.MSG.DELETE.{stream}", {"seq": sequence, "no_erase": True})
            except APIError as error:
                # The server has one code for "could not" and "is not there".
                if await self._is_there(stream, sequence):
                    raise error

    async def _is_there(self, stream: str, sequence: int) -> bool:
        try:
            await self._connection.api(f"STREAM.MSG.GET.{stream}", {"seq": sequence})
        except APIError as error:
            if error.code != NOT_THERE:
                raise
            return False
        return True

    def _letter(self, message: Msg) -> DeadLetter:
        headers = message.headers or {}
        _, _, lane, job = headers["Nats-Subject"].split(".")
        return DeadLetter(
            lane=lane,
            id=job,
            body=message.data,
            reason=json.loads(headers["Voxgate-Reason"]),
            attempts=int(headers["Voxgate-Attempts"]),
            accepted_at=float(headers["Voxgate-Accepted"]),
            died_at=float(headers["Voxgate-Died"]),
            ref=headers["Nats-Sequence"],
        )

    async def _subjects(self, offset: int) -> tuple[dict[str, int], int]:
        """One page of how many jobs each subject holds, and how many subjects there are."""
        answer = await self._connection.api(
            f"STREAM.INFO.{self._names.jobs_stream}", {"subjects_filter": ">", "offset": offset}
        )
        subjects: dict[str, int] = answer["state"].get("subjects") or {}
        return subjects, int(answer.get("total", len(subjects)))
