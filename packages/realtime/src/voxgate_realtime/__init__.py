"""The relay between a client and a realtime speech model: handshake, session, bounds, close codes, upstreams."""

from voxgate_realtime.carrying import Far, Finder, nowhere
from voxgate_realtime.closing import client_code, error_event, fit_reason, upstream_code
from voxgate_realtime.events import screen_client, screen_upstream
from voxgate_realtime.handshake import (
    CARRIED,
    PATHS,
    Credential,
    Dialect,
    Resume,
    Upgrade,
    find_credential,
    parse_upgrade,
)
from voxgate_realtime.limits import RelayLimits
from voxgate_realtime.server import RealtimeServer, RefusalRenderer
from voxgate_realtime.session import TRANSITIONS, Session, State, Trigger
from voxgate_realtime.upstreams import DEFAULT_MODEL, Upstream, azure, compatible, openai

__all__ = [
    "CARRIED",
    "DEFAULT_MODEL",
    "PATHS",
    "TRANSITIONS",
    "Credential",
    "Dialect",
    "Far",
    "Finder",
    "RealtimeServer",
    "RefusalRenderer",
    "RelayLimits",
    "Resume",
    "Session",
    "State",
    "Trigger",
    "Upgrade",
    "Upstream",
    "__version__",
    "azure",
    "client_code",
    "compatible",
    "error_event",
    "find_credential",
    "fit_reason",
    "nowhere",
    "openai",
    "parse_upgrade",
    "screen_client",
    "screen_upstream",
    "upstream_code",
]

__version__ = "0.2.0rc2"
