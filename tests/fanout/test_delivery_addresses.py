"""No delivery reaches an address that is refused, whichever way it is written, resolved or reached before."""

from collections.abc import Sequence
from ipaddress import ip_network

import pytest

from tests.fanout.receivers import CLOSE, Receiver
from voxgate_core import ManualClock
from voxgate_fanout.addresses import Address, AddressPolicy
from voxgate_fanout.delivery import MAX_URLS, Deliverer, Delivery
from voxgate_fanout.outcome import OutcomeKind
from voxgate_fanout.resolver import RESOLVED_SECONDS

OPEN = AddressPolicy()
LOOPBACK = AddressPolicy([ip_network("127.0.0.0/8")])


class Names:
    """A name service that gives the next of its answers each time, and the last one for ever."""

    def __init__(self, *answers: list[str]) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str) -> Sequence[str]:
        self.asked.append(host)
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


def to(url: str, *, trusted: bool = False) -> Delivery:
    return Delivery(url, b"{}", {}, 5.0, trusted)


HOSTS = [
    *("127.0.0.1", "127.0.0.2", "127.1", "127.0.1", "0", "0.0.0.0", "2130706433", "0x7f000001", "0x7f.0.0.1", "0x7f.1"),
    *("017700000001", "0177.0.0.1", "127.0.0.1.", "127.0.0.01", "127.0.0.0x1", "0177.1", "%31%32%37.0.0.1", "127%2e1"),
    *("localhost", "LOCALHOST", "localhost.", "a.localhost", "ip6-localhost", "①②⑦.⓪.⓪.①", "127。0。0。1", "ⓛocalhost"),
    *("[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[::1%25lo]"),
    *("[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[::ffff:0:127.0.0.1]", "[127.0.0.1]", "[fe80::1%25lo]", "[::ffff:127.1]"),
    *("u:p@127.0.0.1", "e.com@127.0.0.1", "e.com\\@127.0.0.1", "127.0.0.1\\.e.com", "e.com#@127.0.0.1", "127.0.0.1%00"),
    *("127.0.0.1 ", "\t127.0.0.1", "127.0.0.1\r\n", "", "e.com:80@127.0.0.1", "//127.0.0.1", "/127.0.0.1"),
]  # fmt: skip


@pytest.mark.parametrize("host", HOSTS, ids=map(ascii, HOSTS))
async def test_no_spelling_of_this_machine_is_connected_to(host: str) -> None:
    names = Names(["127.0.0.1"])
    async with Receiver() as receiver, Deliverer(OPEN, resolve=names, user_agent="voxgate") as deliverer:
        outcome = await deliverer.deliver(to(f"http://{host}:{receiver.port}/?token=secret"))
        assert outcome.kind is OutcomeKind.RETRY
        assert outcome.reason.startswith("address refused: ")
        assert "secret" not in outcome.reason
        assert receiver.connections == 0


ANSWERS = {
    "127.0.0.1": "loopback",
    "0.0.0.0": "unspecified",
    "::1": "loopback",
    "::": "unspecified",
    "::ffff:127.0.0.1": "IPv4-mapped loopback",
    "::127.0.0.1": "IPv4-compatible loopback",
    "64:ff9b::7f00:1": "NAT64 loopback",
    "2002:7f00:1::": "6to4 loopback",
    "10.0.0.1": "private",
    "100.64.0.1": "shared (carrier-grade NAT)",
    "169.254.169.254": "cloud metadata",
    "fd00:ec2::254": "cloud metadata",
    "fe80::1%lo": "IPv6 zone",
    "224.0.0.1": "multicast",
    "127.1": "a name whose answer is not an address",
}


@pytest.mark.parametrize(("answer", "reason"), ANSWERS.items())
@pytest.mark.parametrize("place", [0, 1])
async def test_no_name_that_leads_to_a_refused_address_is_connected_to(answer: str, reason: str, place: int) -> None:
    answers = ["8.8.8.8"]
    answers.insert(place, answer)
    async with Receiver() as receiver, Deliverer(OPEN, resolve=Names(answers), user_agent="voxgate") as deliverer:
        outcome = await deliverer.deliver(to(receiver.url_of("hooks.example.com")))
        assert outcome.reason == f"address refused: {reason}"
        assert receiver.connections == 0


