"""The Build gate's smoke of fan-out: an event that is posted arrives at the local stub, signed, and once.

The stub is the target that a gateway has while no PHP backend may have its events. It is reached by a real signed HTTP
request, so that accepting, storing, delivering and verifying all have to work for an event to arrive.
"""

import hmac
import secrets
import time
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from json import dumps
from typing import Final
from urllib.parse import quote

from voxgate_gates.check import Need, Severity, Suite
from voxgate_gates.checks.security import BAD_ORIGIN, REFUSED_ORIGIN, UNAUTHENTICATED
from voxgate_gates.condition import ABSENT
from voxgate_gates.envelope import envelope_faults
from voxgate_gates.probe import Answer, Probe
from voxgate_gates.waiting import ask_until

__all__ = ["suite"]

suite = Suite("build")

LARGEST_BODY: Final = 256 * 1024
"""Bytes of a posted event, at most."""

CHECK_SECONDS: Final = 25.0
"""For the checks that wait for an arrival, twice at most."""

TYPE: Final = "gate.smoke"
"""The type of every event posted here: no `voice.…`, so that targets which subscribe to those are left alone."""

NOT_AN_EVENT: Final[Mapping[str, object]] = {}
"""Posted where a credential or an origin must be refused: should it not be, no event gets through all the same."""

BAD_BODIES: Final[Mapping[str, bytes]] = {
    "not JSON": b'{"type": ',
    "nothing": b"",
    "a list": b"[]",
    "no type": b'{"data": {}}',
    "no data": b'{"type": "gate.smoke"}',
    "data that is no object": b'{"type": "gate.smoke", "data": "text"}',
    "two types": b'{"type": "gate.smoke", "type": "gate.other", "data": {}}',
}

JSON: Final = {"Content-Type": "application/json"}

IN_ENVELOPE: Final = "[ENVELOPE_FAULTS] == []"

ARRIVED: Final = (
    f'[STATUS] == 200 && {IN_ENVELOPE} && [BODY].data.eventId == [EVENT_ID] && [BODY].data.type == "{TYPE}" && '
    '[BODY].data.signature == "valid" && [MARKER] == 200 && [BODY].data.deliveries == 1'
)
"""What the stub says of an event, after a later one, the marker, has arrived too."""


@dataclass(frozen=True, slots=True)
class _Posted:
    """One POST and when it began, in monotonic seconds."""

    answer: Answer
    began: float

    @property
    def data(self) -> object:
        """The answer's ``data``, or ABSENT where the event was not accepted."""
        body = self.answer.body
        if self.answer.status >= 300 or not isinstance(body, Mapping):
            return ABSENT
        return body.get("data", ABSENT)

    def member(self, name: str) -> object:
        data = self.data
        return data.get(name, ABSENT) if isinstance(data, Mapping) else ABSENT


@suite.check(
    "fanout-accepted",
    promise="A posted event is accepted in the envelope, with its id and the targets it goes to.",
    condition=(
        f'[STATUS] >= 200 && [STATUS] <= 202 && {IN_ENVELOPE} && [BODY].data.eventId matches "[A-Za-z0-9_-]{{1,64}}" && '
        '[BODY].data.targets.0 matches ".+"'
    ),
    advice="Read the answer first; when no target is named, add one, or leave the stub on (VOXGATE_FANOUT_STUB).",
    safe_on_production=False,
    needs=[Need.KEY, Need.ORIGIN],
)
async def accepted(probe: Probe) -> Mapping[str, object]:
    return (await _post(probe, _event())).answer.facts()


@suite.check(
    "fanout-delivered",
    promise="A posted event arrives: the stub has it within seconds, with a valid signature, and once.",
    condition=f"[STUB] == true && {ARRIVED} && [RECEIVED_AFTER] <= [ARRIVAL_BUDGET]",
    advice=(
        "Look for the event's id in the gateway's log; the stub must be on (VOXGATE_FANOUT_STUB) and no PHP backend "
        "allowed (ALLOW_REMOTE_PHP_FANOUT)."
    ),
    safe_on_production=False,
    needs=[Need.KEY, Need.ORIGIN],
    seconds=CHECK_SECONDS,
)
async def delivered(probe: Probe) -> Mapping[str, object]:
    probe.reproduce_whole()
    posted = await _post(probe, _event())
    facts = await _receipt(probe, posted)
    after = facts["RECEIVED_AFTER"]
    if isinstance(after, float):
        probe.figure("event received", f"{after * 1000:.0f} ms after its POST began, at most")
    return {**facts, "STUB": posted.member("stub"), "ARRIVAL_BUDGET": probe.target.budgets.fanout_seconds}


