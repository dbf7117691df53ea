import json

from tests.engine.wire import judge
from voxgate_engine import events
from voxgate_engine.faults import Fault
from voxgate_engine.items import Item, Part
from voxgate_engine.session import default_session

PLACE = events.Place("resp_1", "item_1")
ITEM = Item("item_1", "message", role="user", parts=[Part("input_text", text="hi")])
RESPONSE: events.Event = {"object": "realtime.response", "id": "resp_1"}

EVERY = [
    events.argument_delta(PLACE, "call_1", "{"),
    events.arguments_done(PLACE, "call_1", "f", "{}"),
    events.audio_delta(PLACE, "AAAA"),
    events.audio_done(PLACE),
    events.cleared(),
    events.committed("item_1", None),
    events.error(Fault("c", "m"), None),
    events.item_added(ITEM, None),
    events.item_deleted("item_1"),
    events.item_done(ITEM, "item_0"),
    events.item_retrieved(ITEM),
    events.item_truncated("item_1", 0, 10),
    events.output_item_added(PLACE, ITEM),
    events.output_item_done(PLACE, ITEM),
    events.part_added(PLACE, {"type": "audio", "transcript": ""}),
    events.part_done(PLACE, {"type": "text", "text": ""}),
    events.rate_limits([("requests", 2, 1, 0.5)]),
    events.response_created(RESPONSE),
    events.response_done(RESPONSE),
    events.session_created(default_session("m")),
    events.session_updated(default_session("m")),
    events.speech_started("item_1", 0),
    events.speech_stopped("item_1", 10),
    events.text_delta(PLACE, "a"),
    events.text_done(PLACE, "a"),
    events.timeout_triggered("item_1", 0, 10),
    events.transcript_delta(PLACE, "a"),
    events.transcript_done(PLACE, "a"),
    events.transcription_completed("item_1", "hi", text=1, audio=2),
    events.transcription_delta("item_1", "hi"),
]


def test_every_builder_makes_an_event_that_the_official_client_knows() -> None:
    kinds = {judge(json.dumps({"event_id": "event_1", **event}))["type"] for event in EVERY}
    assert len(kinds) == len(EVERY)


def test_no_builder_is_left_out() -> None:
    builders = {name for name in events.__all__ if name not in ("Event", "Place")}
    assert len(builders) == len(EVERY)
