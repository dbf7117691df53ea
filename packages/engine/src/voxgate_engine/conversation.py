"""One realtime session as a state machine: client events and a time in, server events and a due time out.

The rules. The floor says who is speaking, and :data:`TRANSITIONS` is the whole of what may follow what; a cue
that the table does not list for the present floor is not possible there. A client's event is either done, or
answered by one ``error`` event and has changed nothing. Responses out of band do not take the floor. Nothing
here reads a clock, waits, or sends: the shell asks :attr:`Conversation.due` when to call :meth:`advance`.
"""

import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from voxgate_engine import events, protocol
from voxgate_engine.events import Event
from voxgate_engine.faults import Fault
from voxgate_engine.generation import Generation
from voxgate_engine.input_buffer import InputBuffer, codec_of, vad_for
from voxgate_engine.item_requests import create_item, delete_item, retrieve_item, truncate_item
from voxgate_engine.items import Item, ItemStore, Part
from voxgate_engine.limits import MAX_EVENTS_PER_STEP, MAX_OUT_OF_BAND
from voxgate_engine.planning import Planner, refuse_voice_change
from voxgate_engine.session import DEFAULT_MODEL, ServerVad, apply_patch, default_session
from voxgate_engine.settings import EngineSettings
from voxgate_engine.transcribing import Transcriber
from voxgate_engine.usage import rate_limit_rows
from voxgate_engine.vad import EnergyVad, SpeechStarted
from voxgate_engine.voices import Script

__all__ = ["TRANSITIONS", "Closing", "Conversation", "Cue", "Floor"]


class Floor(StrEnum):
    """Who is speaking."""

    LISTENING = "listening"  # nobody
    HEARING = "hearing"  # the user, as turn detection has it
    ANSWERING = "answering"  # the model
    OVERLAPPING = "overlapping"  # both
    CLOSED = "closed"  # the session is over


class Cue(StrEnum):
    """What moves the floor."""

    SPEECH_STARTED = "speech_started"
    SPEECH_ENDED = "speech_ended"
    RESPONSE_STARTED = "response_started"
    RESPONSE_ENDED = "response_ended"
    CLOSE = "close"


TRANSITIONS: Mapping[tuple[Floor, Cue], Floor] = MappingProxyType(
    {
        (Floor.LISTENING, Cue.SPEECH_STARTED): Floor.HEARING,
        (Floor.LISTENING, Cue.RESPONSE_STARTED): Floor.ANSWERING,
        (Floor.LISTENING, Cue.CLOSE): Floor.CLOSED,
        (Floor.HEARING, Cue.SPEECH_ENDED): Floor.LISTENING,
        (Floor.HEARING, Cue.RESPONSE_STARTED): Floor.OVERLAPPING,
        (Floor.HEARING, Cue.CLOSE): Floor.CLOSED,
        (Floor.ANSWERING, Cue.SPEECH_STARTED): Floor.OVERLAPPING,
        (Floor.ANSWERING, Cue.RESPONSE_ENDED): Floor.LISTENING,
        (Floor.ANSWERING, Cue.CLOSE): Floor.CLOSED,
        (Floor.OVERLAPPING, Cue.SPEECH_ENDED): Floor.ANSWERING,
        (Floor.OVERLAPPING, Cue.RESPONSE_ENDED): Floor.HEARING,
        (Floor.OVERLAPPING, Cue.CLOSE): Floor.CLOSED,
    }
)

BETA_CLOSE_CODE = 4000
EXPIRED_CLOSE_CODE = 1001


@dataclass(frozen=True, slots=True)
class Closing:
    """How the session wants its connection closed: a WebSocket close code and a reason."""

    code: int
    reason: str


