"""The vocabulary every voxgate package shares: traces, errors, clock, grants, events and ports. No I/O."""

from voxgate_core.answers import Answer
from voxgate_core.clock import Clock, ManualClock, SystemClock
from voxgate_core.directory import Place, SessionDirectory
from voxgate_core.environment import Environment
from voxgate_core.errors import ERRORS, ConfigurationError, ErrorKind, Retry, VoxgateError
from voxgate_core.events import (
    SESSION_ENDED,
    SESSION_STARTED,
    TOOL_CALLED,
    TRANSCRIPT_COMPLETED,
    TURN_COMPLETED,
    Event,
    EventSink,
    NullSink,
)
from voxgate_core.grants import Grant, Leash, session_of_token
from voxgate_core.http_input import header_values, is_json_type, read_bounded
from voxgate_core.keyvalue import Change, Entry, KeyValue, MemoryKeyValue
from voxgate_core.ports import (
    CallerGate,
    NullObserver,
    OriginGate,
    ResumeOutcome,
    SessionClosed,
    SessionObserver,
    TokenVerifier,
)
from voxgate_core.queue import Claim, DeadLetter, DeadQuery, DurableQueue, Handler, LaneWorker
from voxgate_core.strictjson import MAX_JSON_NESTING, StrictJsonError, decode_strictly, read_json
from voxgate_core.trace import Trace, current_trace, new_trace, parse_traceparent, trace_from_headers

__all__ = [
    "ERRORS",
    "MAX_JSON_NESTING",
    "SESSION_ENDED",
    "SESSION_STARTED",
    "TOOL_CALLED",
    "TRANSCRIPT_COMPLETED",
    "TURN_COMPLETED",
    "Answer",
    "CallerGate",
    "Change",
    "Claim",
    "Clock",
    "ConfigurationError",
    "DeadLetter",
    "DeadQuery",
    "DurableQueue",
    "Entry",
    "Environment",
    "ErrorKind",
    "Event",
    "EventSink",
    "Grant",
    "Handler",
    "KeyValue",
    "LaneWorker",
    "Leash",
    "ManualClock",
    "MemoryKeyValue",
    "NullObserver",
    "NullSink",
    "OriginGate",
    "Place",
    "ResumeOutcome",
    "Retry",
    "SessionClosed",
    "SessionDirectory",
    "SessionObserver",
    "StrictJsonError",
    "SystemClock",
    "TokenVerifier",
    "Trace",
    "VoxgateError",
    "__version__",
    "current_trace",
    "decode_strictly",
    "header_values",
    "is_json_type",
    "new_trace",
    "parse_traceparent",
    "read_bounded",
    "read_json",
    "session_of_token",
    "trace_from_headers",
]

__version__ = "0.2.0rc2"
