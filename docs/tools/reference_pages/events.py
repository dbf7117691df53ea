"""Every event that the gateway says or sends, each as the code makes it, with the same ids and times on every run."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib.resources import files
from typing import Final

from reference_pages.markdown import heading, table
from voxgate_core import Event, SessionClosed, VoxgateError
from voxgate_fanout import encode_event
from voxgate_fanout.notices import target_disabled
from voxgate_fanout.service import SOURCE, TEST_EVENT
from voxgate_fanout.targets import Target
from voxgate_observability.uptime.notifying import EVENT_TYPES
from voxgate_realtime.closing import error_event
from voxgate_realtime.handshake import auth_success
from voxgate_realtime.transcript import ResponseDone, ToolCall, Transcript, Usage
from voxgate_realtime.voice_events import VoiceEvents

__all__ = ["events", "fanned_out"]

NOW: Final = 1_795_600_000.0
"""The time of every sample, seconds since the epoch."""

SESSION: Final = "sess_5f3a"
ITEM, RESPONSE = "item_1", "resp_1"


class _Then:
    """A clock that stands still."""

    def now(self) -> float:
        return NOW

    def monotonic(self) -> float:
        return 0.0


def events() -> Iterator[str]:
    """What goes over the WebSocket beside the protocol's own, and what is fanned out."""
    yield from heading("Events")
    yield "## On the WebSocket"
    yield ""
    yield "A session speaks the model server's protocol, unchanged. The gateway adds these. On `/realtime` a client without a"
    yield "header of its own sends its credential first:"
    yield ""
    yield from _sample({"type": "auth", "token": "eyJ…"})
    yield ""
    yield "On `/realtime` the first event on a connection. `expiresAt` is seconds since the epoch, `received` how many"
    yield "messages of the client the session has had; [Coming back](../realtime.md#coming-back) says what `resumed` means."
    yield ""
    yield from _sample(json.loads(auth_success(SESSION, expires_at=int(NOW), resumed=False, received=0)))
    yield ""
    yield "Before every close for an [error](errors.md), in the protocol's own shape:"
    yield ""
    refused = json.loads(error_event(VoxgateError("token_expired")))
    yield from _sample({**refused, "event_id": "event_1"})
    yield ""
    yield "## Fanned out"
    yield ""
    yield "Deliveries are CloudEvents 1.0 in structured mode, signed by the Standard Webhooks specification;"
    yield "[Fan-out](../fanout.md) says how to verify one. A whole one looks like this:"
    yield ""
    samples = fanned_out()
    yield from _sample(json.loads(encode_event(replace(samples[0], id="evt_5c0f"))))
    yield ""
    yield "Of each type the members are shown that differ. Members of `data` that are not known are left out; `truncated` is"
    yield "there, and true, only where a text was cut."
    for event in samples:
        yield ""
        yield f"### {event.type}"
        yield ""
        yield from _sample({"type": event.type, "source": event.source, "subject": event.subject, "data": event.data})
    yield ""
    yield "### " + " and ".join(EVENT_TYPES.values())
    yield ""
    yield "Sent by `voxgate uptime watch` when what it watches goes down or comes back: `url`, `state` and `reason` in `data`."
    yield ""
    yield "## Posted"
    yield ""
    yield "What `POST /api/voice/fanout` takes, by its JSON Schema:"
    yield ""
    schema = json.loads(files("voxgate_fanout").joinpath("schemas", "event.json").read_bytes())
    required = schema["required"]
    rows = (
        (f"`{name}`", "yes" if name in required else "no", _wanted(each)) for name, each in schema["properties"].items()
    )
    yield from table(("member", "required", "what it is"), rows)


def fanned_out() -> list[Event]:
    """A sample of each event of the relay and of fan-out itself."""
    voice = VoiceEvents("/voxgate", _Then(), session_id=SESSION, subject="ada")
    usage = Usage(input_tokens=42, output_tokens=17, total_tokens=59)
    text = "Your order is on its way."
    crm = Target(id="tgt_1", name="crm", url="https://crm.example.com/events", secrets=(), created_at=NOW)
    return [
        voice.started(origin="https://voice.example.com", dialect="native", model="gpt-realtime-2.1"),
        voice.transcript(Transcript("assistant", ITEM, text, False, RESPONSE), turn=1),
        voice.tool(ToolCall("call_1", "find_order", '{"number": 7}', False)),
        voice.turn(ResponseDone(RESPONSE, "completed", text, False, usage), turn=1, waited=0.48),
        voice.ended(
            SessionClosed(SESSION, "ada", 1000, "the session ended", 12.5, 90, 81_920, 64, 65_536), turns=1, usage=usage
        ),
        target_disabled(crm, "it answered 410: the receiver is gone", NOW),
        Event("evt_5c0f", SOURCE, TEST_EVENT, NOW, crm.name, {"target": crm.name}),
    ]


def _wanted(member: Mapping[str, object]) -> str:
    also = member.get("allOf")
    told = [member, *(also if isinstance(also, list) else [])]
    return "; ".join(str(each["description"]) for each in told)


def _sample(document: Mapping[str, object]) -> Iterator[str]:
    yield "```json"
    yield from json.dumps(document, indent=2, ensure_ascii=False).splitlines()
    yield "```"
