"""The local stub: believes what is signed with the gateway's secret and nothing else, and counts what comes twice."""

import asyncio
import hmac
import json
from base64 import b64encode

import msgspec
import pytest

from tests.fanout.stores import NOW, Link, bare, only, unavailable
from voxgate_core import Event, ManualClock, MemoryKeyValue, VoxgateError
from voxgate_fanout.event import encode_event
from voxgate_fanout.signing import TOLERANCE, new_secret, secret_key, signed_headers
from voxgate_fanout.stub import KEEP_SECONDS, Received, Stub
from voxgate_fanout.targets import Secret, Target, rotate

EVENT = Event("evt_1", "/voxgate", "voice.turn.completed", NOW, "s1", {"text": "hello"})
BODY = encode_event(EVENT)


class World:
    """A stub, on two nodes, and what it takes to sign for it."""

    def __init__(self) -> None:
        self.clock = ManualClock(NOW)
        self.store = MemoryKeyValue(self.clock)
        self.target: Target = msgspec.structs.replace(bare("stub", "stub"), secrets=(Secret(new_secret()),))
        self.links = Link(self.store), Link(self.store)
        self.a, self.b = (Stub(link, self.clock, lambda: self.target) for link in self.links)

    def headers(self, body: bytes = BODY, event_id: str = "evt_1", secret: str | None = None) -> dict[str, str]:
        key = secret_key(secret or self.target.secrets[0].value)
        return signed_headers(event_id, body, [key], self.clock.now())


async def refused(code: str, stub: Stub, headers: dict[str, str], body: bytes = BODY) -> VoxgateError:
    with pytest.raises(VoxgateError) as caught:
        await stub.receive(headers, body)
    assert caught.value.code == code
    return caught.value


async def test_a_signed_event_is_taken_and_known_on_every_node() -> None:
    world = World()
    received = Received("evt_1", "voice.turn.completed", NOW, 1)
    assert await world.a.receive(world.headers(), BODY) == received
    assert await world.b.received("evt_1") == received


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
async def test_a_delivery_without_one_of_the_three_headers_is_not_believed(name: str) -> None:
    world = World()
    headers = world.headers()
    del headers[name]
    error = await refused("credential_invalid", world.a, headers)
    assert name in error.message
    assert len(world.store) == 0


async def test_a_delivery_signed_by_somebody_else_is_not_believed() -> None:
    world = World()
    await refused("credential_invalid", world.a, world.headers(secret=new_secret()))
    await refused("credential_invalid", world.a, world.headers(), BODY + b" ")
    await refused("credential_invalid", world.a, {**world.headers(), "webhook-id": "evt_2"})
    assert len(world.store) == 0


@pytest.mark.parametrize("seconds", [TOLERANCE + 1, -TOLERANCE - 1])
async def test_a_delivery_from_another_time_is_not_believed(seconds: float) -> None:
    world = World()
    headers = world.headers()
    world.clock.set_now(NOW + seconds)
    error = await refused("credential_invalid", world.a, headers)
    assert "timestamp" in error.message


async def test_after_a_rotation_both_secrets_hold_until_the_old_one_ends() -> None:
    world = World()
    old = world.target.secrets[0].value
    world.target = rotate(world.target, new_secret(), NOW, 86_400)
    assert (await world.a.receive(world.headers(secret=old), BODY)).deliveries == 1
    assert (await world.a.receive(world.headers(), BODY)).deliveries == 2
    world.clock.advance(86_400)
    await refused("credential_invalid", world.a, world.headers(secret=old))
    assert (await world.a.receive(world.headers(), BODY)).deliveries == 1


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b"\xff", b"null", json.dumps({"id": "evt_1", "type": "x"}).encode()]
)
async def test_a_signed_body_that_is_no_event_is_refused(body: bytes) -> None:
    world = World()
    await refused("bad_request", world.a, world.headers(body), body)
    assert len(world.store) == 0


