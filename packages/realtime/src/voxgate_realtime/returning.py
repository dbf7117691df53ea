"""Gives a client its session back, on the connection it came back on.

The session stays the relay it was: it keeps its upstream, its counts and its place in the register. The relay that was
made for the new connection gives its client away, and takes the old connection in exchange, if there still is one, to
close it.
"""

from collections.abc import Sequence
from enum import Enum
from typing import TYPE_CHECKING

from voxgate_core import Grant, ResumeOutcome
from voxgate_realtime.carrying import Far
from voxgate_realtime.closing import ABNORMAL
from voxgate_realtime.frame_protocol import sender
from voxgate_realtime.handshake import Resume, auth_success
from voxgate_realtime.replay import keeping
from voxgate_realtime.session import State, Trigger
from voxgate_realtime.sides import TEXT

if TYPE_CHECKING:
    from voxgate_realtime.relay import Relay

__all__ = ["Here", "come_back"]


class Here(Enum):
    """The session was here, and goes on over the new connection."""

    RESUMED = "resumed"


async def come_back(newcomer: "Relay", asked: Resume, grant: Grant) -> Here | Far | None:
    """Give the session that is asked for to the connection of ``newcomer``, whose token holds ``grant``.

    ``Here.RESUMED`` when that was done: there is such a session, it is this client's, and nothing of what it missed is
    missing. Otherwise where the session is, if another process holds it.
    """
    outcome, of = _resume_here(newcomer, asked, grant)
    if outcome is ResumeOutcome.UNKNOWN and asked.may_travel:
        far = await newcomer.context.elsewhere(asked, grant)
        if far is not None:
            return far
    newcomer.tell(newcomer.context.observer.resume_asked, of, outcome)
    return Here.RESUMED if outcome is ResumeOutcome.RESUMED else None


def _resume_here(newcomer: "Relay", asked: Resume, grant: Grant) -> tuple[ResumeOutcome, Grant]:
    """What became of it, and the grant of the session, or of the client where there is none."""
    held = newcomer.context.sessions.find(asked.session_id)
    if held is None or held.grant is None or held.ring is None or not _may_have(newcomer, grant, held):
        return ResumeOutcome.UNKNOWN, grant
    missed = held.ring.since(asked.last_event_id)
    if missed is not None:
        _go_on(held, newcomer, grant, missed)
        return ResumeOutcome.RESUMED, held.grant
    if held.session.state is State.DETACHED:
        held.end(ABNORMAL, "what the client missed is not held any more")
    return ResumeOutcome.INCOMPLETE, held.grant


def _may_have(newcomer: "Relay", grant: Grant, held: "Relay") -> bool:
    """Whether both can be one session: the same subject, on a page of the same origin."""
    is_here = newcomer.session.state is State.AUTHENTICATING
    goes_on = held.session.state in (State.OPEN, State.DETACHED)
    is_same = held.grant is not None and held.grant.subject == grant.subject and held.origin == newcomer.origin
    return is_here and goes_on and is_same


def _go_on(held: "Relay", newcomer: "Relay", grant: Grant, missed: Sequence[bytes]) -> None:
    assert held.grant is not None
    assert held.ring is not None
    held.session.advance(Trigger.LOST)  # the old connection may seem alive: of a phone that changed networks, say
    held.session.advance(Trigger.RESUMED)
    held.session.proofs = (held.session.proofs[0], grant)
    held.timers.cancel()
    newcomer.timers.cancel()
    _swap_clients(held, newcomer)
    held.context.sessions.attach(held)
    held.connection.proven()
    client, upstream = held.client.transport, held.upstream.transport
    assert client is not None
    assert upstream is not None
    received, session_id = held.client.messages, held.grant.session_id
    held.client.say(auth_success(session_id, expires_at=grant.expires_at, resumed=True, received=received))
    send = sender(client)
    for message in missed:
        send(TEXT, message)
    held.upstream.forward = keeping(held.ring, send)
    held.client.forward = upstream.send
    for message in newcomer.session.take_pending():
        held.client.pass_on(message)
    held.client.flowing = not held.client.assembler.partial
    held.end_at_deadline()
    held.check_liveness_later()
    held.settle_flow()
    newcomer.step_down()


def _swap_clients(held: "Relay", newcomer: "Relay") -> None:
    held.client, newcomer.client = newcomer.client, held.client
    held.connection, newcomer.connection = newcomer.connection, held.connection
    held.client.count_on_from(newcomer.client)
    for relay in (held, newcomer):
        relay.client.relay = relay
        relay.client.tell(flow_changed=relay.settle_flow, stalled=relay.client_stalled)
        relay.connection.moved_to(relay)
