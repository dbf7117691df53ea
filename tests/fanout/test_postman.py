"""A postman signs each attempt with the secrets that are good now, and never raises."""

import asyncio

import msgspec
import pytest

from tests.fanout.bench import FAILED, a_target, an_item, url_of
from tests.fanout.fake_queue import DELIVERED, FakeSender
from tests.fanout.manual_loop import ManualLoop, settle
from voxgate_core import ManualClock
from voxgate_fanout.outcome import OutcomeKind
from voxgate_fanout.postman import Postman, Stats
from voxgate_fanout.signing import SignatureError, new_secret, verify
from voxgate_fanout.targets import ManagedBy, Secret, rotate

new_loop = ManualLoop

NOW = 1_700_000_000.0


class Office:
    def __init__(self) -> None:
        self.clock = ManualClock(NOW)
        self.sender = FakeSender()
        self.stats = Stats()
        self.postman = Postman(self.sender, self.clock, self.stats)


async def test_what_is_sent_is_the_event_as_it_was_stored_signed_now() -> None:
    office, target = Office(), a_target("crm")
    item = an_item(1, body=b'{"a":1}')
    assert await office.postman.attempt(target, item) is DELIVERED
    (delivery,) = office.sender.sent
    assert (delivery.url, delivery.body, delivery.timeout) == (url_of("crm"), b'{"a":1}', target.timeout)
    assert delivery.headers["Content-Type"] == "application/cloudevents+json"
    assert verify(delivery.headers, delivery.body, [target.secrets[0].value], NOW) == "evt_1"


async def test_a_retry_has_the_same_id_and_a_signature_of_its_own_time() -> None:
    office, target = Office(), a_target()
    await office.postman.attempt(target, an_item(1))
    office.clock.advance(300)
    await office.postman.attempt(target, an_item(1, attempt=2))
    first, second = office.sender.sent
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert float(second.headers["webhook-timestamp"]) - float(first.headers["webhook-timestamp"]) == 300


async def test_a_rotated_secret_signs_beside_the_old_one_until_that_expires() -> None:
    office, target = Office(), a_target()
    old, new = target.secrets[0].value, new_secret()
    await office.postman.attempt(target, an_item(1))
    target = rotate(target, new, NOW, 60.0)
    await office.postman.attempt(target, an_item(1))
    office.clock.advance(61)
    await office.postman.attempt(target, an_item(1))
    before, during, after = office.sender.sent
    assert verify(before.headers, before.body, [old], NOW)
    assert verify(during.headers, during.body, [old], NOW)
    assert verify(during.headers, during.body, [new], NOW)
    assert verify(after.headers, after.body, [new], NOW + 61)
    with pytest.raises(SignatureError):
        verify(after.headers, after.body, [old], NOW + 61)


@pytest.mark.parametrize(
    ("managed_by", "trusted"), [("api", False), ("file", False), ("environment", True), ("stub", True)]
)
async def test_only_an_address_that_the_operator_configured_is_trusted(managed_by: ManagedBy, trusted: bool) -> None:
    office = Office()
    target = msgspec.structs.replace(a_target(), managed_by=managed_by)
    await office.postman.attempt(target, an_item(1))
    assert office.sender.sent[0].trusted is trusted


async def test_attempts_and_deliveries_are_counted() -> None:
    office = Office()
    office.sender.next["evt_1"] += [FAILED, DELIVERED]
    for _ in range(2):
        await office.postman.attempt(a_target(), an_item(1))
    assert (office.stats.attempts, office.stats.delivered) == (2, 1)


@pytest.mark.parametrize("fault", ["sender", "id", "secret"])
async def test_what_can_not_be_sent_has_failed_and_raises_nothing(fault: str, caplog: pytest.LogCaptureFixture) -> None:
    office, target, item = Office(), a_target(), an_item(1)
    if fault == "sender":
        office.sender.always["evt_1"] = ZeroDivisionError(f"in {target.url}")
    elif fault == "id":
        item = an_item("not an id")
    else:
        target = msgspec.structs.replace(target, secrets=(Secret("whsec_?"),))
    outcome = await office.postman.attempt(target, item)
    assert (outcome.kind, outcome.reason) == (OutcomeKind.RETRY, "internal error")
    (record,) = caplog.records
    assert "not foreseen" in record.message
    assert target.url not in str(record.__dict__)


async def test_who_is_cancelled_is_cancelled() -> None:
    office = Office()
    office.sender.hang("evt_1")
    task = asyncio.create_task(office.postman.attempt(a_target(), an_item(1)))
    await settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_the_keys_of_a_removed_target_are_forgotten() -> None:
    office, targets = Office(), [a_target(f"t{n}") for n in range(5)]
    for target in targets:
        await office.postman.attempt(target, an_item(1))
        office.postman.forget(target.id)
    office.postman.forget("tgt_never_seen")
    assert office.postman._keys == {}