async def test_the_id_that_is_signed_is_that_of_the_event() -> None:
    world = World()
    await refused("bad_request", world.a, world.headers(event_id="evt_2"))
    assert len(world.store) == 0


@pytest.mark.parametrize("event_id", ["a b", "é", "x" * 65, "*>", "a/b"])
async def test_an_id_that_no_event_has_is_refused(event_id: str) -> None:
    world = World()
    body = encode_event(Event(event_id, "/voxgate", "voice.turn", NOW))
    content = b"%b.%d.%b" % (event_id.encode(), int(NOW), body)
    digest = hmac.digest(secret_key(world.target.secrets[0].value), content, "sha256")
    signature = f"v1,{b64encode(digest).decode()}"
    headers = {"webhook-id": event_id, "webhook-timestamp": str(int(NOW)), "webhook-signature": signature}
    await refused("bad_request", world.a, headers, body)
    assert len(world.store) == 0


async def test_what_comes_again_is_counted_and_keeps_its_first_time() -> None:
    world = World()
    await world.a.receive(world.headers(), BODY)
    world.clock.advance(5)
    again = await world.b.receive(world.headers(), BODY)
    assert again == await world.a.received("evt_1") == Received("evt_1", "voice.turn.completed", NOW, 2)


async def test_the_same_event_at_once_on_two_nodes_is_counted_twice() -> None:
    world = World()
    both = asyncio.Barrier(2)

    async def meet(_method: str, _key: str) -> None:
        await both.wait()

    await world.a.receive(world.headers(), BODY)
    for link in world.links:
        link.before = only("compare_and_set", "", meet)
    results = await asyncio.gather(*(stub.receive(world.headers(), BODY) for stub in (world.a, world.b)))
    assert sorted(result.deliveries for result in results) == [2, 3]


async def test_an_event_is_forgotten_an_hour_after_it_came_last() -> None:
    world = World()
    assert KEEP_SECONDS == 3600
    await world.a.receive(world.headers(), BODY)
    world.clock.advance(KEEP_SECONDS - 1)
    await world.a.receive(world.headers(), BODY)
    world.clock.advance(KEEP_SECONDS - 1)
    assert (await world.a.received("evt_1")).deliveries == 2
    world.clock.advance(1)
    with pytest.raises(VoxgateError, match="not_found"):
        await world.a.received("evt_1")


async def test_a_record_that_expires_while_it_is_counted_begins_anew() -> None:
    world = World()
    await world.a.receive(world.headers(), BODY)

    async def expire(method: str, key: str) -> None:
        if method == "get":
            await world.store.delete(key)

    world.links[0].before = expire
    assert (await world.a.receive(world.headers(), BODY)).deliveries == 1


async def test_a_count_that_others_always_get_before_is_given_up_and_the_delivery_tried_again() -> None:
    world = World()
    await world.a.receive(world.headers(), BODY)

    async def outrun(method: str, _key: str) -> None:
        if method == "compare_and_set":
            await world.b.receive(world.headers(), BODY)

    world.links[0].before = outrun
    await refused("unavailable", world.a, world.headers())


async def test_a_stub_without_a_secret_believes_nobody() -> None:
    world = World()
    headers = world.headers()
    world.target = bare("stub", "stub")
    await refused("unavailable", world.a, headers)


async def test_a_store_that_is_down_is_said_to_be() -> None:
    world = World()
    world.links[0].before = unavailable
    await refused("unavailable", world.a, world.headers())
    with pytest.raises(VoxgateError, match="unavailable"):
        await world.a.received("evt_1")


async def test_nothing_of_the_secret_is_in_a_refusal() -> None:
    world = World()
    error = await refused("credential_invalid", world.a, {**world.headers(), "webhook-signature": "v1,AAAA"})
    assert world.target.secrets[0].value not in f"{error.message} {error.details} {error!r}"
