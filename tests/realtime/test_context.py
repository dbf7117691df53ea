import pytest

from tests.realtime.peers import gateway


async def test_what_relays_share_cannot_be_changed_by_one_of_them() -> None:
    async with gateway("ws://127.0.0.1:9") as gw:
        with pytest.raises(AttributeError):
            gw.realtime.context.limits = None  # type: ignore[assignment,misc]
