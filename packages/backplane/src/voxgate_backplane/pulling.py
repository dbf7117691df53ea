"""Takes jobs of one lane from its durable consumer, as many at a time as there are hands for them. Its rules:

1. A *pull* asks the server for up to ``batch`` messages within EXPIRES_SECONDS; an idle lane costs one request in that
   time and no more. A lane has one pull out at a time: a job comes under its own subject and so does not say which
   pull it answers, a word about the pull does.
2. The server drops a pull when nobody listens for its answers. So each worker has an inbox, and gives it up with the
   pull when there are no hands for it any more; what is on its way until the server knows is handed back.
3. A lost server, a new leader or an expired pull leaves no lane waiting: each makes the worker pull anew.

Source: NATS ADR-37 (pull consumers: request, expiry and status messages).
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import nats.errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from voxgate_backplane.client import Connection
from voxgate_core import Claim, Handler
from voxgate_core.queue import STOP_SECONDS

__all__ = ["JetStreamClaim", "LaneWorker", "Puller"]

EXPIRES_SECONDS: Final = 30.0
"""How long the server keeps a pull open."""

OVERDUE_SECONDS: Final = 5.0
"""How long after its expiry a pull that was never answered counts as lost."""

GATHER_SECONDS: Final = 0.02
"""How long a few free hands wait for more of them before they are pulled for: under load that saves most pulls."""

RETRY_SECONDS: Final = 0.5
"""Pause before the next pull when the server turned one away."""

FAILED_SECONDS: Final = 5.0
"""After how long a job is given out again whose handler raised."""

MAX_BATCH: Final = 64
"""Jobs one pull asks for at most."""

ENDED: Final = frozenset({"404", "408"})
"""The ordinary ends of a pull: nothing was there, and its time is over."""

logger = logging.getLogger("voxgate.backplane")


class JetStreamClaim:
    """One message of a durable consumer as a :class:`voxgate_core.Claim`."""

    __slots__ = ("_connection", "_message", "lane")

    def __init__(self, connection: Connection, lane: str, message: Msg) -> None:
        self.lane = lane
        self._connection = connection
        self._message = message

    @property
    def body(self) -> bytes:
        return self._message.data

    @property
    def deliveries(self) -> int:
        return self._message.metadata.num_delivered

    async def ack(self) -> None:
        await self._answer(b"+ACK")

    async def hand_back(self, delay: float = 0.0) -> None:
        await self._answer(b'-NAK {"delay":%d}' % (delay * 1e9) if delay > 0 else b"-NAK")

    async def extend(self) -> None:
        await self._answer(b"+WPI")

    async def _answer(self, word: bytes) -> None:
        try:
            self._connection.client.send(self._message.reply, word)
        except nats.errors.Error as error:
            # The lease runs out, and the job is given out again: once more than needed, never less.
            logger.warning("a job's holder could not tell the server: %s", type(error).__name__)


@dataclass(slots=True, eq=False)
class _Pull:
    number: int
    owed: int
    overdue: asyncio.TimerHandle


class Puller:
    """The workers of a process, by lane."""

    def __init__(self, connection: Connection, stream: str) -> None:
        self._connection = connection
        self._stream = stream
        self._workers: dict[str, LaneWorker] = {}
        self._partings: set[asyncio.Task[None]] = set()

    async def begin(self) -> None:
        """Hear of what makes pulls void. Raises :class:`nats.errors.Error`."""
        # In a cluster a pull is held by the consumer's leader and dies with it; our own server may know nothing of it.
        await self._connection.listen(
            f"$JS.EVENT.ADVISORY.CONSUMER.LEADER_ELECTED.{self._stream}.*", self._hear_of_leader
        )
        self._connection.on_reconnect(self._begin_all_anew)

    def work(self, lane: str, handler: Handler, slots: int) -> "LaneWorker":
        """A worker of ``lane``, already at it. Raises ``ValueError`` when this process has one."""
        if lane in self._workers:
            raise ValueError(f"the lane {lane} is being worked by this process already")
        prefix = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}."
        worker = self._workers[lane] = LaneWorker(self._connection, prefix + lane, lane, handler, slots, self._forget)
        worker.top_up()
        return worker

    def _forget(self, lane: str) -> None:
        self._workers.pop(lane, None)

    def _hear_of_leader(self, message: Msg) -> None:
        worker = self._workers.get(message.subject.rpartition(".")[2])
        if worker is not None:
            worker.begin_anew()

    def _begin_all_anew(self) -> None:
        # One parting for all: a thousand lanes need not each ask the server whether it has understood.
        left = [inbox for worker in self._workers.values() if (inbox := worker.give_up()) is not None]
        parting = asyncio.get_running_loop().create_task(self._connection.let_go(*left))
        self._partings.add(parting)
        parting.add_done_callback(self._partings.discard)
        for worker in list(self._workers.values()):
            worker.top_up()


class LaneWorker:
    """:class:`voxgate_core.LaneWorker` over pulls."""

    def __init__(
        self,
        connection: Connection,
        pulls: str,
        lane: str,
        handler: Handler,
        slots: int,
        forget: Callable[[str], None],
    ) -> None:
        self._connection = connection
        self._pulls = pulls
        self._lane = lane
        self._handler = handler
        self._slots = slots
        self._forget = forget
        self._loop = asyncio.get_running_loop()
        self._inbox: Subscription | None = None
        self._pull: _Pull | None = None
        self._prefix = ""
        self._count = 0
        self._handlers: set[asyncio.Task[None]] = set()
        self._chores: set[asyncio.Task[None]] = set()
        self._retry: asyncio.TimerHandle | None = None
        self._gathering: asyncio.TimerHandle | None = None
        self._turned_away = False
        self._stopped = False

    @property
    def in_hand(self) -> int:
        return len(self._handlers)

    def set_slots(self, slots: int) -> None:
        self._slots = slots
        if self._pull is not None and len(self._handlers) + self._pull.owed > slots:
            self._part()
        self.top_up()

    async def stop(self, seconds: float = STOP_SECONDS) -> None:
        self._stopped = True
        self._part()
        for timer in (self._retry, self._gathering):
            if timer is not None:
                timer.cancel()
        try:
            if self._handlers:
                await asyncio.wait(self._handlers, timeout=seconds)
        finally:
            for task in self._handlers:
                task.cancel()
            # Chores first: they may bring jobs that were on their way, and handing those back is a chore too.
            while self._chores or self._handlers:
                await asyncio.wait(self._chores or self._handlers)
            self._forget(self._lane)

    def top_up(self) -> None:
        """Ask for more: at once when a good part of the hands are free, else a moment later."""
        free = self._free()
        if free and free >= self._slots // 4:
            self._pull_for(free)
        elif free and self._gathering is None:
            self._gathering = self._loop.call_later(GATHER_SECONDS, self._gathered)

    def _gathered(self) -> None:
        self._gathering = None
        if free := self._free():
            self._pull_for(free)

    def _free(self) -> int:
        """Hands to pull for: none while a pull is out or the last one was turned away just now."""
        if self._stopped or self._pull is not None or self._retry is not None:
            return 0
        return max(self._slots - len(self._handlers), 0)

    def _pull_for(self, free: int) -> None:
        overdue = self._loop.call_later(EXPIRES_SECONDS + OVERDUE_SECONDS, self.begin_anew)
        self._count += 1
        self._pull = _Pull(self._count, min(free, MAX_BATCH), overdue)
        if self._inbox is None:
            self._do(self._open(self._pull))
        else:
            self._ask(self._pull)

    def begin_anew(self) -> None:
        """Whatever the last pull asked for will not come."""
        self._part()
        self.top_up()

    def give_up(self) -> Subscription | None:
        """Want nothing more of the pull that is out. What is returned is to be let go."""
        self._end_pull()
        inbox, self._inbox, self._prefix = self._inbox, None, ""
        return inbox

    def _part(self) -> None:
        inbox = self.give_up()
        if inbox is not None:
            self._do(self._connection.let_go(inbox))

    async def _open(self, pull: _Pull) -> None:
        """Begin to listen for answers, then pull."""
        prefix = self._prefix = f"{self._connection.client.new_inbox()}."
        try:
            inbox = await self._connection.listen(f"{prefix}*", partial(self._hear, prefix))
        except nats.errors.Error as error:
            self._fail(pull, type(error).__name__)
            return
        if self._pull is pull:
            self._inbox = inbox
            self._ask(pull)
        else:  # it was given up meanwhile
            await self._connection.let_go(inbox)

    def _ask(self, pull: _Pull) -> None:
        body = b'{"batch":%d,"expires":%d}' % (pull.owed, EXPIRES_SECONDS * 1e9)
        try:
            self._connection.client.send(self._pulls, body, f"{self._prefix}{pull.number}")
        except nats.errors.Error as error:
            self._fail(pull, type(error).__name__)

    def _hear(self, prefix: str, message: Msg) -> None:
        status = (message.headers or {}).get("Status")
        pull = self._pull if prefix == self._prefix else None
        if status is None:
            self._receive(message)
            if pull is not None:
                pull.owed -= 1
                if pull.owed <= 0:
                    self._end_pull()
                    self.top_up()
        elif pull is not None and message.subject == f"{prefix}{pull.number}":
            if status in ENDED:
                self._turned_away = False
                self._end_pull()
                self.top_up()
            else:
                self._fail(pull, (message.headers or {}).get("Description", status))

    def _receive(self, message: Msg) -> None:
        claim = JetStreamClaim(self._connection, self._lane, message)
        if self._stopped or len(self._handlers) >= self._slots:
            self._do(claim.hand_back())
            return
        self._turned_away = False
        task = self._loop.create_task(self._work(claim))
        self._handlers.add(task)
        task.add_done_callback(self._done)

    async def _work(self, claim: Claim) -> None:
        try:
            await self._handler(claim)
        except asyncio.CancelledError:
            await claim.hand_back()
            raise
        except Exception:
            logger.exception("a job of lane %s failed; it is given out again", self._lane)
            await claim.hand_back(FAILED_SECONDS)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._handlers.discard(task)
        self.top_up()

    def _end_pull(self) -> None:
        if self._pull is not None:
            self._pull.overdue.cancel()
            self._pull = None

    def _fail(self, pull: _Pull, why: str) -> None:
        """The pull came to nothing; the next one in a little while."""
        if self._pull is not pull:
            return
        self._end_pull()
        if not self._turned_away:
            self._turned_away = True  # said once, however long it lasts
            logger.warning("the lane %s can't be worked: %s; trying again", self._lane, why)
        if self._retry is None and not self._stopped:
            self._retry = self._loop.call_later(RETRY_SECONDS, self._retry_now)

    def _retry_now(self) -> None:
        self._retry = None
        self.top_up()

    def _do(self, chore: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(chore)
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)
