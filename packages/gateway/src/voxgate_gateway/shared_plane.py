"""The backplane as the settings want it: a server of our own, or somebody's cluster."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from voxgate_backplane import Backplane, Credentials, EmbeddedServer, backplane, check_sync, read_servers
from voxgate_core import ConfigurationError, VoxgateError
from voxgate_gateway.judging import judged
from voxgate_gateway.settings import Settings

__all__ = ["check_plane", "connected_plane", "embedded_server"]


def check_plane(settings: Settings) -> None:
    """Judge what is set without connecting. Raises :class:`ConfigurationError` with every fault."""
    faults: list[str] = []
    judged(faults, lambda: check_sync(settings.nats_sync))
    if settings.nats_url:
        judged(faults, lambda: read_servers(settings.nats_url))
        judged(faults, _credentials(settings).check)
    if faults:
        raise ConfigurationError(faults)


def embedded_server(settings: Settings) -> EmbeddedServer:
    """The server to run where no other is named. Raises :class:`ConfigurationError`."""
    return EmbeddedServer(settings.data_dir, sync=settings.nats_sync)


@asynccontextmanager
async def connected_plane(settings: Settings) -> AsyncIterator[Backplane]:
    """The backplane for as long as the block runs; an embedded server runs as long.

    Raises :class:`ConfigurationError` when there is none to be had, :class:`VoxgateError` ``unavailable`` when our own
    server fails while it is set up.
    """
    async with AsyncExitStack() as stack:
        if settings.nats_url:
            servers, credentials = settings.nats_url, _credentials(settings)
        else:
            server = await stack.enter_async_context(embedded_server(settings))
            servers, credentials = server.url, Credentials(server.user, server.password)
        opening = backplane(servers, credentials, prefix=settings.nats_prefix, replicas=settings.nats_replicas)
        try:
            plane = await stack.enter_async_context(opening)
        except VoxgateError as error:
            if not settings.nats_url:
                raise
            needs = f"JetStream, and {settings.nats_replicas} of its servers for VOXGATE_NATS_REPLICAS"
            raise ConfigurationError([f"VOXGATE_NATS_URL: {error.message} (it needs {needs})"]) from None
        yield plane


def _credentials(settings: Settings) -> Credentials:
    return Credentials(
        user=settings.nats_user or None,
        password=settings.nats_password.get_secret_value() or None,
        creds_file=settings.nats_creds,
        ca_file=settings.nats_ca,
    )