@suite.check(
    "fanout-idempotent",
    promise="The same Idempotency-Key and body again is the same event: the first answer is given, nothing sent twice.",
    condition=(
        '[SECOND] == [FIRST] && [SECOND_DATA] == [FIRST_DATA] && [FIRST_DATA].eventId matches ".+" && '
        f'[REPLAYED] == "true" && {ARRIVED}'
    ),
    advice=(
        "Remember the answer under the caller and the key before the event is stored, and look there first; when the "
        "stub has nothing at all, mend fanout-delivered."
    ),
    safe_on_production=False,
    needs=[Need.KEY, Need.ORIGIN],
    seconds=CHECK_SECONDS,
)
async def idempotent(probe: Probe) -> Mapping[str, object]:
    probe.reproduce_whole()
    event, key = _event(), _idempotency_key()
    first = await _post(probe, event, headers=key)
    second = await _post(probe, event, headers=key)
    return {
        **await _receipt(probe, first),
        "FIRST": first.answer.status,
        "FIRST_DATA": first.data,
        "SECOND": second.answer.status,
        "SECOND_DATA": second.data,
        "REPLAYED": second.answer.headers.get("idempotency-replayed", ABSENT),
    }


@suite.check(
    "fanout-key-reused-409",
    promise="An Idempotency-Key that comes again with another body is refused 409: no event is lost unnoticed.",
    condition=f'[FIRST] >= 200 && [FIRST] <= 202 && [STATUS] == 409 && [BODY].error.code == "conflict" && {IN_ENVELOPE}',
    advice="Keep a digest of the body beside the key, and compare it before the first answer is given again.",
    safe_on_production=False,
    needs=[Need.KEY, Need.ORIGIN],
)
async def key_reused(probe: Probe) -> Mapping[str, object]:
    probe.reproduce_whole()
    key = _idempotency_key()
    first = await _post(probe, _event(), headers=key, setup=True)
    second = await _post(probe, _event(), headers=key)
    return {**second.answer.facts(), "FIRST": first.answer.status}


@suite.check(
    "fanout-forgery-401",
    promise="The stub believes its gateway alone: what another secret has signed is refused 401, and not counted.",
    condition=f"[STATUS] == 401 && {IN_ENVELOPE} && [FORGED] == 404",
    advice=(
        "Verify webhook-signature over id, timestamp and body in the stub before anything is noted; 404 is the answer of "
        "a stub that is off (VOXGATE_FANOUT_STUB)."
    ),
    safe_on_production=False,
    needs=[Need.KEY],
)
async def forgery(probe: Probe) -> Mapping[str, object]:
    probe.reproduce_whole()
    event_id = f"gate_{secrets.token_hex(8)}"
    content, headers = _forged(event_id)
    answer = await probe.http("POST", probe.target.routes.fanout_stub, content=content, headers=headers)
    return {**answer.facts(), "FORGED": (await _look(probe, event_id)).status}


@suite.check(
    "fanout-unauthenticated-401",
    promise="Without a credential nobody posts an event, and the answer says which credential is wanted.",
    condition=UNAUTHENTICATED,
    advice="Put the fan-out route behind the same authenticators as the token route, and let them judge before the body.",
    severity=Severity.CRITICAL,
    needs=[Need.ORIGIN],
)
async def unauthenticated(probe: Probe) -> Mapping[str, object]:
    target = probe.target
    return (await probe.http("POST", target.routes.fanout, origin=target.origin, json=NOT_AN_EVENT)).facts()


@suite.check(
    "fanout-bad-origin-403",
    promise="A page of an origin that is not allowed posts no event, even with a good key.",
    condition=REFUSED_ORIGIN,
    advice="Put the fan-out route behind the same origin allowlist as the token route, before it looks at the body.",
    severity=Severity.CRITICAL,
    needs=[Need.KEY],
)
async def bad_origin(probe: Probe) -> Mapping[str, object]:
    target = probe.target
    answer = await probe.http("POST", target.routes.fanout, origin=BAD_ORIGIN, bearer=target.key, json=NOT_AN_EVENT)
    return answer.facts()


@suite.check(
    "fanout-bad-body-400",
    promise="What is not an event gets 400 in the envelope: no target has to guess what was meant.",
    condition=f"[NOT_REFUSED] == [] && {IN_ENVELOPE}",
    advice="Read the body strictly before it is stored, and answer 400 for JSON that is no event, too.",
    safe_on_production=False,
    needs=[Need.KEY, Need.ORIGIN],
)
async def bad_body(probe: Probe) -> Mapping[str, object]:
    probe.reproduce_whole()
    not_refused, faults = [], []
    for name, content in BAD_BODIES.items():
        answer = await _send(probe, content)
        if answer.status != 400:
            not_refused.append(f"{name}: {answer.status}")
        elif found := envelope_faults(answer.status, answer.headers, answer.body):
            faults += [f"{fault} on {name}" for fault in found]
    return {"NOT_REFUSED": not_refused, "ENVELOPE_FAULTS": faults}


