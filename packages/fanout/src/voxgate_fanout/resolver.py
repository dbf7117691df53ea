"""Names to addresses that have been judged, so that a connection goes to what was checked and nowhere else.

A name is resolved once for a connection, every answer is judged, and aiohttp is handed the numbers: it has no name left
to ask about between the check and the connection, which is what DNS rebinding needs. The name stays where it belongs,
in SNI, in the certificate's check and in ``Host``. aiohttp's own DNS cache is to stay off; the one here keeps an answer
only together with its verdict, because a target whose server closes each connection would else cost a lookup each time.

aiohttp does not ask a resolver about a host that is an IP address. :func:`voxgate_fanout.addresses.check_url` judges
those, and :func:`guarded_sockets` stands behind both: no socket is made for an address that the policy refuses.
"""

import asyncio
import errno
import functools
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final, Protocol

from aiohttp import AddrInfoType, SocketFactoryType
from aiohttp.abc import AbstractResolver, ResolveResult

from voxgate_core import Clock, SystemClock
from voxgate_fanout.addresses import AddressPolicy, AddressRefused

__all__ = ["LOOKUP_SECONDS", "RESOLVED_SECONDS", "Lookup", "PinnedResolver", "SystemLookup", "guarded_sockets"]

LOOKUP_SECONDS: Final = 5.0
"""How long a delivery waits for one lookup before it fails as timed out."""

RESOLVED_SECONDS: Final = 5.0
"""How long judged answers serve new connections. Refusals and failures are not kept."""

MAX_ANSWERS: Final = 32
"""Addresses of one name; a name with more is refused, before the list costs anything."""

MAX_NAMES: Final = 4096
"""Names whose answers are kept; past it the oldest are forgotten."""

LOOKUP_THREADS: Final = 32
"""Lookups at once. A hung name holds one of them, however many deliveries wait for it."""

RECEIVE_BUFFER: Final = 64 * 1024
"""Bytes asked of the kernel for each connection's receive buffer: what a target can send before anyone reads."""


class Lookup(Protocol):
    """Asks the name service. The system's is :class:`SystemLookup`."""

    async def __call__(self, host: str) -> Sequence[str]:
        """Every address of ``host``, as text. Raises ``OSError``, such as ``socket.gaierror``."""
        ...


class SystemLookup:
    """``getaddrinfo`` in threads of its own, so that hung names can't use up those of the event loop.

    Nothing can end a lookup but its own timeouts, which ``resolv.conf`` sets.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(LOOKUP_THREADS, thread_name_prefix="fanout-lookup")

    async def __call__(self, host: str) -> Sequence[str]:
        ask = functools.partial(socket.getaddrinfo, host, None, type=socket.SOCK_STREAM)
        answers = await asyncio.get_running_loop().run_in_executor(self._threads, ask)
        return [str(address[0]) for *_, address in answers]

    def close(self) -> None:
        """Let go of the threads; one that still waits for an answer ends when it comes."""
        self._threads.shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True, slots=True)
class _Resolved:
    """The good addresses of a name, as plain numbers, and the monotonic second up to which they serve."""

    addresses: tuple[str, ...]
    until: float


class PinnedResolver(AbstractResolver):
    """Resolves names for aiohttp, and refuses a name if the policy refuses any of its addresses.

    ``resolve`` raises :class:`AddressRefused`, ``TimeoutError`` after ``patience`` seconds, and the lookup's own
    ``OSError``.
    """

    def __init__(
        self, policy: AddressPolicy, lookup: Lookup, clock: Clock | None = None, *, patience: float = LOOKUP_SECONDS
    ) -> None:
        self._policy = policy
        self._lookup = lookup
        self._clock = clock or SystemClock()
        self._patience = patience
        self._resolved: dict[str, _Resolved] = {}
        self._asking: dict[str, asyncio.Task[tuple[str, ...]]] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        name = host.lower()
        known = self._resolved.get(name)
        if known is not None and self._clock.monotonic() < known.until:
            addresses = known.addresses
        else:
            addresses = await self._ask(name)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        """Stop waiting for lookups: they fail with ``socket.gaierror``."""
        asking = list(self._asking.values())
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)

    async def _ask(self, name: str) -> tuple[str, ...]:
        task = self._asking.get(name)
        if task is None:
            task = self._asking[name] = asyncio.create_task(self._look_up(name))
            task.add_done_callback(functools.partial(self._answered, name))
        # The lookup outlives whoever gives up on it: ending it would free no thread, and the next would take another.
        async with asyncio.timeout(self._patience):
            return await asyncio.shield(task)

    def _answered(self, name: str, task: asyncio.Task[tuple[str, ...]]) -> None:
        del self._asking[name]
        if not task.cancelled():
            # Taken here, because nobody may be left waiting to take it.
            task.exception()

    async def _look_up(self, name: str) -> tuple[str, ...]:
        try:
            addresses = self._judged(await self._lookup(name))
        except asyncio.CancelledError:
            # This task is ended by close() alone, and who waits for the name has not been cancelled.
            raise socket.gaierror(socket.EAI_AGAIN, "the resolver is closed") from None
        self._resolved.pop(name, None)
        while len(self._resolved) >= MAX_NAMES:
            del self._resolved[next(iter(self._resolved))]
        self._resolved[name] = _Resolved(addresses, self._clock.monotonic() + RESOLVED_SECONDS)
        return addresses

    def _judged(self, answers: Sequence[str]) -> tuple[str, ...]:
        if not answers:
            raise socket.gaierror(socket.EAI_NONAME, "the name has no address")
        if len(answers) > MAX_ANSWERS:
            raise AddressRefused(f"a name with more than {MAX_ANSWERS} addresses")
        good: dict[str, None] = {}
        for answer in answers:
            try:
                address = ip_address(answer)
            except ValueError:
                raise AddressRefused("a name whose answer is not an address") from None
            reason = self._policy.refusal_of(address)
            if reason is not None:
                raise AddressRefused(reason)
            # Written anew from what was judged, so that nothing else can be read into it.
            good[str(address)] = None
        return tuple(good)


def guarded_sockets(policy: AddressPolicy) -> SocketFactoryType:
    """A socket factory for aiohttp's connector, which makes none for an address that ``policy`` refuses.

    It raises ``PermissionError`` instead, the kind that aiohttp passes on whole.
    """

    def open_socket(info: AddrInfoType) -> socket.socket:
        family, kind, protocol, _, address = info
        try:
            reason = policy.refusal_of(ip_address(address[0]))
        except ValueError:
            reason = "not an address"
        if reason is not None:
            raise PermissionError(errno.EACCES, f"address refused: {reason}")
        opened = socket.socket(family, kind, protocol)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        return opened

    return open_socket
