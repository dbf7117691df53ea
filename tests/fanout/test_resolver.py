import asyncio
import errno
import gc
import socket
from collections.abc import Sequence
from ipaddress import ip_network

import aiohttp
import pytest

from tests.fanout.receivers import Receiver
from voxgate_core import ManualClock
from voxgate_fanout.addresses import AddressPolicy, AddressRefused
from voxgate_fanout.resolver import (
    MAX_ANSWERS,
    MAX_NAMES,
    RECEIVE_BUFFER,
    RESOLVED_SECONDS,
    PinnedResolver,
    SystemLookup,
    guarded_sockets,
)

OPEN = AddressPolicy()
LOOPBACK = AddressPolicy([ip_network("127.0.0.0/8")])


class Names:
    """A name service that gives the next of its answers each time, and the last one for ever."""

    def __init__(self, *answers: Sequence[str] | OSError) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, host: str) -> Sequence[str]:
        self.asked.append(host)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        await self.gate.wait()
        if isinstance(answer, OSError):
            raise answer
        return answer


async def addresses(resolver: PinnedResolver, host: str = "hooks.example.com") -> list[str]:
    return [answer["host"] for answer in await resolver.resolve(host, 443)]


async def test_a_name_becomes_numbers_under_its_own_name() -> None:
    resolver = PinnedResolver(OPEN, Names(["8.8.8.8", "2606:4700::1111", "8.8.8.8"]))
    first, second = await resolver.resolve("Hooks.example.com", 8443)
    assert first == {
        "hostname": "Hooks.example.com",
        "host": "8.8.8.8",
        "port": 8443,
        "family": socket.AF_INET,
        "proto": socket.IPPROTO_TCP,
        "flags": socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    }
    assert (second["host"], second["family"]) == ("2606:4700::1111", socket.AF_INET6)


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        (["127.0.0.1"], "loopback"),
        (["8.8.8.8", "127.0.0.1"], "loopback"),
        (["8.8.8.8"] * 9 + ["169.254.169.254"], "cloud metadata"),
        (["2606:4700::1111", "::ffff:10.0.0.1"], "IPv4-mapped private"),
        (["64:ff9b::7f00:1"], "NAT64 loopback"),
        (["fe80::1%lo"], "IPv6 zone"),
        (["8.8.8.8", "0x7f.1"], "a name whose answer is not an address"),
        (["8.8.8.8"] * (MAX_ANSWERS + 1), f"a name with more than {MAX_ANSWERS} addresses"),
    ],
)
async def test_one_refused_answer_refuses_the_name(answers: list[str], reason: str) -> None:
    with pytest.raises(AddressRefused) as caught:
        await addresses(PinnedResolver(OPEN, Names(answers)))
    assert caught.value.reason == reason


async def test_a_name_without_an_address_is_not_found() -> None:
    with pytest.raises(socket.gaierror) as caught:
        await addresses(PinnedResolver(OPEN, Names([])))
    assert caught.value.errno == socket.EAI_NONAME


async def test_a_failed_lookup_fails_as_it_is() -> None:
    with pytest.raises(socket.gaierror) as caught:
        await addresses(PinnedResolver(OPEN, Names(socket.gaierror(socket.EAI_AGAIN, "try later"))))
    assert caught.value.errno == socket.EAI_AGAIN


async def test_judged_answers_serve_for_seconds_and_are_then_judged_anew() -> None:
    clock, names = ManualClock(), Names(["8.8.8.8"], ["9.9.9.9"], ["10.0.0.1"])
    resolver = PinnedResolver(OPEN, names, clock)
    assert await addresses(resolver) == ["8.8.8.8"]
    clock.advance(RESOLVED_SECONDS - 0.1)
    assert await addresses(resolver, "HOOKS.example.com") == ["8.8.8.8"]
    clock.advance(0.1)
    assert await addresses(resolver) == ["9.9.9.9"]
    clock.advance(RESOLVED_SECONDS)
    with pytest.raises(AddressRefused, match="private"):
        await addresses(resolver)
    assert names.asked == ["hooks.example.com"] * 3


async def test_refusals_and_failures_are_not_kept() -> None:
    names = Names(["127.0.0.1"], socket.gaierror(socket.EAI_NONAME, "no"), ["8.8.8.8"])
    resolver = PinnedResolver(OPEN, names)
    with pytest.raises(AddressRefused):
        await addresses(resolver)
    with pytest.raises(socket.gaierror):
        await addresses(resolver)
    assert await addresses(resolver) == ["8.8.8.8"]


