"""The connection to NATS: one for each process, kept over restarts of servers.

Questions go through :meth:`Connection.ask` and its kin. One that was out when its server was lost is asked again as
soon as another is reached, and none is sent while there is no server: so nothing comes to pass long after its caller
was told that it failed.
"""

import asyncio
import json
import logging
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import msgspec
import nats.errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js.errors import APIError

from voxgate_backplane.credentials import Credentials, read_servers
from voxgate_backplane.faults import Lost, is_login_refused, pause_after, why_not
from voxgate_backplane.wire import Wire
from voxgate_core import ConfigurationError

__all__ = ["PATIENCE_SECONDS", "Connection", "Credentials", "connected"]

CONNECT_SECONDS: Final = 10.0
"""How long the first connection may take before the gateway gives up starting."""

RECONNECT_SECONDS: Final = 0.1
"""Pause between two attempts to reach a server that was lost; the attempts never end."""

PING_SECONDS: Final = 3.0
"""How often the server is asked whether it is there. After three of them without an answer another one is sought:
sooner than PATIENCE_SECONDS, so that a server that hangs fails no question in a cluster."""

REQUEST_SECONDS: Final = 2.0
"""How long one question waits for its answer before it is asked again."""

PATIENCE_SECONDS: Final = 12.0
"""How long a question is asked, over a restart of the embedded server or an election in a cluster; then it failed.

An election takes up to nine seconds: that is the longest a follower waits for a leader it no longer hears.
"""

PENDING_BYTES: Final = 16 * 1024 * 1024
"""Bytes of acknowledgements buffered while no server is reached; past it the next ones are lost."""

logger = logging.getLogger("voxgate.backplane")

T = TypeVar("T")


class _Fault(msgspec.Struct):
    code: int = 0
    err_code: int = 0
    description: str = ""


class _Receipt(msgspec.Struct):
    """A stream's answer to a message."""

    seq: int = 0
    error: _Fault | None = None


_decode_receipt = msgspec.json.Decoder(_Receipt).decode


@dataclass(slots=True, eq=False)
class _Question:
    answered: asyncio.Future[list[Msg]]
    many: bool
    seconds: float
    timer: asyncio.TimerHandle
    answers: list[Msg] = field(default_factory=list)