class Conversation:
    """One session. Times are seconds of any steady clock; returned events are JSON-ready dictionaries.

    No method raises for anything a client sends. After :attr:`closing` is set, nothing more comes.
    """

    def __init__(
        self,
        settings: EngineSettings,
        *,
        model: str = DEFAULT_MODEL,
        new_id: Callable[[str], str] = lambda prefix: f"{prefix}_{secrets.token_hex(10)}",
    ) -> None:
        self.floor = Floor.LISTENING
        self.closing: Closing | None = None
        self.items = ItemStore()
        self.session = default_session(model)
        self._settings = settings
        self._new_id = new_id
        self._planner = Planner(settings, new_id("conv"), new_id, Script(settings.replies))
        self._transcriber = Transcriber(settings.transcripts)
        self._buffer = InputBuffer(codec_of("audio/pcm"))
        self._vad = vad_for(self.session.audio.input.turn_detection, self._buffer)
        self._speech_item = ""
        self._response: Generation | None = None
        self._out_of_band: list[Generation] = []
        self._voice_locked = False
        self._idle_due: float | None = None
        self._expires = float("inf")
        self._requests = 0
        self._now = 0.0
        self._event_prefix = new_id("event")
        self._event_count = 0
        self._outbox: list[Event] = []

    @property
    def due(self) -> float | None:
        """When :meth:`advance` has something to do, at the latest; ``None`` when nothing will happen by itself."""
        if self.closing is not None:
            return None
        times = [generation.due for generation in self._generations()]
        times += [self._idle_due, self._transcriber.due, self._expires]
        return min(time for time in times if time is not None)

    def open(self, now: float) -> list[Event]:
        """The session begins."""
        self._expires = now + self._settings.session_seconds
        self._emit(events.session_created(self.session))
        return self._flush()

    def refuse_beta(self) -> list[Event]:
        """The client spoke the beta protocol in its handshake: one error, and the close the API sends."""
        fault = Fault("beta_api_shape_disabled", "The Realtime beta API is not served. Use the GA shape instead.")
        self._emit(events.error(fault, None))
        self._close(Closing(BETA_CLOSE_CODE, f"{fault.kind}.{fault.code}"))
        return self._flush()

    def receive(self, message: str | bytes, now: float) -> list[Event]:
        """One text message of the client."""
        self._now = now
        if self.closing is not None:
            return []
        event_id: str | None = None
        try:
            event = protocol.parse_client_event(message)
            event_id = event.event_id
            self._perform(event)
        except Fault as fault:
            self._emit(events.error(fault, event_id or fault.event_id))
        return self._flush()

    def refuse_binary(self) -> list[Event]:
        """A binary message came: the protocol has none."""
        self._emit(events.error(Fault("invalid_message_type", "Events are text messages; this one is binary."), None))
        return self._flush()

    def advance(self, now: float) -> list[Event]:
        """Do what is due by ``now``."""
        self._now = now
        if self.closing is not None:
            return []
        if now >= self._expires:
            self._expire()
            return self._flush()
        self._emit(*self._transcriber.advance(now, self.items))
        for generation in list(self._generations()):
            self._emit(*generation.advance(now, MAX_EVENTS_PER_STEP))
            self._voice_locked = self._voice_locked or generation.item.audio_ms > 0
            if generation.outcome is not None:
                self._finish(generation, *generation.outcome)
        if self._idle_due is not None and self._idle_due <= now:
            try:
                self._prompt_again()
            except Fault as fault:
                self._emit(events.error(fault, None))
        return self._flush()

    # what a client asks for

    def _perform(self, event: protocol.ClientEvent) -> None:
        match event:
            case protocol.Append():
                self._append(event.audio)
            case protocol.UpdateSession():
                self._update(event)
            case protocol.Commit():
                self._commit_buffer()
            case protocol.ClearInput():
                self._discard_buffer()
                self._emit(events.cleared())
            case protocol.ClearOutput():
                raise Fault("invalid_value", "'output_audio_buffer.clear' belongs to WebRTC and SIP.", param="type")
            case protocol.CreateItem():
                self._emit(*create_item(event, self.items, self._buffer.codec, self._new_id))
            case protocol.RetrieveItem():
                self._emit(*retrieve_item(event, self.items))
            case protocol.DeleteItem():
                self._emit(*delete_item(event, self.items))
            case protocol.TruncateItem():
                self._emit(*truncate_item(event, self.items))
            case protocol.CreateResponse():
                self._respond(event.response or protocol.ResponseParams())
            case protocol.CancelResponse():
                self._cancel(event.response_id)

    def _update(self, event: protocol.UpdateSession) -> None:
        before = self.session
        after = apply_patch(before, event.session)
        if after.model != before.model:
            raise Fault("cannot_update_model", "A session's model can't be changed.", param="session.model")
        if self._voice_locked and after.audio.output.voice != before.audio.output.voice:
            raise refuse_voice_change()
        self.session = after
        inputs = after.audio.input
        if inputs.format != before.audio.input.format:
            self._discard_buffer()
            self._buffer.recode(codec_of(str(inputs.format.__struct_config__.tag)))
        if inputs.turn_detection != before.audio.input.turn_detection or inputs.format != before.audio.input.format:
            self._end_speech()
            self._idle_due = None
            self._vad = vad_for(self.session.audio.input.turn_detection, self._buffer)
        self._emit(events.session_updated(after))

    # the user's turn

    def _append(self, audio: bytes) -> None:
        buffer, vad = self._buffer, self._vad
        if vad is not None and not buffer.has_room_for(len(audio)):
            self._make_room(vad)
        if not buffer.has_room_for(len(audio)):
            raise Fault("input_audio_buffer_full", "The input audio buffer is full: commit or clear it first.")
        fresh = buffer.append(audio)
        if vad is None:
            return
        for change in buffer.hear(vad, fresh):
            if isinstance(change, SpeechStarted):
                self._start_speech(change.sample)
            else:
                self._stop_speech(change.sample)
        if self.floor in (Floor.LISTENING, Floor.ANSWERING):
            buffer.drop_idle()

    def _make_room(self, vad: EnergyVad) -> None:
        """A turn without an end is ended; silence is forgotten."""
        if vad.speaking:
            self._stop_speech(self._buffer.end)
            vad.reset(self._buffer.end)
        self._buffer.drop_idle()

    def _start_speech(self, sample: int) -> None:
        self._buffer.drop_before(sample)
        self._speech_item = self._new_id("item")
        self._idle_due = None
        self._move(Cue.SPEECH_STARTED)
        self._emit(events.speech_started(self._speech_item, self._buffer.ms_at(sample)))
        detection = self.session.audio.input.turn_detection
        if self._response is not None and detection is not None and detection.interrupt_response:
            self._finish(self._response, "cancelled", "turn_detected")

    def _stop_speech(self, sample: int) -> None:
        self._move(Cue.SPEECH_ENDED)
        self._emit(events.speech_stopped(self._speech_item, self._buffer.ms_at(sample)))
        audio = self._buffer.take_until(sample)
        detection = self.session.audio.input.turn_detection
        try:
            self._commit(self._speech_item, audio)
            if detection is not None and detection.create_response:
                self._respond(protocol.ResponseParams())
        except Fault as fault:
            # The turn is over whatever becomes of it, and later audio of the same append must still be heard.
            self._emit(events.error(fault, None))

    def _end_speech(self) -> None:
        if self.floor in (Floor.HEARING, Floor.OVERLAPPING):
            self._move(Cue.SPEECH_ENDED)

    def _commit_buffer(self) -> None:
        self._buffer.require_commit()
        self.items.require_room()
        hearing = self.floor in (Floor.HEARING, Floor.OVERLAPPING)
        self._commit(self._speech_item if hearing else self._new_id("item"), self._discard_buffer())

    def _discard_buffer(self) -> bytes:
        audio = self._buffer.clear()
        self._end_speech()
        if self._vad is not None:
            self._vad.reset(self._buffer.end)
        return audio

    def _commit(self, item_id: str, audio: bytes) -> None:
        part = Part("input_audio", audio=bytearray(audio), audio_ms=self._buffer.codec.milliseconds(len(audio)))
        item = Item(item_id, "message", role="user", parts=[part])
        previous = self.items.add(item)
        self._emit(events.committed(item_id, previous))
        self._emit(events.item_added(item, previous))
        self._emit(events.item_done(item, previous))
        if self.session.audio.input.transcription is not None:
            self._transcriber.ask(item_id, part.audio_ms, self._now)

    def _prompt_again(self) -> None:
        """The user said nothing for the idle timeout: what was heard becomes an item, and the model speaks."""
        self._idle_due = None
        start, end = self._buffer.ms_at(self._buffer.start), self._buffer.ms_at(self._buffer.end)
        self.items.require_room()
        item_id = self._new_id("item")
        self._emit(events.timeout_triggered(item_id, start, end))
        self._commit(item_id, self._discard_buffer())
        self._respond(protocol.ResponseParams())

    # the model's turn

    def _generations(self) -> Iterator[Generation]:
        if self._response is not None:
            yield self._response
        yield from self._out_of_band

    def _respond(self, params: protocol.ResponseParams) -> None:
        if params.conversation == "none":
            if len(self._out_of_band) >= MAX_OUT_OF_BAND:
                raise Fault("too_many_responses", f"{MAX_OUT_OF_BAND} responses out of band are already running.")
        elif self._response is not None:
            raise Fault(
                "conversation_already_has_active_response",
                f"Conversation already has an active response in progress: {self._response.plan.response_id}. "
                "Wait until the response is finished before creating a new one.",
            )
        plan = self._planner.plan(self.session, self.items, params, voice_locked=self._voice_locked)
        generation = Generation(plan, self._now)
        self._requests += 1
        self._emit(events.response_created(generation.describe("in_progress")))
        self._emit(events.rate_limits(rate_limit_rows(self._requests, plan.given.total)))
        self._emit(events.output_item_added(generation.place, generation.item))
        if plan.conversation_id is None:
            self._out_of_band.append(generation)
        else:
            self._idle_due = None
            self._response = generation
            self._move(Cue.RESPONSE_STARTED)
            self._emit(events.item_added(generation.item, self.items.add(generation.item)))
        self._emit(*generation.begin())

    def _cancel(self, response_id: str | None) -> None:
        for generation in self._generations():
            matches = (
                generation is self._response if response_id is None else generation.plan.response_id == response_id
            )
            if matches:
                self._finish(generation, "cancelled", "client_cancelled")
                return
        raise Fault("response_cancel_not_active", "Cancellation failed: no active response found.", param="response_id")

    def _finish(self, generation: Generation, status: str, reason: str | None) -> None:
        self._emit(*generation.close(status))
        item = generation.item
        if generation is self._response:
            self._response = None
            self._move(Cue.RESPONSE_ENDED)
            self._planner.seen = generation.plan.given + generation.produced
            self._arm_idle_timer(generation)
            self.items.keep_audio_bound()
            if item.id in self.items:
                self._emit(events.item_done(item, self.items.previous_of(item.id)))
        else:
            self._out_of_band.remove(generation)
        self._emit(events.output_item_done(generation.place, item))
        self._emit(events.response_done(generation.describe(status, reason)))

    def _arm_idle_timer(self, generation: Generation) -> None:
        detection = self.session.audio.input.turn_detection
        if not isinstance(detection, ServerVad) or detection.idle_timeout_ms is None:
            return
        if self.floor is Floor.LISTENING:
            self._idle_due = max(self._now, generation.playback_ends) + detection.idle_timeout_ms / 1000

    def _expire(self) -> None:
        minutes = round(self._settings.session_seconds / 60)
        fault = Fault("session_expired", f"The session reached its longest duration of {minutes} minutes.")
        self._emit(events.error(fault, None))
        self._close(Closing(EXPIRED_CLOSE_CODE, "session expired"))

    def _close(self, closing: Closing) -> None:
        self._move(Cue.CLOSE)
        self.closing = closing
        self._response = None
        self._out_of_band.clear()

    def _move(self, cue: Cue) -> None:
        self.floor = TRANSITIONS[self.floor, cue]

    def _emit(self, *fresh: Event) -> None:
        for event in fresh:
            self._event_count += 1
            self._outbox.append({"event_id": f"{self._event_prefix}_{self._event_count}", **event})

    def _flush(self) -> list[Event]:
        sent, self._outbox = self._outbox, []
        return sent
