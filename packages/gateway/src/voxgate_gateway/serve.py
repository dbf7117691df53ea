"""Runs a gateway: one port for HTTP and the relay, one ready line, a graceful stop."""

import asyncio
import contextlib
import json
import logging
import os
import socket
import sys
from collections.abc import Callable
from typing import Any, Final

import uvicorn

from voxgate_core import ConfigurationError
from voxgate_engine import EngineServer
from voxgate_gateway.composition import Gateway, compose
from voxgate_gateway.settings import Settings
from voxgate_responder import http_protocol
from voxgate_security import Revocation

__all__ = ["bind", "run", "serve"]

GRACEFUL_SECONDS: Final = 10
"""How long requests and sessions may take to end after a stop was asked for."""

KEEP_ALIVE_SECONDS: Final = 30
BACKLOG: Final = 1024

logger = logging.getLogger("voxgate.gateway")


def bind(host: str, port: int) -> socket.socket:
    """A listening socket. Raises :class:`ConfigurationError` when the address can't be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise ConfigurationError(
            [f"cannot listen on {host} port {port} ({error.strerror}): choose another with --port, or 0 for any"]
        ) from error
    return listener


def url_of(listener: socket.socket) -> str:
    """The http URL of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class _Server(uvicorn.Server):
    """uvicorn's server, saying when it answers."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_ready()


async def serve(
    settings: Settings, listener: socket.socket, *, ready: Callable[[Gateway], None], stop: asyncio.Event | None = None
) -> None:
    """Serve on ``listener`` until SIGTERM, SIGINT, or ``stop`` is set; ``ready`` is called once it answers.

    Raises :class:`ConfigurationError` before anything is served.
    """
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(listener.close)
        engine_url = None
        if settings.upstream == "engine":
            engine_url = (await stack.enter_async_context(EngineServer())).url
        gateway = compose(settings, engine_url=engine_url)
        for made in gateway.made:
            logger.warning("dev: %s", made)
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        beside = [tasks.create_task(_close_revoked(gateway))]
        proxies = settings.trusted_proxies
        config = uvicorn.Config(
            gateway.app,
            http=http_protocol(),
            ws=gateway.realtime.protocol_class(),
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=bool(proxies),
            forwarded_allow_ips=proxies or None,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=GRACEFUL_SECONDS,
            backlog=BACKLOG,
        )
        server = _Server(config, lambda: ready(gateway))
        if stop is not None:
            beside.append(tasks.create_task(_stop_when(stop, server)))
        try:
            await server.serve(sockets=[listener])
        finally:
            for task in beside:
                task.cancel()


def run(settings: Settings, listener: socket.socket) -> None:
    """Serve on uvloop, and print the ready line on standard output when the gateway answers.

    Ctrl-C is a way to stop, not a fault: uvicorn has stopped gracefully by the time it raises the signal again.
    """
    with contextlib.suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(serve(settings, listener, ready=lambda gateway: _print_ready(gateway, url_of(listener))))


def _print_ready(gateway: Gateway, url: str) -> None:
    line: dict[str, object] = {"event": "ready", "url": url, "pid": os.getpid()}
    if gateway.dev_key is not None:
        line["devKey"] = gateway.dev_key
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


async def _close_revoked(gateway: Gateway) -> None:
    def close(revocation: Revocation) -> None:
        closed = gateway.realtime.revoke(revocation.matches)
        logger.info("a revocation was heard of", extra={"closed": closed})

    await gateway.revocations.watch(close)


async def _stop_when(stop: asyncio.Event, server: uvicorn.Server) -> None:
    await stop.wait()
    server.should_exit = True


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if sys.platform == "win32":
        return None
    import uvloop

    factory: Any = uvloop.new_event_loop
    return factory  # type: ignore[no-any-return]