class Connection:
    """A connection to NATS with JetStream. Made by :func:`connected`."""

    def __init__(self, client: Wire) -> None:
        self.client = client
        self._loop = asyncio.get_running_loop()
        self._up = asyncio.Event()
        self._callbacks: dict[object, Callable[[], None]] = {}
        self._inbox = ""
        self._count = 0
        self._questions: dict[str, _Question] = {}
        self._last_fault: Exception | None = None

    @property
    def is_up(self) -> bool:
        """Whether a server is reached just now."""
        return self._up.is_set() and self.client.is_connected

    def on_reconnect(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call ``callback`` whenever a server was reached again: what was in flight to it may be gone.

        It runs on the event loop. What is returned takes it back.
        """
        key = object()
        self._callbacks[key] = callback

        def take_back() -> None:
            self._callbacks.pop(key, None)

        return take_back

    async def ask(self, subject: str, body: bytes = b"", *, patience: float = PATIENCE_SECONDS) -> Msg:
        """Ask until a server answers; only for questions that may be asked twice.

        Raises the last :class:`nats.errors.Error` when ``patience`` seconds have passed.
        """
        return await self._ask(subject, body, None, _the_one, patience=patience)

    async def ask_for_many(self, subject: str, body: bytes, *, patience: float = PATIENCE_SECONDS) -> list[Msg]:
        """Like :meth:`ask`, for answers that come one by one until one carries a status, which is the last."""
        return await self._ask(subject, body, None, _all, many=True, patience=patience)

    async def api(
        self, verb: str, question: Mapping[str, object] | None = None, *, patience: float = PATIENCE_SECONDS
    ) -> dict[str, Any]:
        """Ask the JetStream API, such as ``STREAM.INFO.jobs``; only what may be asked twice.

        Raises :class:`nats.js.errors.APIError` for a refusal, another :class:`nats.errors.Error` when ``patience``
        seconds have passed without an answer.
        """
        body = b"" if question is None else json.dumps(question).encode()
        return await self._ask(f"$JS.API.{verb}", body, None, _document, patience=patience)

    async def publish(
        self, subject: str, body: bytes, headers: dict[str, str], *, patience: float = PATIENCE_SECONDS
    ) -> int:
        """Publish until a stream acknowledges, and return the message's sequence there.

        Only for messages that the stream recognises when they are sent twice. Raises as :meth:`api`, and
        :class:`nats.errors.MaxPayloadError` for one that no server takes.
        """
        return await self._ask(subject, body, headers, _sequence, patience=patience)

    async def listen(self, subject: str, hear: Callable[[Msg], None]) -> Subscription:
        """Call ``hear`` with each message on ``subject``, over reconnects too. Raises :class:`nats.errors.Error`."""
        return await self.client.listen(subject, hear)

    async def let_go(self, *subscriptions: Subscription) -> None:
        """End subscriptions, and return when all that was on its way has been heard."""
        try:
            if self.is_up:
                for subscription in subscriptions:
                    await self.client.decline(subscription)
                # A message to ourselves: whatever the server had sent before it knew comes before it.
                await self._ask_once(None, b"", None, REQUEST_SECONDS)
        except (nats.errors.Error, OSError) as error:
            logger.debug("a subscription ended without the server's word: %s", type(error).__name__)
        finally:
            for subscription in subscriptions:
                self.client.forget(subscription._id)

    async def _ask(
        self,
        subject: str,
        body: bytes,
        headers: dict[str, str] | None,
        read: Callable[[list[Msg]], T],
        *,
        many: bool = False,
        patience: float,
    ) -> T:
        deadline = self._loop.time() + patience
        refused: APIError | None = None
        while True:
            try:
                if not self.is_up:
                    await self._reached(deadline)
                seconds = min(REQUEST_SECONDS, deadline - self._loop.time())
                return read(await self._ask_once(subject, body, headers, seconds, many=many))
            except nats.errors.Error as error:
                refused = error if isinstance(error, APIError) else refused
                pause = pause_after(error)
                if pause is None or self._loop.time() + pause >= deadline:
                    raise refused or error from None  # a refusal says more than that time ran out after it
            await asyncio.sleep(pause)

    async def _ask_once(
        self,
        subject: str | None,
        body: bytes,
        headers: dict[str, str] | None,
        seconds: float,
        *,
        many: bool = False,
    ) -> list[Msg]:
        """The answers. Without a ``subject`` the question is its own answer."""
        self._check_size(body, headers)
        self._count += 1
        token = str(self._count)
        answered: asyncio.Future[list[Msg]] = self._loop.create_future()
        timer = self._loop.call_later(seconds, _expire, answered)
        question = self._questions[token] = _Question(answered, many, seconds, timer)
        inbox = self._inbox + token
        try:
            await self.client.publish(subject or inbox, body, inbox, headers)
            return await answered
        finally:
            del self._questions[token]
            question.timer.cancel()

    def _check_size(self, body: bytes, headers: dict[str, str] | None) -> None:
        """The server counts headers too, and ends the connection over a message that is too large."""
        size = len(body)
        if headers is not None:
            size += 12 + sum(len(name) + len(value.encode()) + 4 for name, value in headers.items())
        if size > self.client.max_payload:
            raise nats.errors.MaxPayloadError

    def _hear(self, message: Msg) -> None:
        question = self._questions.get(message.subject[len(self._inbox) :])
        if question is None or question.answered.done():
            return
        question.answers.append(message)
        if not question.many or "Status" in (message.headers or ()):
            question.answered.set_result(question.answers)
        else:
            question.timer.cancel()
            question.timer = self._loop.call_later(question.seconds, _expire, question.answered)

    async def _reached(self, deadline: float) -> None:
        if not self.client.is_closed:
            self._up.clear()  # it may be lost and nobody told us yet
        try:
            async with asyncio.timeout_at(deadline):
                await self._up.wait()
        except TimeoutError:
            raise nats.errors.TimeoutError from None

    async def _open(self, servers: list[str], credentials: Credentials, tls: ssl.SSLContext | None) -> None:
        options: dict[str, Any] = {
            "servers": servers,
            "name": "voxgate",
            "connect_timeout": REQUEST_SECONDS,
            "reconnect_time_wait": RECONNECT_SECONDS,
            "max_reconnect_attempts": -1,
            "ping_interval": PING_SECONDS,
            "pending_size": PENDING_BYTES,
            "disconnected_cb": self._disconnected,
            "reconnected_cb": self._reconnected,
            "error_cb": self._failed,
            "skip_subject_validation": True,  # subjects are made by names.py, which validates once
            "tls": tls,
        }
        if credentials.user is not None:
            options |= {"user": credentials.user, "password": credentials.password}
        if credentials.creds_file is not None:
            options |= {"user_jwt_cb": credentials.token, "signature_cb": credentials.sign}
        await self.client.connect(**options)
        self._inbox = self.client.new_inbox() + "."
        await self.client.listen(f"{self._inbox}*", self._hear)
        self._up.set()

    async def _close(self) -> None:
        try:
            await self.client.close()
        except OSError as error:
            # nats-py sends what it has buffered even when the server is gone.
            logger.debug("NATS client: %s on closing", type(error).__name__)
        self._drop_questions()
        self._up.set()  # whoever waits for a server learns that there will be none

    def _drop_questions(self) -> None:
        for question in self._questions.values():
            if not question.answered.done():
                question.answered.set_exception(Lost())

    async def _disconnected(self) -> None:
        self._up.clear()
        self.client.drop_unsent(self._inbox.encode())  # or it would be sent after its caller was told that it failed
        self._drop_questions()
        if not self.client.is_closed:
            logger.warning("the connection to NATS was lost; reconnecting")

    async def _reconnected(self) -> None:
        logger.warning("the connection to NATS is back")
        self._last_fault = None
        self._up.set()
        for callback in list(self._callbacks.values()):
            callback()

    async def _failed(self, error: Exception) -> None:
        """nats-py reports here what no caller sees: while it connects, each attempt that failed."""
        if type(error) is not type(self._last_fault):
            logger.info("NATS client: %s", type(error).__name__)
        self._last_fault = error
        if not self._inbox and is_login_refused(error):
            raise error  # out of connect(), which would try the same login again for ever


@asynccontextmanager
async def connected(
    servers: str, credentials: Credentials, *, patience: float = CONNECT_SECONDS
) -> AsyncIterator[Connection]:
    """A connection for as long as the block runs. ``servers`` is a comma list of ``nats://`` or ``tls://`` URLs.

    With ``tls://`` or a CA file, servers without TLS are refused. Raises :class:`ConfigurationError` for URLs or files
    that can't be used, when no server can be reached within ``patience`` seconds, and when one refuses the login.
    """
    urls = read_servers(servers)
    credentials.check()
    needs_tls = credentials.ca_file is not None or any(url.startswith("tls:") for url in urls)
    connection = Connection(Wire(needs_tls=needs_tls))
    try:
        try:
            async with asyncio.timeout(patience):
                await connection._open(urls, credentials, credentials.tls() if needs_tls else None)
        except (nats.errors.Error, OSError) as error:
            fault = why_not(connection._last_fault or error)
            # Not with its cause: what an address or a login is refused with may quote it.
            raise ConfigurationError([f"VOXGATE_NATS_URL: {fault}"]) from None
        yield connection
    finally:
        await connection._close()


def _expire(answered: asyncio.Future[list[Msg]]) -> None:
    if not answered.done():
        answered.set_exception(nats.errors.TimeoutError())


def _all(answers: list[Msg]) -> list[Msg]:
    if (answers[-1].headers or {}).get("Status") == "503":
        raise nats.errors.NoRespondersError
    return answers


def _the_one(answers: list[Msg]) -> Msg:
    return _all(answers)[0]


def _sequence(answers: list[Msg]) -> int:
    receipt = _decode_receipt(_the_one(answers).data)
    if receipt.error is not None:
        raise _refusal(receipt.error)
    return receipt.seq


def _document(answers: list[Msg]) -> dict[str, Any]:
    document: dict[str, Any] = msgspec.json.decode(_the_one(answers).data)
    if "error" in document:
        raise _refusal(msgspec.convert(document["error"], _Fault))
    return document


def _refusal(fault: _Fault) -> APIError:
    return APIError(code=fault.code, err_code=fault.err_code, description=fault.description)