async def test_a_name_that_changes_after_the_check_changes_nothing() -> None:
    clock, names = ManualClock(), Names(["127.0.0.1"], ["169.254.169.254"])
    async with Receiver() as receiver:
        async with Deliverer(LOOPBACK, resolve=names, clock=clock, user_agent="voxgate") as deliverer:
            url = receiver.url_of("rebinding.example")
            assert (await deliverer.deliver(to(url))).status == 200
            assert names.asked == ["rebinding.example"]
            # An open connection goes where it went, whatever the name says now.
            clock.advance(RESOLVED_SECONDS)
            assert (await deliverer.deliver(to(url))).status == 200
            assert names.asked == ["rebinding.example"]
            await receiver.close_idle()
            assert (await deliverer.deliver(to(url))).reason == "address refused: cloud metadata"
            assert receiver.connections == 1


async def test_a_stale_connection_is_judged_again_before_the_second_try() -> None:
    clock, names = ManualClock(), Names(["127.0.0.1"], ["10.0.0.1"])
    async with Receiver() as receiver:
        async with Deliverer(LOOPBACK, resolve=names, clock=clock, user_agent="voxgate") as deliverer:
            url = receiver.url_of("rebinding.example")
            assert (await deliverer.deliver(to(url))).status == 200
            clock.advance(RESOLVED_SECONDS)
            receiver.answers.append(CLOSE)
            assert (await deliverer.deliver(to(url))).reason == "address refused: private"
            assert len(receiver.received) == 2


class Fickle(AddressPolicy):
    """Finds every address good once, and bad from then on."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: set[Address] = set()

    def refusal_of(self, address: Address) -> str | None:
        if address in self._seen:
            return "seen before"
        self._seen.add(address)
        return None


@pytest.mark.parametrize("host", ["hooks.example.com", "127.0.0.1"])
async def test_no_socket_is_opened_without_a_last_look_at_its_address(host: str) -> None:
    names = Names(["127.0.0.1"])
    async with Receiver() as receiver, Deliverer(Fickle(), resolve=names, user_agent="voxgate") as deliverer:
        outcome = await deliverer.deliver(to(receiver.url_of(host)))
        assert outcome.reason == "address refused: by the guard of sockets, or by this machine"
        assert receiver.connections == 0


async def test_what_the_operator_configured_is_not_judged() -> None:
    async with Receiver() as receiver, Deliverer(AddressPolicy(require_https=True), user_agent="voxgate") as deliverer:
        for url in (receiver.url, receiver.url_of("localhost"), receiver.url_of("user:word@localhost")):
            assert (await deliverer.deliver(to(url, trusted=True))).status == 200
        assert receiver.received[2].headers["authorization"] == "Basic dXNlcjp3b3Jk"


@pytest.mark.parametrize("host", ["127.1", "[::1", "", "a b", "x" * 70])
async def test_a_configured_url_that_makes_no_sense_is_an_outcome(host: str) -> None:
    async with Receiver() as receiver, Deliverer(OPEN, user_agent="voxgate") as deliverer:
        outcome = await deliverer.deliver(to(f"http://{host}:{receiver.port}/", trusted=True))
        assert outcome.kind is OutcomeKind.RETRY
        assert outcome.reason in {"address refused: a URL that cannot be read", "malformed request", "name not found"}
        assert receiver.connections == 0


async def test_a_trusted_connection_does_not_serve_what_is_not_trusted() -> None:
    async with Receiver() as receiver, Deliverer(OPEN, user_agent="voxgate") as deliverer:
        url = receiver.url_of("localhost")
        assert (await deliverer.deliver(to(url, trusted=True))).status == 200
        assert (await deliverer.deliver(to(url))).reason == "address refused: loopback"
        assert len(receiver.received) == 1


async def test_urls_are_judged_however_many_there_are() -> None:
    async with Deliverer(OPEN, user_agent="voxgate") as deliverer:
        for number in range(MAX_URLS + 1):
            no_time = Delivery(f"http://e.com/{number}", b"{}", {}, 0.0)
            assert (await deliverer.deliver(no_time)).reason == "timeout"
        assert (await deliverer.deliver(to("http://127.0.0.1/"))).reason == "address refused: loopback"
