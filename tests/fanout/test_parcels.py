"""A receipt is done when every parcel is settled, and not before; a turn is told once."""

import pytest

from tests.fanout.bench import FAILED, an_item
from tests.fanout.fake_queue import DELIVERED
from tests.fanout.manual_loop import ManualLoop
from voxgate_fanout.parcels import Receipt, Turn

new_loop = ManualLoop


async def test_a_receipt_is_done_when_the_last_parcel_is_settled() -> None:
    receipt = Receipt(3)
    for _ in range(2):
        receipt.settle()
        assert not receipt.settled().done()
    receipt.settle()
    await receipt.settled()


async def test_a_receipt_without_parcels_is_done_at_once() -> None:
    await Receipt(0).settled()


async def test_a_parcel_that_is_lost_on_its_way_fails_the_record_at_once() -> None:
    receipt = Receipt(2)
    receipt.fail(ValueError("no room anywhere"))
    receipt.settle()
    receipt.settle()
    with pytest.raises(ValueError, match="no room"):
        await receipt.settled()


async def test_what_happens_after_its_holder_is_gone_changes_nothing() -> None:
    receipt = Receipt(1)
    receipt.settled().cancel()
    receipt.settle()
    receipt.fail(ValueError())
    assert receipt.settled().cancelled()


@pytest.mark.parametrize("outcome", [DELIVERED, FAILED, None])
async def test_a_turn_is_told_what_came_of_it_once(outcome: object) -> None:
    turn = Turn(an_item(1))
    turn.tell(outcome)  # type: ignore[arg-type]
    turn.tell(DELIVERED)
    turn.fail(ValueError())
    assert await turn.outcome is outcome


async def test_a_turn_that_could_not_be_attempted_raises_why() -> None:
    turn = Turn(an_item(1))
    turn.fail(ValueError("not signed"))
    turn.tell(DELIVERED)
    with pytest.raises(ValueError, match="not signed"):
        await turn.outcome
