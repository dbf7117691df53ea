"""The Realtime gate, second half: a session that speaks, and messages no session may hold."""

import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

from voxgate_gates.channel import Channel
from voxgate_gates.check import Need, Severity, Suite
from voxgate_gates.checks.realtime import ANNOUNCED, REASON, admitted
from voxgate_gates.probe import Probe
from voxgate_gates.speech import Clip, load_clip, speak, turn_facts

__all__ = ["suite"]

suite = Suite("realtime")

OVERSIZE: Final = 16 * 1024 * 1024 + 1024
"""Bytes of a message above every append the protocol allows (15 MiB)."""

PAUSE_SECONDS: Final = 0.7
"""Silence after speech: above the 500 ms that server VAD waits for."""

PATIENCE_SECONDS: Final = 1.5
"""More silence, sent only while the end of speech is not heard yet; a microphone does not stop either."""

RESPONSE_SECONDS: Final = 12.0

SPOKEN: Final = ("response.created", "response.output_audio.delta", "response.done")
TRANSCRIBED: Final = "response.output_audio_transcript.delta"
BY_VAD: Final = ("input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped", *SPOKEN)
BY_HAND: Final = ("input_audio_buffer.committed", *SPOKEN)

TURN: Final = (
    '[MISSING] == [] && [IN_ORDER] == true && [RESPONSE].status == "completed" && [AUDIO_BYTES] > 0 && '
    '[TRANSCRIPT] matches "(?s).+" && [FIRST_AUDIO_MS] >= 0 && [FIRST_AUDIO_MS] <= [FIRST_AUDIO_BUDGET_MS]'
)

SERVER_VAD: Final[Mapping[str, object]] = {
    "type": "server_vad",
    "threshold": 0.5,
    "prefix_padding_ms": 300,
    "silence_duration_ms": 500,
    "create_response": True,
}


@asynccontextmanager
async def _session(probe: Probe) -> AsyncIterator[Channel]:
    token = await probe.mint()
    async with probe.socket(probe.target.routes.native, token=token.value, origin=probe.target.origin) as channel:
        await admitted(channel)
        yield channel


async def _configure(channel: Channel, turn_detection: Mapping[str, object] | None) -> None:
    audio_input = {"format": {"type": "audio/pcm", "rate": 24_000}, "turn_detection": turn_detection}
    session = {"type": "realtime", "output_modalities": ["audio"], "audio": {"input": audio_input}}
    await channel.send({"type": "session.update", "session": session})
    await channel.until("session.updated")


def _judge(probe: Probe, channel: Channel, expected: tuple[str, ...], ended: float) -> Mapping[str, object]:
    facts = turn_facts(channel.events, expected, ended)
    facts["MISSING"] = [*_texts(facts["MISSING"]), *([] if TRANSCRIBED in channel.types else [TRANSCRIBED])]
    if "FIRST_AUDIO_MS" in facts:
        probe.figure("first audio", f"{facts['FIRST_AUDIO_MS']} ms after the end of speech")
    return {**channel.facts(), **facts, "FIRST_AUDIO_BUDGET_MS": probe.target.budgets.first_audio_ms}


def _texts(value: object) -> list[object]:
    return list(value) if isinstance(value, list) else []


@suite.check(
    "turn-by-vad",
    promise="A person speaks, stops, and is answered in speech: the gateway relays a whole turn found by server VAD.",
    condition=TURN,
    advice="Compare the missing events with the gateway's log for this trace id; speech_started comes from the upstream.",
    safe_on_production=False,
    needs=[Need.KEY, Need.ORIGIN],
    slow=True,
    seconds=25.0,
)
async def turn_by_vad(probe: Probe) -> Mapping[str, object]:
    probe.reproduce_whole()
    async with _session(probe) as channel:
        await _configure(channel, SERVER_VAD)
        ended = await speak(channel, load_clip())
        await speak(channel, Clip.silence(PAUSE_SECONDS))
        await speak(channel, Clip.silence(PATIENCE_SECONDS), stop_on="input_audio_buffer.speech_stopped")
        heard = "input_audio_buffer.speech_stopped" in channel.types
        if heard and "response.done" not in channel.types:
            await channel.until("response.done", seconds=RESPONSE_SECONDS)
        return _judge(probe, channel, BY_VAD, ended)


