"""Fan-out as one thing: accepts events durably, remembers repeated requests, and runs what delivers them."""

import asyncio
import hashlib
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Final

from voxgate_core import Clock, DeadLetter, DeadQuery, DurableQueue, Event, KeyValue, SystemClock, VoxgateError
from voxgate_fanout.addresses import AddressPolicy
from voxgate_fanout.committer import Committer
from voxgate_fanout.dispatcher import Dispatcher
from voxgate_fanout.event import encode_event, new_event_id, read_event
from voxgate_fanout.idempotency import Memory, Remembered
from voxgate_fanout.lanes import EVENTS, ordered_lane, target_of
from voxgate_fanout.outcome import Outcome
from voxgate_fanout.postman import Sender
from voxgate_fanout.records import Item, decode_record, encode_record
from voxgate_fanout.registry import Registry
from voxgate_fanout.sink import BufferedSink, passes
from voxgate_fanout.targets import Target

__all__ = ["MAX_STORED", "Accepted", "Fanout"]

MAX_STORED: Final = 8 * 1024 * 1024 * 1024
"""Bytes of events that are not delivered yet, past which no more are accepted; see VOXGATE_FANOUT_MAX_BYTES."""

MEASURE_SECONDS: Final = 2.0
"""How often those bytes are looked at."""

RETRY_AFTER: Final = 5.0
"""Seconds after which a caller who was turned away for that may come again."""

JOURNAL_WRITES: Final = 2
"""Records of accepted events on their way to the disk at a time."""

FLUSH_SECONDS: Final = 2.0
"""How long a stop waits for the gateway's own last events to be stored."""

END_SECONDS: Final = 8.0
"""How long a stop waits for deliveries in flight; then their events are handed back."""

AGAIN_SECONDS: Final = 1.0
"""Pause before a job of ours that failed in a way nobody foresaw is begun again."""

SOURCE: Final = "/voxgate"
"""The ``source`` of an event whose caller names none."""

TEST_EVENT: Final = "voxgate.test"

_is_id = re.compile(r"[A-Za-z0-9_-]{1,64}").fullmatch

logger = logging.getLogger("voxgate.fanout")


@dataclass(frozen=True, slots=True)
class Accepted:
    """An event that is durable. ``targets`` are names; ``replayed`` when an earlier request had the same key."""

    event_id: str
    targets: tuple[str, ...]
    replayed: bool = False


