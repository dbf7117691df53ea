"""Durable delivery of voice events to webhooks and PHP backends."""

from voxgate_fanout.addresses import AddressPolicy, parse_networks
from voxgate_fanout.admission import Admission
from voxgate_fanout.breaker import TRANSITIONS, BreakerState, BreakerTrigger
from voxgate_fanout.delivery import Deliverer
from voxgate_fanout.event import (
    CONTENT_TYPE,
    MAX_EVENT,
    TARGET_DISABLED,
    decode_event,
    encode_event,
    new_event_id,
    read_event,
)
from voxgate_fanout.operator_client import CONTROL_FILE
from voxgate_fanout.routes import STUB_PATH, create_router
from voxgate_fanout.schemas import load_schema
from voxgate_fanout.service import Accepted, Fanout
from voxgate_fanout.signing import SignatureError, new_secret, secret_key, signed_headers, verify
from voxgate_fanout.stub import Stub
from voxgate_fanout.targets import Secret, Target, TargetState, live_secrets, new_target, shown, target_faults
from voxgate_fanout.targets_file import read_targets_file

__all__ = [
    "CONTENT_TYPE",
    "CONTROL_FILE",
    "MAX_EVENT",
    "STUB_PATH",
    "TARGET_DISABLED",
    "TRANSITIONS",
    "Accepted",
    "AddressPolicy",
    "Admission",
    "BreakerState",
    "BreakerTrigger",
    "Deliverer",
    "Fanout",
    "Secret",
    "SignatureError",
    "Stub",
    "Target",
    "TargetState",
    "__version__",
    "create_router",
    "decode_event",
    "encode_event",
    "live_secrets",
    "load_schema",
    "new_event_id",
    "new_secret",
    "new_target",
    "parse_networks",
    "read_event",
    "read_targets_file",
    "secret_key",
    "shown",
    "signed_headers",
    "target_faults",
    "verify",
]

__version__ = "0.2.0rc2"