@suite.check(
    "fanout-too-large-413",
    promise="A body of more than 256 KiB gets 413 in the envelope, a byte above it included.",
    condition=f"[STATUS] == 413 && {IN_ENVELOPE}",
    advice="Bound the body by Content-Length and while reading, before anything parses it.",
    needs=[Need.KEY, Need.ORIGIN],
)
async def too_large(probe: Probe) -> Mapping[str, object]:
    # Blanks are no event: should the bound not hold, none gets through all the same.
    return (await _send(probe, b" " * (LARGEST_BODY + 1))).facts()


def _event() -> Mapping[str, object]:
    """An event unlike any other."""
    return {"type": TYPE, "subject": "gates", "data": {"nonce": secrets.token_hex(8)}}


def _idempotency_key() -> dict[str, str]:
    return {"Idempotency-Key": f"gate-{secrets.token_hex(16)}"}


async def _post(
    probe: Probe, event: Mapping[str, object], *, headers: Mapping[str, str] | None = None, setup: bool = False
) -> _Posted:
    target, began = probe.target, time.monotonic()
    answer = await probe.http(
        "POST", target.routes.fanout, origin=target.origin, bearer=target.key, headers=headers, json=event, setup=setup
    )
    return _Posted(answer, began)


async def _send(probe: Probe, content: bytes) -> Answer:
    target = probe.target
    return await probe.http(
        "POST", target.routes.fanout, origin=target.origin, bearer=target.key, content=content, headers=JSON
    )


async def _look(probe: Probe, event_id: str) -> Answer:
    """What the stub has received of one event: 404 while that is nothing."""
    target = probe.target
    stub = target.routes.fanout_stub
    path = f"{stub}/{quote(event_id, safe='')}" if stub else stub
    return await probe.http("GET", path, origin=target.origin, bearer=target.key, setup=True)


async def _arrival(probe: Probe, posted: _Posted) -> Answer | None:
    """The stub's word on a posted event once it is there, or when its time is over; ``None`` for one without an id."""
    event_id = posted.member("eventId")
    if not isinstance(event_id, str):
        return None
    # There is nothing to wait for where the gateway itself says that the stub gets nothing.
    budget = probe.target.budgets.fanout_seconds if posted.member("stub") is True else 0.0
    left = max(0.0, posted.began + budget - time.monotonic())
    return await ask_until(lambda: _look(probe, event_id), lambda answer: answer.status == 200, seconds=left)


async def _receipt(probe: Probe, posted: _Posted) -> dict[str, object]:
    """What ARRIVED asks about, and RECEIVED_AFTER: seconds from the POST until the stub was seen to have the event.

    The count is read after an event posted later has arrived: a second delivery has had its time by then.
    """
    event_id = posted.member("eventId")
    arrived = await _arrival(probe, posted)
    after = round(time.monotonic() - posted.began, 3)
    if arrived is None or arrived.status != 200 or not isinstance(event_id, str):
        seen = {"STATUS": ABSENT} if arrived is None else arrived.facts()
        return {**seen, "EVENT_ID": event_id, "RECEIVED_AFTER": ABSENT, "MARKER": ABSENT}
    marker = await _arrival(probe, await _post(probe, _event(), setup=True))
    facts = (await _look(probe, event_id)).facts()
    came = ABSENT if marker is None else marker.status
    return {**facts, "EVENT_ID": event_id, "RECEIVED_AFTER": after, "MARKER": came}


def _forged(event_id: str) -> tuple[bytes, dict[str, str]]:
    """A delivery as the gateway would make it, but for the secret (Standard Webhooks, scheme v1)."""
    now = datetime.now(UTC)
    cloud_event = {
        "specversion": "1.0",
        "id": event_id,
        "source": "/gates",
        "type": TYPE,
        "time": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "data": {},
    }
    content, timestamp = dumps(cloud_event).encode(), str(int(now.timestamp()))
    signed = b".".join((event_id.encode(), timestamp.encode(), content))
    signature = b64encode(hmac.digest(secrets.token_bytes(32), signed, "sha256")).decode()
    return content, {
        "Content-Type": "application/cloudevents+json",
        "webhook-id": event_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{signature}",
    }
