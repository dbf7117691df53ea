"""What every relay of one server shares."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voxgate_core import Clock, EventSink, SessionObserver, TokenVerifier
from voxgate_realtime.carrying import Finder, nowhere
from voxgate_realtime.handshake import Dialect
from voxgate_realtime.limits import RelayLimits
from voxgate_realtime.replay import ReplayBudget
from voxgate_realtime.sessions import Sessions
from voxgate_realtime.upstreams import Upstream

if TYPE_CHECKING:
    from voxgate_realtime.relay import Relay

__all__ = ["RelayContext", "unheard"]


def unheard(seconds: float) -> None:
    """Where timings go that nobody asked for."""


@dataclass(frozen=True, slots=True)
class RelayContext:
    """Handed to each relay. ``single_use`` names the dialects on which a token opens one session only.

    ``event_source`` is the CloudEvents ``source`` of what goes to ``events``. ``timed`` hears what the relay added to a
    message, in seconds, for one in so many. ``elsewhere`` finds sessions that other processes hold.
    """

    limits: RelayLimits
    replay_budget: ReplayBudget
    sessions: "Sessions[Relay]"
    verifier: TokenVerifier
    upstream: Upstream
    observer: SessionObserver
    clock: Clock
    ssl_context: ssl.SSLContext
    single_use: frozenset[Dialect]
    events: EventSink
    event_source: str
    timed: Callable[[float], None] = unheard
    elsewhere: Finder = nowhere
