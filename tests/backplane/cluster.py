"""A cluster of nats-servers on loopback, whose nodes can be killed and started again one by one."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from tests.backplane.nodes import Node, free_ports
from voxgate_backplane.client import Connection, Credentials

__all__ = ["Cluster", "running_cluster"]

LEADER = ("Self is new JetStream cluster metadata leader", "JetStream cluster new metadata leader")
"""What each node says when it knows who leads."""


class Cluster:
    """Its nodes, and what a client needs to log in."""

    def __init__(self, nodes: list[Node], credentials: Credentials) -> None:
        self.nodes = nodes
        self.credentials = credentials

    @property
    def url(self) -> str:
        """Every node, as the comma list that VOXGATE_NATS_URL takes."""
        return ",".join(node.url for node in self.nodes)

    def node(self, name: str) -> Node:
        return next(node for node in self.nodes if node.name == name)

    async def leader_of(self, connection: Connection, stream: str, consumer: str | None = None) -> Node:
        """The node that leads a stream, or one of its consumers."""
        verb = f"STREAM.INFO.{stream}" if consumer is None else f"CONSUMER.INFO.{stream}.{consumer}"
        return self.node((await connection.api(verb))["cluster"]["leader"])


@asynccontextmanager
async def running_cluster(tmp_path: Path, nodes: int = 3) -> AsyncIterator[Cluster]:
    """``nodes`` servers with JetStream that write through to the disk; afterwards their processes are gone.

    Each has a fixed client and route port, chosen free, so that it can come back to its place after a kill.
    """
    free = free_ports(2 * nodes)
    ports, routes = free[:nodes], free[nodes:]
    credentials = Credentials(user="voxgate", password=secrets.token_urlsafe(16))
    secret = secrets.token_urlsafe(16)
    addresses = ", ".join(f'"nats-route://route:{secret}@127.0.0.1:{port}"' for port in routes)
    cluster = Cluster(
        [
            Node(
                f"node-{number}",
                tmp_path / f"node-{number}",
                port,
                f"""\
authorization {{ user: "{credentials.user}", password: "{credentials.password}" }}
max_payload: 8388608
jetstream {{
  store_dir: "."
  sync_interval: always
  max_file_store: 1099511627776
}}
cluster {{
  name: "voxgate-test"
  listen: "127.0.0.1:{route}"
  authorization {{ user: "route", password: "{secret}" }}
  routes: [{addresses}]
}}
""",
            )
            for number, (port, route) in enumerate(zip(ports, routes, strict=True), 1)
        ],
        credentials,
    )
    async with AsyncExitStack() as stack:
        for node in cluster.nodes:
            stack.push_async_callback(node.stop)
        await asyncio.gather(*(node.start() for node in cluster.nodes))
        await asyncio.gather(*(node.says(*LEADER) for node in cluster.nodes))
        yield cluster
