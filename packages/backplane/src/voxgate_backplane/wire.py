"""nats-py's client, mended where it gives up for good, sends in the clear, or dawdles:

1. When a server complains, of a message that is too large or a login that ran out, nats-py closes for ever. This one
   connects again, and goes on trying.
2. When TLS is wanted and the server offers none, nats-py sends its login in the clear. This one does not send it.
3. nats-py queues each message and wakes a task for it. What :meth:`Wire.listen` was given hears it at once, for less
   than half of the processor's time, and nothing is left in a queue when the listening ends. :meth:`Wire.send` needs
   no task either.

What it overrides and uses of nats-py is no part of that package's public API: the tests show when it changes.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final

import nats.errors
from nats.aio.client import Client, Srv
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.protocol.command import pub_cmd

__all__ = ["Wire"]

PERMISSIONS: Final = "permissions violation"
"""Begins the one complaint after which a server keeps the connection open."""

logger = logging.getLogger("voxgate.backplane")


class Wire(Client):
    """A client of NATS that stays. ``needs_tls`` refuses servers without it."""

    def __init__(self, *, needs_tls: bool) -> None:
        super().__init__()
        self._needs_tls = needs_tls
        self._listeners: dict[int, Callable[[Msg], None]] = {}
        self._flush_is_due = False

    async def listen(self, subject: str, hear: Callable[[Msg], None]) -> Subscription:
        """Call ``hear`` with each message at the moment it is read. What it raises is logged."""
        number = self._sid + 1
        self._listeners[number] = hear  # before the first await: an answer may be quick
        try:
            # With a future it makes neither a queue nor a task of its own.
            return await self.subscribe(subject, future=asyncio.get_running_loop().create_future())
        except BaseException:
            self.forget(number)
            raise

    def send(self, subject: str, body: bytes, reply: str = "") -> None:
        """Publish at once, or as soon as a server is reached again.

        Raises :class:`nats.errors.Error` when the client was closed, or too much is waiting for a server already.
        """
        if self.is_closed:
            raise nats.errors.ConnectionClosedError
        if not self.is_connected and self._pending_data_size + len(body) > self._max_pending_size:
            raise nats.errors.OutboundBufferLimitError
        command = pub_cmd(subject, reply, body)
        self._pending.append(command)
        self._pending_data_size += len(command)
        if not self._flush_is_due:
            # One turn of the loop later, so that what is sent in this one goes out in one write.
            self._flush_is_due = True
            asyncio.get_running_loop().call_soon(self._flush_now)

    def _flush_now(self) -> None:
        self._flush_is_due = False
        if self.is_connected and self._flush_queue is not None and self._flush_queue.empty():
            self._flush_queue.put_nowait(asyncio.get_running_loop().create_future())

    def drop_unsent(self, holding: bytes) -> None:
        """Send nothing of what still waits to be sent and holds these bytes."""
        self._pending = [command for command in self._pending if holding not in command]
        self._pending_data_size = sum(map(len, self._pending))

    async def decline(self, subscription: Subscription) -> None:
        """Ask the server to send no more. What is on its way is still heard, until :meth:`forget`."""
        await self._send_unsubscribe(subscription._id)

    def forget(self, number: int) -> None:
        """Hear no more of the subscription of this number, and don't renew it after a reconnect."""
        self._listeners.pop(number, None)
        self._remove_sub(number)

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes) -> None:
        hear = self._listeners.get(sid)
        if hear is None:
            await super()._process_msg(sid, subject, reply, data, headers)
            return
        parsed = await self._process_headers(headers) if headers else None
        try:
            hear(Msg(self, subject.decode(), reply.decode(), data, parsed))
        except Exception:
            # It may not get out: nats-py would stop reading and stay connected.
            logger.exception("a message from NATS could not be worked on")

    async def _process_err(self, err_msg: str) -> None:
        if PERMISSIONS in err_msg:
            logger.error("the NATS server refuses what we may not do: %s", err_msg)
            return
        logger.error("the NATS server ends the connection: %s; connecting again", err_msg)
        await self._process_op_err(nats.errors.Error(f"nats: {err_msg}"))

    async def _connect_to_server(self, s: Srv) -> None:
        if self._transport:
            # nats-py forgets the socket of an attempt that failed, and leaves it open.
            self._transport.close()  # type: ignore[no-untyped-call]
        await super()._connect_to_server(s)

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        if initial_connection and self._needs_tls and not info.get("tls_required"):
            raise nats.errors.SecureConnWantedError
        await super()._process_info(info, initial_connection)
