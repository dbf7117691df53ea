"""The backplane whole: one connection, and the ports that are served over it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from voxgate_backplane.client import Connection, Credentials, connected
from voxgate_backplane.keyvalue import NatsKeyValue
from voxgate_backplane.names import Names
from voxgate_backplane.queue import JetStreamQueue
from voxgate_core import Clock

__all__ = ["Backplane", "backplane"]

REQUESTS: Final = "-requests"
"""What the name of that bucket ends with."""


@dataclass(frozen=True, slots=True)
class Backplane:
    """What a process has of the backplane while it is connected.

    ``requests`` is a bucket of its own for what any caller can fill, so that nobody crowds out used tokens by it.
    """

    store: NatsKeyValue
    requests: NatsKeyValue
    queue: JetStreamQueue
    connection: Connection

    @property
    def is_up(self) -> bool:
        """Whether a server is reached just now."""
        return self.connection.is_up


@asynccontextmanager
async def backplane(
    servers: str,
    credentials: Credentials | None = None,
    *,
    prefix: str = "voxgate",
    replicas: int = 1,
    clock: Clock | None = None,
) -> AsyncIterator[Backplane]:
    """Connect, make what is missing, and stay connected for as long as the block runs.

    ``servers`` is a comma list of NATS URLs; ``replicas`` is how many servers of a cluster keep each message. Gateways
    with the same ``prefix`` on the same servers are one deployment.

    Raises :class:`ConfigurationError` when no server lets us in, :class:`VoxgateError` ``unavailable`` when the streams
    can't be made (too few servers for the replicas, no JetStream), ``ValueError`` for a prefix that is no name.
    """
    names = Names(prefix)
    async with connected(servers, credentials or Credentials()) as connection:
        store = await NatsKeyValue.open(connection, names, replicas=replicas, clock=clock)
        requests = await NatsKeyValue.open(connection, Names(f"{prefix}{REQUESTS}"), replicas=replicas, clock=clock)
        queue = await JetStreamQueue.open(connection, names, replicas=replicas)
        yield Backplane(store, requests, queue, connection)
