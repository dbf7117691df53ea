import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from ipaddress import ip_network

import pytest
import trustme

from tests.fanout.receivers import CLOSE, PATIENCE, RESET, Answer, Receiver, huge
from voxgate_fanout.addresses import AddressPolicy
from voxgate_fanout.delivery import Deliverer, Delivery
from voxgate_fanout.outcome import Outcome

NAME = "hooks.example.com"
CA = trustme.CA()


def server(*names: str, ca: trustme.CA = CA, expired: bool = False) -> ssl.SSLContext:
    """A server's context with a certificate for ``names``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    until = datetime(2020, 1, 1, tzinfo=UTC) if expired else None
    ca.issue_cert(*names, not_after=until).configure_cert(context)
    return context


async def on_loopback(host: str) -> Sequence[str]:
    return ["127.0.0.1"]


@pytest.fixture
async def deliverer() -> AsyncIterator[Deliverer]:
    """It trusts :data:`CA` alone, and is told that every name is on loopback."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    CA.configure_trust(context)
    policy = AddressPolicy([ip_network("127.0.0.0/8")], require_https=True)
    async with Deliverer(policy, resolve=on_loopback, ssl_context=context, user_agent="voxgate") as deliverer:
        yield deliverer


async def deliver(deliverer: Deliverer, receiver: Receiver, host: str = NAME, *, seconds: float = 10.0) -> Outcome:
    return await deliverer.deliver(Delivery(receiver.url_of(host), b"{}", {}, seconds))


async def test_the_name_stays_in_sni_certificate_and_host_while_the_number_is_connected_to(
    deliverer: Deliverer,
) -> None:
    async with Receiver(ssl_context=server(NAME)) as receiver:
        for _ in range(2):
            assert (await deliver(deliverer, receiver)).status == 200
        assert receiver.server_names == [NAME]
        assert receiver.connections == 1
        assert receiver.received[0].headers["host"] == f"{NAME}:{receiver.port}"


async def test_a_certificate_may_name_an_address(deliverer: Deliverer) -> None:
    async with Receiver(ssl_context=server("127.0.0.1")) as receiver:
        assert (await deliver(deliverer, receiver, "127.0.0.1")).status == 200
        assert receiver.server_names == [None]


@pytest.mark.parametrize(
    "context",
    [
        server("other.example.com"),
        server("127.0.0.1"),
        server("example.com"),
        server(NAME, ca=trustme.CA()),
        server(NAME, expired=True),
    ],
    ids=["another name", "the number", "the parent", "an unknown issuer", "expired"],
)
async def test_a_bad_certificate_gets_no_delivery(deliverer: Deliverer, context: ssl.SSLContext) -> None:
    async with Receiver(ssl_context=context) as receiver:
        outcome = await deliver(deliverer, receiver)
        assert (outcome.status, outcome.reason) == (None, "bad certificate")
        assert receiver.received == []
        await receiver.is_left()


async def test_the_systems_authorities_are_asked_by_default() -> None:
    policy = AddressPolicy([ip_network("127.0.0.0/8")])
    async with (
        Receiver(ssl_context=server(NAME)) as receiver,
        Deliverer(policy, resolve=on_loopback, user_agent="voxgate") as deliverer,
    ):
        assert (await deliver(deliverer, receiver)).reason == "bad certificate"


async def test_a_server_that_speaks_no_tls_fails_it(deliverer: Deliverer) -> None:
    async with Receiver(greeting=b"HTTP/1.1 400 Bad Request\r\n\r\n") as receiver:
        url = receiver.url_of(NAME).replace("http:", "https:")
        assert (await deliverer.deliver(Delivery(url, b"{}", {}, 5.0))).reason == "TLS failed"
        await receiver.is_left()


async def test_a_handshake_that_hangs_times_out_and_is_left(deliverer: Deliverer) -> None:
    async with Receiver() as receiver:  # it waits for the end of a head that TLS never sends
        url = receiver.url_of(NAME).replace("http:", "https:")
        assert (await deliverer.deliver(Delivery(url, b"{}", {}, 0.2))).reason == "timeout"
        await receiver.is_left()
        assert receiver.connections == 1


async def test_http_where_https_is_demanded_is_refused(deliverer: Deliverer) -> None:
    async with Receiver() as receiver:
        outcome = await deliver(deliverer, receiver)
        assert outcome.reason == "address refused: a URL that is not https"
        assert receiver.connections == 0


async def test_a_connection_is_left_at_once_though_its_peer_says_no_goodbye(deliverer: Deliverer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        deaf = asyncio.create_task(asyncio.to_thread(deaf_after_request, listener))
        url = f"https://{NAME}:{listener.getsockname()[1]}/"
        sending = asyncio.create_task(deliverer.deliver(Delivery(url, b"{}", {}, 30.0)))
        with await deaf as peer:
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending
            await asyncio.to_thread(read_to_the_end, peer)


def deaf_after_request(listener: socket.socket) -> socket.socket:
    """A server's side that has read something of a request over TLS, and gives no heed to TLS from then on."""
    plain, _ = listener.accept()
    plain.settimeout(PATIENCE)
    tls = server(NAME).wrap_socket(plain, server_side=True)
    assert tls.recv(1)
    peer = socket.socket(fileno=tls.detach())
    peer.settimeout(PATIENCE)
    return peer


def read_to_the_end(peer: socket.socket) -> None:
    """Raises ``TimeoutError`` when the client does not close the connection."""
    while peer.recv(4096):
        pass


async def test_an_endless_body_is_dropped_under_tls_too(deliverer: Deliverer) -> None:
    async with Receiver(huge(), ssl_context=server(NAME)) as receiver:
        assert (await deliver(deliverer, receiver)).status == 200
        await receiver.is_left()
        assert receiver.sent < 2 * 1024 * 1024  # TLS adds a buffer on either side


@pytest.mark.parametrize("late", [CLOSE, RESET], ids=["closed", "reset"])
async def test_a_stale_connection_costs_no_delivery_under_tls_either(deliverer: Deliverer, late: Answer) -> None:
    async with Receiver(Answer(), late, Answer(201), ssl_context=server(NAME)) as receiver:
        assert (await deliver(deliverer, receiver)).status == 200
        assert (await deliver(deliverer, receiver)).status == 201
        assert receiver.connections == 2
