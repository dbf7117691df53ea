"""A durable queue in memory that shares the port's Protocol, and a sender that does what it is told.

Time is the clock's: what is kept back, handed back or leased comes again when the clock says so. On a loop whose time is
that clock's it comes by itself; on another one, call :meth:`FakeQueue.pump` after moving the clock.
"""

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Final

from voxgate_core import Clock, DeadLetter, DeadQuery, Handler, VoxgateError
from voxgate_core.queue import STOP_SECONDS
from voxgate_fanout.delivery import Delivery
from voxgate_fanout.outcome import Outcome, OutcomeKind, failed

__all__ = ["DELIVERED", "FakeClaim", "FakeQueue", "FakeSender", "FakeWorker", "Job", "Store"]

FAILED_SECONDS: Final = 5.0
"""After how long a job is given out again whose handler raised."""

DUPLICATE_SECONDS: Final = 120.0
"""How long the ids of jobs are remembered."""

DELIVERED: Final = Outcome(OutcomeKind.DELIVERED, 200, "HTTP 200", None, 0.01)


@dataclass(slots=True)
class Job:
    """One job of a lane. ``due`` is the clock's ``now``; ``leased_until`` is ``monotonic``, so that a clock that is set
    takes no job from its holder."""

    number: int
    lane: str
    body: bytes
    due: float
    deliveries: int = 0
    claim: "FakeClaim | None" = None
    leased_until: float = 0.0
    holds_place: bool = False


@dataclass
class Store:
    """What survives a process: give it to another :class:`FakeQueue` to start anew on what is left."""

    clock: Clock
    jobs: dict[int, Job] = field(default_factory=dict)
    opened: dict[str, tuple[int, float]] = field(default_factory=dict)
    letters: dict[int, DeadLetter] = field(default_factory=dict)
    seen: dict[tuple[str, str], float] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=lambda: count(1))
    clients: "list[FakeQueue]" = field(default_factory=list)

    def of(self, lane: str) -> list[Job]:
        """The jobs of a lane that are not done, oldest first."""
        return [job for job in self.jobs.values() if job.lane == lane]

    def pump(self) -> None:
        """Give out every job whose time has come to whoever has a hand free."""
        now, moment = self.clock.now(), self.clock.monotonic()
        for job in self.jobs.values():
            if job.claim is not None and job.leased_until <= moment:
                job.claim = None  # its holder may still work on it, but it is somebody else's now
        for lane, (in_hand, lease) in list(self.opened.items()):
            jobs = self.of(lane)
            out = sum(job.claim is not None or job.holds_place for job in jobs)
            for job in jobs:
                if job.claim is not None or job.due > now:
                    continue
                worker = next((w for client in self.clients if (w := client.free(lane)) is not None), None)
                if worker is None or (out >= in_hand and not job.holds_place):
                    break
                out += not job.holds_place
                job.holds_place = False
                job.deliveries += 1
                job.leased_until = moment + lease
                job.claim = FakeClaim(self, job, worker)
                worker.take(job.claim)
        for client in self.clients:
            client.arm()

    def rest(self) -> float | None:
        """Seconds until the next job comes free; ``None`` when only something else than time can bring one."""
        now, moment = self.clock.now(), self.clock.monotonic()
        rests = [job.leased_until - moment if job.claim is not None else job.due - now for job in self.jobs.values()]
        return min((seconds for seconds in rests if seconds > 0), default=None)


class FakeClaim:
    """:class:`voxgate_core.Claim`; what is said of a job that is somebody else's by now changes nothing."""

    def __init__(self, store: Store, job: Job, worker: "FakeWorker") -> None:
        self.lane = job.lane
        self.body = job.body
        self.deliveries = job.deliveries
        self.extended = 0
        self._store = store
        self._job = job
        self._worker = worker

    def _heard(self, word: str) -> bool:
        """A word that gets lost raises nothing: the lease runs out, and the job is given out again."""
        queue = self._worker.queue
        return self._job.claim is self and queue in self._store.clients and not queue.is_refused(word, self.lane)

    async def ack(self) -> None:
        if self._heard("ack"):
            self._store.jobs.pop(self._job.number, None)  # its lane may have been closed
            self._worker.queue.acked.append(self.body)
            self._store.pump()

    async def hand_back(self, delay: float = 0.0) -> None:
        if self._heard("hand_back"):
            self._worker.queue.handed_back.append((self.lane, delay))
            self._job.claim = None
            self._job.due = self._store.clock.now() + delay
            self._job.holds_place = True
            self._store.pump()

    async def extend(self) -> None:
        if self._heard("extend"):
            self.extended += 1
            _, lease = self._store.opened.get(self.lane, (0, 0.0))
            self._job.leased_until = self._store.clock.monotonic() + lease