class Fanout:
    """:class:`voxgate_core.EventSink`, and everything behind it. Use it inside :meth:`running`."""

    def __init__(
        self,
        queue: DurableQueue,
        store: KeyValue,
        sender: Sender,
        *,
        prod: bool,
        policy: AddressPolicy | None = None,
        requests: KeyValue | None = None,
        fixed: Iterable[Target] = (),
        clock: Clock | None = None,
        max_stored: int = MAX_STORED,
    ) -> None:
        self.clock = clock or SystemClock()
        self.sink = BufferedSink(self._store)
        self.registry = Registry(store, self.clock, prod=prod, policy=policy, fixed=fixed, changed=self._target_changed)
        self.dispatcher = Dispatcher(queue, self.registry, sender, self.clock, publish=self.sink.publish)
        self._queue = queue
        self._memory = Memory(store if requests is None else requests)
        self._journal = Committer(partial(queue.put, EVENTS), writes=JOURNAL_WRITES)
        self._ordered: dict[str, Committer] = {}
        self._partly: dict[str, frozenset[str]] = {}
        self._max_stored = max_stored
        self._full = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Deliver for as long as the block runs; then finish what is in flight, and hand back the rest.

        Raises :class:`VoxgateError` ``unavailable`` when the backplane can't be reached.
        """
        await self.registry.load()
        tasks: list[asyncio.Task[None]] = []
        try:
            await self.dispatcher.begin()
            jobs = [self.registry.watch, self.dispatcher.keep_up, self.sink.run, self._measure]
            tasks += [asyncio.create_task(_steadily(job)) for job in jobs]
            yield
        finally:
            await self._flush(tasks)
            await self.dispatcher.end(END_SECONDS)
            await self._flush(tasks)  # once more, for the notices that the end has brought
            if len(self.sink):
                logger.error("events of our own were not stored before the stop", extra={"n": len(self.sink)})
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.gather(*(committer.idle() for committer in [self._journal, *self._ordered.values()]))

    async def _flush(self, tasks: list["asyncio.Task[None]"]) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(FLUSH_SECONDS if tasks else 0.0):
                await self.sink.flushed()

    # -- accepting -------------------------------------------------------------------------------------------------

    def publish(self, event: Event) -> None:
        """Store an event some time soon. Never waits, never raises."""
        self.sink.publish(event)

    async def post(self, body: bytes, *, caller: str, key: str | None) -> Accepted:
        """Accept a posted event. ``key`` is its ``Idempotency-Key``.

        Raises :class:`VoxgateError` as :func:`read_event` and :meth:`accept` do, and ``conflict`` for a key that was
        used with another body.
        """
        event = read_event(body, source=SOURCE, now=self.clock.now(), event_id=new_event_id())
        if key is None:
            return await self.accept(event)
        request = Remembered(hashlib.sha256(body).hexdigest(), event.id, event.time)
        first = await self._memory.begin(caller, key, request)
        if first.done:
            return Accepted(first.event_id, first.targets, replayed=True)
        # Whoever began with this key may have got as far as storing the event: one job of this name is stored. It is
        # the request's, not the event's: the id of an event may be the caller's choice, and another's as well.
        once = hashlib.sha256(f"{caller}\0{key}\0{first.event_id}".encode(errors="surrogatepass")).hexdigest()
        accepted = await self.accept(replace(event, id=first.event_id, time=first.time), once=once)
        done = Remembered(request.digest, first.event_id, first.time, accepted.targets, done=True)
        await self._memory.finish(caller, key, done)
        return accepted

    async def accept(self, event: Event, *, once: str | None = None) -> Accepted:
        """Return when the event is durable for every target that wants it; of several with one ``once`` the first is.

        Raises :class:`VoxgateError` ``body_too_large``, ``invalid_input``, ``capacity_exceeded``, ``unavailable``.
        """
        accepted, parts = self._parts(event, once=once)
        if len(parts) == 1:
            await next(iter(parts.values()))
        else:
            await asyncio.gather(*parts.values())
        return accepted

    async def _store(self, event: Event) -> None:
        """The same for an event of our own, which the sink brings again until every part of it is stored."""
        stored = self._partly.get(event.id, frozenset())
        _, parts = self._parts(event, stored=stored)
        results = dict(zip(parts, await asyncio.gather(*parts.values(), return_exceptions=True), strict=True))
        self._partly.pop(event.id, None)
        failed = sorted((result for result in results.values() if result is not None), key=passes)
        if failed:
            if passes(failed[-1]):
                self._partly[event.id] = stored | {lane for lane, result in results.items() if result is None}
            raise failed[-1]

    def _parts(
        self, event: Event, *, once: str | None = None, stored: frozenset[str] = frozenset()
    ) -> tuple[Accepted, dict[str, Awaitable[None]]]:
        """What is to be stored of an event, by lane, but for those in ``stored``. Raises as :meth:`accept`."""
        if self._full:
            raise VoxgateError("capacity_exceeded", "too many events wait for their targets", retry_after=RETRY_AFTER)
        if _is_id(event.id) is None:
            # It is signed, and names the job and the dead letter: with another one the event could never be delivered.
            raise VoxgateError("invalid_input", details={"id": "must be 1 to 64 letters, digits, - and _"})
        body, now = encode_event(event), self.clock.now()
        targets = self.registry.matching(event.type)
        plain = tuple(target.id for target in targets if target.order_by is None)
        parts: dict[str, Awaitable[None]] = {}
        if plain and EVENTS not in stored:
            item = Item(event.id, event.type, body, plain, now)
            parts[EVENTS] = (
                self._journal.commit(item) if once is None else self._queue.put(EVENTS, encode_record([item]), id=once)
            )
        for target in targets:
            if target.order_by is not None and (lane := ordered_lane(target, event)) not in stored:
                item = Item(event.id, event.type, body, (target.id,), now)
                parts[lane] = self._store_ordered(target, lane, item, once=once)
        return Accepted(event.id, tuple(target.name for target in targets)), parts

    def _store_ordered(self, target: Target, lane: str, item: Item, *, once: str | None) -> Awaitable[None]:
        """The item's place in its lane is taken before this returns: the next event's comes after it."""
        if self.dispatcher.is_full(lane):
            return self.dispatcher.refuse(target, item)
        if once is not None:
            return self._put_ordered(target, lane, encode_record([item]), id=once)
        committer = self._ordered.get(lane)
        if committer is None:
            # One item a record: it is handed back by itself when it failed.
            committer = self._ordered[lane] = Committer(partial(self._put_ordered, target, lane), most=1)
        return committer.commit(item)

    async def _put_ordered(self, target: Target, lane: str, record: bytes, *, id: str | None = None) -> None:
        await self.dispatcher.open_lane(target, lane)
        if self.registry.get(target.id) is not None:  # else nobody would ever take it out again
            await self._queue.put(lane, record, id=id)

    # -- operating -------------------------------------------------------------------------------------------------

    async def remove(self, name: str) -> Target:
        """Remove a target and what waits for it. Raises as :meth:`Registry.remove`."""
        target = await self.registry.remove(name)
        try:
            await self.dispatcher.close_lanes(target)
        except VoxgateError as error:
            # The target is gone all the same; whoever looks through the lanes next closes those that are left.
            logger.warning("the lanes of a removed target are closed later", extra={"code": error.code})
        return target

    async def test(self, name: str) -> Outcome:
        """Deliver a test event now, outside the queue. Raises :class:`VoxgateError` ``not_found``."""
        target = self.registry.named(name)
        event = Event(new_event_id(), SOURCE, TEST_EVENT, self.clock.now(), name, {"target": name})
        item = Item(event.id, event.type, encode_event(event), (target.id,), self.clock.now())
        return await self.dispatcher.attempt(target, item)

    def summary(self) -> dict[str, object]:
        """How this process fares, as JSON data: counts since it began."""
        targets = list(self.registry)
        disabled = sum(self.registry.state(target.id).disabled is not None for target in targets)
        counts = {"buffered": len(self.sink), "dropped": self.sink.dropped, **asdict(self.dispatcher.stats)}
        return {"targets": len(targets), "disabled": disabled, "full": self._full, **counts}

    def standing(self, target_id: str) -> dict[str, object]:
        """How a target fares as this process sees it, as JSON data."""
        return {"breaker": self.dispatcher.breaker(target_id), "waiting": self.dispatcher.waiting(target_id)}

    async def dead(self, query: DeadQuery) -> list[DeadLetter]:
        """Dead letters, oldest first; ``lane`` of the query is a target's id. Raises ``unavailable``."""
        return list(await self._queue.dead(query))

    async def replay(self, letter: DeadLetter) -> None:
        """Deliver a dead letter anew, from the first attempt, under the id it had.

        Raises :class:`VoxgateError` ``not_found`` when its target is gone, or for a record that could not be read;
        ``unavailable``.
        """
        if await self.registry.look_up(letter.lane) is None:
            raise VoxgateError("not_found", "the target of this dead letter was removed, or it never had one")
        await self._queue.put(EVENTS, encode_record(decode_record(letter.body)))
        await self._queue.forget(letter)

    def _target_changed(self, target_id: str) -> None:
        self.dispatcher.target_changed(target_id)
        if self.registry.get(target_id) is None:
            for lane in [lane for lane in self._ordered if target_of(lane) == target_id]:
                del self._ordered[lane]

    async def _measure(self) -> None:
        while True:
            try:
                self._full = await self._queue.bytes_stored() >= self._max_stored
            except VoxgateError as error:
                logger.warning("the queue could not be measured", extra={"code": error.code})
            await asyncio.sleep(MEASURE_SECONDS)


async def _steadily(job: Callable[[], Awaitable[None]]) -> None:
    """Do what never ends by itself; without it events would stay where they are, and nobody would know."""
    while True:
        try:
            await job()
        except Exception:
            logger.exception("a job of fan-out failed; it is begun again")
        await asyncio.sleep(AGAIN_SECONDS)
