"""What the API shows of a row: every number, and nothing that is not known."""

from tests.gateway.store.heard import Heard, keep
from voxgate_core import ManualClock
from voxgate_gateway.store.conversations import Conversations
from voxgate_gateway.store.database import Database
from voxgate_gateway.store.modes import StoreMode


async def test_items_are_shown_by_their_kind(ready_sqlite: Database) -> None:
    heard = Heard()
    events = [heard.said("a@example.com", truncated=True), heard.called(), heard.turned()]
    await keep(ready_sqlite, events, StoreMode.REDACTED)
    read = await Conversations(ready_sqlite, ManualClock()).read("s-1", None, after=None, limit=10)
    assert read is not None
    assert list(read[1].found) == [
        {
            "kind": "transcript", "id": events[0].id, "at": 1000.0, "turn": 1, "role": "user", "text": "[email]",
            "redacted": True, "truncated": True,
        },
        {
            "kind": "tool", "id": events[1].id, "at": 1001.0, "callId": "c-1", "name": "look_up", "arguments": "{}",
            "redacted": False,
        },
        {
            "kind": "turn", "id": events[2].id, "at": 1002.0, "turn": 1, "responseId": "r-1", "status": "completed",
            "milliseconds": 80, "usage": {"inputTokens": 10, "outputTokens": 20, "totalTokens": 30},
        },
    ]  # fmt: skip


async def test_a_turn_without_usage_shows_none(ready_sqlite: Database) -> None:
    await keep(ready_sqlite, [Heard().event("voice.turn.completed", turn=1, responseId="r", status="cancelled")])
    read = await Conversations(ready_sqlite, ManualClock()).read("s-1", None, after=None, limit=10)
    assert read is not None
    assert "usage" not in read[1].found[0]
    assert "milliseconds" not in read[1].found[0]