async def test_the_oldest_names_are_forgotten_first() -> None:
    names = Names(["8.8.8.8"])
    resolver = PinnedResolver(OPEN, names)
    for number in range(MAX_NAMES + 1):
        await addresses(resolver, f"h{number}.example")
    await addresses(resolver, f"h{MAX_NAMES}.example")
    await addresses(resolver, "h1.example")
    assert len(names.asked) == MAX_NAMES + 1
    await addresses(resolver, "h0.example")
    assert len(names.asked) == MAX_NAMES + 2


async def test_deliveries_at_the_same_moment_share_one_lookup() -> None:
    names = Names(["8.8.8.8"])
    names.gate.clear()
    resolver = PinnedResolver(OPEN, names)
    waiting = [asyncio.create_task(addresses(resolver)) for _ in range(5)]
    other = asyncio.create_task(addresses(resolver, "other.example"))
    await asyncio.wait([*waiting, other], timeout=0)
    given_up = waiting.pop()
    given_up.cancel()
    names.gate.set()
    assert await asyncio.gather(*waiting, other) == [["8.8.8.8"]] * 5
    assert given_up.cancelled() or given_up.cancelling()
    assert names.asked == ["hooks.example.com", "other.example"]


async def test_closing_ends_the_lookups_that_hang() -> None:
    names = Names(["8.8.8.8"])
    names.gate.clear()
    resolver = PinnedResolver(OPEN, names)
    waiting = asyncio.create_task(addresses(resolver))
    await asyncio.wait([waiting], timeout=0)
    await resolver.close()
    with pytest.raises(socket.gaierror):
        await waiting


async def test_a_hung_lookup_times_out_and_takes_no_second_thread() -> None:
    unhandled: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context))
    names = Names(socket.gaierror(socket.EAI_AGAIN, "late"))
    names.gate.clear()
    resolver = PinnedResolver(OPEN, names, patience=0.01)
    for _ in range(2):
        with pytest.raises(TimeoutError):
            await addresses(resolver)
    assert names.asked == ["hooks.example.com"]
    names.gate.set()
    while asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait(asyncio.all_tasks() - {asyncio.current_task()})
    gc.collect()
    assert not unhandled  # though nobody was left to hear of the failure


async def test_the_system_knows_localhost() -> None:
    lookup = SystemLookup()
    try:
        found = await lookup("localhost")
    finally:
        lookup.close()
    assert found
    assert set(found) <= {"127.0.0.1", "::1"}


async def test_aiohttp_connects_to_what_was_judged_though_the_name_changes_at_once() -> None:
    names = Names(["127.0.0.1"], ["169.254.169.254"])
    clock = ManualClock()
    resolver = PinnedResolver(LOOPBACK, names, clock)
    connector = aiohttp.TCPConnector(resolver=resolver, use_dns_cache=False, force_close=True)
    async with Receiver() as receiver, aiohttp.ClientSession(connector=connector) as session:
        url = receiver.url_of("rebinding.example")
        async with session.post(url) as response:
            assert response.status == 200
        assert names.asked == ["rebinding.example"]
        clock.advance(RESOLVED_SECONDS)
        with pytest.raises(AddressRefused, match="cloud metadata"):
            await session.post(url)
        assert receiver.connections == 1
        assert receiver.received[0].headers["host"] == f"rebinding.example:{receiver.port}"


@pytest.mark.parametrize(
    ("family", "address"),
    [
        (socket.AF_INET, ("10.0.0.1", 80)),
        (socket.AF_INET6, ("::1", 80, 0, 0)),
        (socket.AF_INET6, ("fe80::1%lo", 80, 0, 0)),
        (socket.AF_INET, ("localhost", 80)),
        (socket.AF_INET, ("127.1", 80)),
    ],
)
def test_no_socket_is_made_for_a_refused_address(family: socket.AddressFamily, address: tuple[str, int]) -> None:
    with pytest.raises(PermissionError, match="address refused") as caught:
        guarded_sockets(LOOPBACK)((family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", address))
    assert caught.value.errno == errno.EACCES


def test_a_socket_for_a_good_address_takes_little_unread() -> None:
    with guarded_sockets(LOOPBACK)(
        (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", 80))
    ) as made:
        assert (made.family, made.type) == (socket.AF_INET, socket.SOCK_STREAM)
        assert made.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) <= 2 * RECEIVE_BUFFER


async def test_the_guard_stops_aiohttp_even_when_nothing_was_checked_before() -> None:
    connector = aiohttp.TCPConnector(socket_factory=guarded_sockets(OPEN))
    async with Receiver() as receiver, aiohttp.ClientSession(connector=connector) as session:
        for host in ("127.0.0.1", "localhost"):
            with pytest.raises(aiohttp.ClientConnectorError) as caught:
                await session.post(receiver.url_of(host))
            assert isinstance(caught.value.os_error, PermissionError)
        assert receiver.connections == 0
