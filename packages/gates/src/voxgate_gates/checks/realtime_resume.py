"""The Realtime gate, third part: a client whose connection breaks comes back to its session, and nobody else does."""

import json
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from voxgate_gates.channel import Channel
from voxgate_gates.check import Need, Severity, Suite
from voxgate_gates.checks.realtime import admitted
from voxgate_gates.condition import ABSENT
from voxgate_gates.probe import Probe, Unjudged

__all__ = ["NO_EVENT", "suite"]

suite = Suite("realtime")

NO_EVENT: Final = "event_that_never_was"

UPDATE: Final[Mapping[str, object]] = {"type": "session.update", "session": {"type": "realtime"}}

NOT_RESUMED: Final = '[BACK].resumed == false && [BACK].sessionId matches ".+" && [BACK].sessionId != [SESSION]'


@dataclass(frozen=True, slots=True)
class _Broken:
    """A session whose connection broke: its id, the last event its client has, and the one it has missed.

    ``mark`` is what the session was told and no other was; the missed event repeats it where the model server does so.
    """

    session_id: str
    last_event_id: str
    missed_event_id: str
    mark: str


async def _break_off(probe: Probe, subject: str) -> _Broken:
    """Open a session, have one message of each side pass, and cut the connection without a close frame."""
    token = await probe.mint(sub=subject)
    async with probe.socket(probe.target.routes.native, token=token.value, origin=probe.target.origin) as channel:
        opened = await admitted(channel)
        last = await channel.until("session.created")
        mark = f"gate-{secrets.token_hex(8)}"
        await channel.send({"type": "session.update", "session": {"type": "realtime", "instructions": mark}})
        missed = await channel.until("session.updated")
        channel.cut()
    if not last or not missed or not (last.get("event_id") and missed.get("event_id")):
        raise Unjudged("the model server did not confirm a setting by events with an event_id")
    return _Broken(str(opened.get("sessionId")), str(last["event_id"]), str(missed["event_id"]), mark)


@asynccontextmanager
async def _come_back(probe: Probe, broken: _Broken, subject: str, last_event_id: str) -> AsyncIterator[Channel]:
    token = await probe.mint(sub=subject)
    path = probe.target.routes.native
    query = urlencode({"resume": broken.session_id, "last_event_id": last_event_id})
    joint = "&" if "?" in path else "?"
    async with probe.socket(f"{path}{joint}{query}", token=token.value, origin=probe.target.origin) as channel:
        yield channel


@suite.check(
    "resumes-whole",
    promise="A client whose connection broke gets its session back, with everything that it missed.",
    condition=(
        "[BACK].resumed == true && [BACK].sessionId == [SESSION] && [BACK].received == 1 && [NEXT] == [MISSED] && "
        "[GOES_ON] == true"
    ),
    advice=(
        "Keep the session and its latest events for a while, and give them to who comes back with its id and a token of the "
        "same subject. Behind several processes, lead that client to the one that holds its session."
    ),
    needs=[Need.KEY, Need.ORIGIN],
    seconds=15.0,
)
async def resumes_whole(probe: Probe) -> Mapping[str, object]:
    probe.reproduce_whole()
    subject = f"gate-{secrets.token_hex(4)}"
    broken = await _break_off(probe, subject)
    async with _come_back(probe, broken, subject, broken.last_event_id) as channel:
        back = await admitted(channel)
        following = await channel.receive() or {}
        await channel.send(UPDATE)
        goes_on = await channel.until("session.updated")
        return {
            **channel.facts(),
            "BACK": back,
            "SESSION": broken.session_id,
            "MISSED": broken.missed_event_id,
            "NEXT": following.get("event_id", ABSENT),
            "GOES_ON": goes_on is not None,
        }


@suite.check(
    "resume-never-partial",
    promise="A client whose last event is not known gets a new session, and is told so: there is no silent hole.",
    condition=NOT_RESUMED,
    advice="Answer `resumed: false` and open a new session wherever what was missed can't be given back whole.",
    needs=[Need.KEY, Need.ORIGIN],
)
async def resume_never_partial(probe: Probe) -> Mapping[str, object]:
    probe.reproduce_whole()
    subject = f"gate-{secrets.token_hex(4)}"
    broken = await _break_off(probe, subject)
    async with _come_back(probe, broken, subject, NO_EVENT) as channel:
        return {"BACK": await admitted(channel), "SESSION": broken.session_id}


@suite.check(
    "resume-never-others",
    promise="A session is given back to its own subject alone, whoever else knows its id.",
    condition=f"{NOT_RESUMED} && [OVERHEARD] == false",
    advice="Compare the subject and the origin of the token with those of the session before resuming it.",
    severity=Severity.CRITICAL,
    needs=[Need.KEY, Need.ORIGIN],
)
async def resume_never_others(probe: Probe) -> Mapping[str, object]:
    probe.reproduce_whole()
    broken = await _break_off(probe, f"gate-{secrets.token_hex(4)}")
    async with _come_back(probe, broken, f"gate-{secrets.token_hex(4)}", broken.last_event_id) as channel:
        back = await admitted(channel)
        await channel.send(UPDATE)
        # In a session of its own this is the answer; else what the other client has missed comes before it.
        updated = await channel.until("session.updated")
        return {"BACK": back, "SESSION": broken.session_id, "OVERHEARD": broken.mark in json.dumps(updated)}