class FakeWorker:
    """:class:`voxgate_core.LaneWorker`."""

    def __init__(self, queue: "FakeQueue", lane: str, handler: Handler, slots: int) -> None:
        self.queue = queue
        self.lane = lane
        self.slots = slots
        self.stopped = False
        self._handler = handler
        self._handlers: set[asyncio.Task[None]] = set()

    @property
    def in_hand(self) -> int:
        return len(self._handlers)

    def set_slots(self, slots: int) -> None:
        self.slots = slots
        self.queue.pump()

    def take(self, claim: FakeClaim) -> None:
        task = asyncio.get_running_loop().create_task(self._work(claim))
        self._handlers.add(task)
        task.add_done_callback(self._done)

    async def stop(self, seconds: float = STOP_SECONDS) -> None:
        self.stopped = True
        if self._handlers:
            _, late = await asyncio.wait(self._handlers, timeout=seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        if self.queue.workers.get(self.lane) is self:
            del self.queue.workers[self.lane]
        self.queue.arm()

    def kill(self) -> None:
        """The process died: nothing is acknowledged or handed back."""
        self.stopped = True
        for task in self._handlers:
            task.cancel()

    async def _work(self, claim: FakeClaim) -> None:
        try:
            await self._handler(claim)
        except asyncio.CancelledError:
            await claim.hand_back()
            raise
        except Exception as error:
            self.queue.failures.append(error)
            await claim.hand_back(FAILED_SECONDS)

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._handlers.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.queue.failures.append(error)
        self.queue.pump()


class FakeQueue:
    """:class:`voxgate_core.DurableQueue` as one process has it.

    ``refuses(method, lane)`` says which calls raise ``unavailable``, and :attr:`unavailable` makes all of them do so.
    While :attr:`gate` is clear no job is stored. ``puts`` are all that were stored, ``failures`` what handlers raised.
    """

    def __init__(self, clock: Clock, store: Store | None = None) -> None:
        self.store = store or Store(clock)
        self.unavailable = False
        self.refuses: Callable[[str, str], bool] = lambda method, lane: False
        self.gate = asyncio.Event()
        self.gate.set()
        self.puts: list[tuple[str, bytes, float | None]] = []
        self.acked: list[bytes] = []
        self.handed_back: list[tuple[str, float]] = []
        self.failures: list[BaseException] = []
        self.workers: dict[str, FakeWorker] = {}
        self._timer: asyncio.TimerHandle | None = None
        self.store.clients.append(self)

    def crash(self) -> None:
        """This process is gone, and says nothing more; its claims come free when their leases run out."""
        self.store.clients.remove(self)
        if self._timer is not None:
            self._timer.cancel()
        for worker in self.workers.values():
            worker.kill()
        self.workers.clear()

    def pump(self) -> None:
        self.store.pump()

    def is_refused(self, method: str, lane: str) -> bool:
        return self.unavailable or self.refuses(method, lane)

    def check(self, method: str, lane: str) -> None:
        """Raise :class:`VoxgateError` ``unavailable`` if the test wants it so."""
        if self.is_refused(method, lane):
            raise VoxgateError("unavailable", f"the fake queue refuses {method}")

    def free(self, lane: str) -> FakeWorker | None:
        """The worker of a lane, if it has a hand free."""
        worker = self.workers.get(lane)
        return worker if worker is not None and not worker.stopped and worker.in_hand < worker.slots else None

    def arm(self) -> None:
        """Look again when the next job comes free."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        seconds = self.store.rest()
        if seconds is not None and self.workers:
            self._timer = asyncio.get_running_loop().call_later(seconds, self.pump)

    # -- the port --------------------------------------------------------------------------------------------------

    async def open_lane(self, lane: str, *, in_hand: int, lease: float) -> None:
        self.check("open_lane", lane)
        await asyncio.sleep(0)
        self.store.opened[lane] = (in_hand, lease)

    async def lanes(self) -> frozenset[str]:
        self.check("lanes", "")
        return frozenset(self.store.opened)

    async def close_lane(self, lane: str) -> None:
        self.check("close_lane", lane)
        self.store.opened.pop(lane, None)
        self.store.jobs = {key: job for key, job in self.store.jobs.items() if job.lane != lane}

    async def put(self, lane: str, body: bytes, *, id: str | None = None, at: float | None = None) -> None:
        await self.gate.wait()
        await asyncio.sleep(0)
        self.check("put", lane)
        now = self.store.clock.now()
        if id is not None:
            before = self.store.seen.get((lane, id))
            if before is not None and now - before < DUPLICATE_SECONDS:
                return
            self.store.seen[lane, id] = now
        self.puts.append((lane, body, at))
        number = next(self.store.numbers)
        self.store.jobs[number] = Job(number, lane, body, now if at is None else at)
        self.pump()

    async def work(self, lane: str, handler: Handler, *, slots: int) -> FakeWorker:
        self.check("work", lane)
        await asyncio.sleep(0)
        if lane in self.workers:
            raise ValueError(f"the lane {lane} is being worked by this process already")
        worker = self.workers[lane] = FakeWorker(self, lane, handler, slots)
        self.pump()
        return worker

    async def backlog(self) -> Mapping[str, int]:
        self.check("backlog", "")
        return Counter(job.lane for job in self.store.jobs.values())

    async def bytes_stored(self) -> int:
        self.check("bytes_stored", "")
        return sum(len(job.body) for job in self.store.jobs.values())

    async def bury(self, letter: DeadLetter) -> None:
        await asyncio.sleep(0)
        self.check("bury", letter.lane)
        number = next(self.store.numbers)
        self.store.letters[number] = replace(letter, ref=str(number))

    async def dead(self, query: DeadQuery) -> Sequence[DeadLetter]:
        self.check("dead", query.lane or "")
        found = [
            letter
            for number, letter in self.store.letters.items()
            if (query.lane is None or letter.lane == query.lane)
            and (query.id is None or letter.id == query.id)
            and (query.since is None or letter.died_at >= query.since)
            and (query.after is None or number > int(query.after))
        ]
        return found[: query.limit]

    async def forget(self, letter: DeadLetter) -> None:
        self.check("forget", letter.lane)
        self.store.letters.pop(int(letter.ref), None)


class FakeSender:
    """:class:`voxgate_fanout.dispatcher.Sender`. Everything is delivered unless a test says otherwise.

    Keys are URLs or event ids; what is said of an event counts before what is said of a URL.
    """

    def __init__(self) -> None:
        self.sent: list[Delivery] = []
        self.delivered: list[tuple[str, str]] = []  # (URL, event id)
        self.cancelled: list[str] = []
        self.peak: Counter[str] = Counter()
        self.in_flight: Counter[str] = Counter()
        self.always: dict[str, Outcome | Exception] = {}
        self.next: defaultdict[str, deque[Outcome | Exception]] = defaultdict(deque)
        self._hanging: dict[str, list[asyncio.Future[None]]] = {}

    def hang(self, key: str) -> None:
        """Let no delivery come to its end until :meth:`release`."""
        self._hanging.setdefault(key, [])

    def release(self, *keys: str) -> None:
        """Let those end that hang, and no later one hang; everything without keys."""
        for key in keys or tuple(self._hanging):
            for waiting in self._hanging.pop(key):
                if not waiting.done():
                    waiting.set_result(None)

    def hangs(self, key: str) -> bool:
        return key in self._hanging

    def fail(self, key: str, reason: str = "HTTP 500") -> None:
        """Let every delivery fail until :meth:`heal`."""
        self.always[key] = failed(reason, 0.01)

    def heal(self, key: str) -> None:
        self.always.pop(key, None)

    def ids(self, url: str) -> list[str]:
        """The events that ``url`` was given, in order, failed attempts included."""
        return [delivery.headers["webhook-id"] for delivery in self.sent if delivery.url == url]

    async def deliver(self, delivery: Delivery) -> Outcome:
        url, event_id = delivery.url, delivery.headers["webhook-id"]
        self.sent.append(delivery)
        self.in_flight[url] += 1
        self.peak[url] = max(self.peak[url], self.in_flight[url])
        try:
            for key in (event_id, url):
                if key in self._hanging:
                    waiting = asyncio.get_running_loop().create_future()
                    self._hanging[key].append(waiting)
                    await waiting
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            self.cancelled.append(event_id)
            raise
        finally:
            self.in_flight[url] -= 1
        outcome = self._outcome(url, event_id)
        if isinstance(outcome, Exception):
            raise outcome
        if outcome.kind is OutcomeKind.DELIVERED:
            self.delivered.append((url, event_id))
        return outcome

    def _outcome(self, url: str, event_id: str) -> Outcome | Exception:
        for key in (event_id, url):
            if self.next.get(key):
                return self.next[key].popleft()
        return self.always.get(event_id) or self.always.get(url) or DELIVERED
