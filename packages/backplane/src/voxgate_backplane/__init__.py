"""The ports of voxgate-core over NATS JetStream, on an embedded server or an existing cluster."""

from voxgate_backplane.client import Credentials
from voxgate_backplane.configuration import check_sync
from voxgate_backplane.credentials import read_servers
from voxgate_backplane.directory import Directory
from voxgate_backplane.keyvalue import NatsKeyValue
from voxgate_backplane.plane import Backplane, backplane
from voxgate_backplane.queue import JetStreamQueue
from voxgate_backplane.server import EmbeddedServer

__all__ = [
    "Backplane",
    "Credentials",
    "Directory",
    "EmbeddedServer",
    "JetStreamQueue",
    "NatsKeyValue",
    "__version__",
    "backplane",
    "check_sync",
    "read_servers",
]

__version__ = "0.2.0rc2"