@suite.check(
    "turn-by-push-to-talk",
    promise="A person holds a button, speaks, lets go, and is answered in speech, without VAD.",
    condition=TURN,
    advice="With turn_detection null the client commits and asks for the response; relay both, and add neither.",
    safe_on_production=False,
    needs=[Need.KEY, Need.ORIGIN],
    slow=True,
    seconds=25.0,
)
async def turn_by_push_to_talk(probe: Probe) -> Mapping[str, object]:
    probe.reproduce_whole()
    async with _session(probe) as channel:
        await _configure(channel, None)
        await speak(channel, load_clip())
        ended = time.monotonic()
        await channel.send({"type": "input_audio_buffer.commit"})
        await channel.send({"type": "response.create"})
        await channel.until("response.done", seconds=RESPONSE_SECONDS)
        return _judge(probe, channel, BY_HAND, ended)


@suite.check(
    "openai-path-silent",
    promise="On the OpenAI path nothing of ours is said: the first event is the model server's `session.created`.",
    condition='[STATUS] == 101 && [FIRST].type == "session.created" && [ANNOUNCED] == false',
    advice="Send `auth_success` on the native path only; OpenAI's agents client takes an unknown event for an error.",
    needs=[Need.KEY, Need.ORIGIN],
)
async def openai_path_silent(probe: Probe) -> Mapping[str, object]:
    token = await probe.mint()
    async with probe.socket(probe.target.routes.openai, token=token.value, origin=probe.target.origin) as channel:
        await channel.until("session.created")
        return {**channel.facts(), "ANNOUNCED": ANNOUNCED in channel.types}


@suite.check(
    "invalid-json-1007",
    promise="Text that is not JSON ends the session 1007.",
    condition=f"[CLOSE_CODE] == 1007 && {REASON}",
    advice="Decode every client message before relaying it, and close 1007 when that fails.",
    needs=[Need.KEY, Need.ORIGIN],
)
async def invalid_json(probe: Probe) -> Mapping[str, object]:
    async with _session(probe) as channel:
        await channel.send('{"type": "session.update", "session": ')
        await channel.closed()
        return channel.facts()


@suite.check(
    "binary-1003",
    promise="A binary message, which the protocol has none of, ends the session 1003.",
    condition=f"[CLOSE_CODE] == 1003 && {REASON}",
    advice="Refuse binary frames by their opcode; RFC 6455 names 1003 for data a peer can't accept.",
    severity=Severity.MINOR,
    needs=[Need.KEY, Need.ORIGIN],
)
async def binary(probe: Probe) -> Mapping[str, object]:
    async with _session(probe) as channel:
        await channel.send(b'{"type":"input_audio_buffer.commit"}')
        await channel.closed()
        return channel.facts()


@suite.check(
    "oversize-1009",
    promise="A message larger than any append may be ends the session 1009, and the close frame arrives.",
    condition=f"[CLOSE_CODE] == 1009 && {REASON}",
    advice="Bound the joined message while it arrives, send the close frame, and read on for a moment before hanging up.",
    safe_on_production=False,
    needs=[Need.KEY, Need.ORIGIN],
)
async def oversize(probe: Probe) -> Mapping[str, object]:
    frame = json.dumps({"type": "input_audio_buffer.append", "audio": ""})
    padding = "A" * (OVERSIZE - len(frame))
    async with _session(probe) as channel:
        await channel.send(frame[:-2] + padding + frame[-2:])
        await channel.closed()
        return channel.facts()
