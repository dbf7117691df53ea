"""Follows what is written to a stream, over lost connections, restarted servers and slow readers.

The server pushes the messages to us and keeps no word of ours about them, so a gap is ours to see: each message has a
number that grows by one, and a heartbeat tells the last number. After a gap, a silence or a reconnect the watch is
begun anew, and the reader is told that it may have missed some.

Source: NATS ADR-15 (ordered delivery without acknowledgements: numbers and heartbeats).
"""

import asyncio
import logging
import secrets
from collections.abc import Callable
from typing import Final

import nats.errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from voxgate_backplane.client import Connection
from voxgate_backplane.faults import refusals

__all__ = ["Watch"]

HEARTBEAT_SECONDS: Final = 2.0
"""How often an idle server says that it still has us; silence for twice as long, and the watch is begun anew."""

FORGET_SECONDS: Final = 60.0
"""How long the server keeps a watch whose watcher is gone."""

WATCH_QUEUE: Final = 1024
"""Messages a slow reader may fall behind before it is told that it missed some."""

RETRY_SECONDS: Final = 1.0
"""Pause between two attempts to begin anew."""

LEAVE_SECONDS: Final = 1.0
"""How long the end of a watch waits for the server to take note; without its word it forgets us by itself."""

logger = logging.getLogger("voxgate.backplane")


class Watch:
    """Messages that are written to ``subject`` after :meth:`begin`."""

    def __init__(self, connection: Connection, stream: str, subject: str) -> None:
        self._connection = connection
        self._stream = stream
        self._subject = subject
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[Msg | None] = asyncio.Queue(WATCH_QUEUE)
        self._missed = False
        self._broken = False
        self._delivered = 0
        self._heard_at = 0.0
        self._consumer = ""
        self._subscription: Subscription | None = None
        self._silence: asyncio.TimerHandle | None = None
        self._take_back: Callable[[], None] | None = None

    async def begin(self) -> None:
        """Watch from now on. Raises :class:`VoxgateError` ``unavailable``."""
        with refusals("watch keys"):
            await self._follow()
        self._take_back = self._connection.on_reconnect(self._break)

    async def end(self) -> None:
        """Stop watching."""
        if self._take_back is not None:
            self._take_back()
        await self._leave()

    async def next(self) -> Msg | None:
        """The next message, or ``None`` when some may have been missed: then read anew what is there.

        Cancelling it loses nothing.
        """
        if not self._missed:
            message = await self._queue.get()
            if message is not None:
                return message
            self._missed = True
        while self._broken:
            await self._begin_anew()
        self._missed = False
        return None

    def _hear(self, message: Msg) -> None:
        if self._broken:
            return
        self._heard_at = self._loop.time()
        headers = message.headers or {}
        if "Status" in headers:
            if int(headers.get("Nats-Last-Consumer", self._delivered)) != self._delivered:
                self._break()
            return
        self._delivered += 1
        if message.metadata.sequence.consumer != self._delivered:
            self._break()
        else:
            self._put(message)

    def _put(self, message: Msg | None) -> None:
        if self._queue.full():
            while not self._queue.empty():
                self._queue.get_nowait()
            message = None
        self._queue.put_nowait(message)

    def _break(self) -> None:
        """What comes from here may have a hole. The reader begins anew: it alone knows whether it still reads."""
        if not self._broken:
            self._broken = True
            self._put(None)

    def _listen_for_silence(self) -> None:
        if self._loop.time() - self._heard_at > 2 * HEARTBEAT_SECONDS:
            self._break()
        else:
            self._silence = self._loop.call_later(HEARTBEAT_SECONDS, self._listen_for_silence)

    async def _begin_anew(self) -> None:
        await self._leave()
        try:
            await self._follow()
        except (nats.errors.Error, OSError) as error:
            logger.warning("a watch could not be begun anew: %s; trying again", type(error).__name__)
            await asyncio.sleep(RETRY_SECONDS)

    async def _follow(self) -> None:
        inbox = self._connection.client.new_inbox()
        name = secrets.token_hex(8)  # with a name of ours it is made once, even if the request is sent twice
        config = ConsumerConfig(
            name=name,
            deliver_subject=inbox,
            deliver_policy=DeliverPolicy.NEW,
            ack_policy=AckPolicy.NONE,
            filter_subject=self._subject,
            idle_heartbeat=HEARTBEAT_SECONDS,
            inactive_threshold=FORGET_SECONDS,
            mem_storage=True,
            num_replicas=1,
        )
        question = {"stream_name": self._stream, "config": config.as_dict()}
        self._delivered, self._broken = 0, False
        subscription = await self._connection.listen(inbox, self._hear)
        try:
            await self._connection.api(f"CONSUMER.CREATE.{self._stream}.{name}", question)
        except BaseException:
            self._broken = True
            await self._connection.let_go(subscription)
            raise
        self._subscription, self._consumer = subscription, name
        self._heard_at = self._loop.time()
        self._listen_for_silence()

    async def _leave(self) -> None:
        if self._silence is not None:
            self._silence.cancel()
        subscription, self._subscription = self._subscription, None
        if subscription is None:
            return
        await self._connection.let_go(subscription)
        if not self._connection.is_up:
            return
        try:
            await self._connection.api(f"CONSUMER.DELETE.{self._stream}.{self._consumer}", patience=LEAVE_SECONDS)
        except (nats.errors.Error, OSError) as error:
            logger.debug("a watch could not be taken back: %s", type(error).__name__)
