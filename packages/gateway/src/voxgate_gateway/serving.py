"""Runs a gateway: one port for HTTP and the relay, one ready line, a graceful stop."""

import asyncio
import contextlib
import json
import logging
import os
import secrets
import socket
import sys
from collections.abc import Callable, Generator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import uvicorn

from voxgate_backplane import Directory
from voxgate_core import ConfigurationError, Environment, Place, SystemClock
from voxgate_engine import EngineServer, EngineSettings
from voxgate_fanout import Deliverer
from voxgate_gateway.composition import ANY_ENGINE, Gateway, Surroundings, compose
from voxgate_gateway.control import control_file, new_control
from voxgate_gateway.elsewhere import NODE_BYTES, node_id
from voxgate_gateway.fanning import plan_fanout, stub_url
from voxgate_gateway.php import remote_php
from voxgate_gateway.session_places import SessionPlaces
from voxgate_gateway.settings import Settings
from voxgate_gateway.shared_plane import connected_plane
from voxgate_gateway.stop_signals import StopSignals
from voxgate_gateway.store.location import locate
from voxgate_gateway.store.modes import StoreMode
from voxgate_gateway.version import VERSION
from voxgate_observability import Phase
from voxgate_realtime import RelayLimits
from voxgate_responder import http_protocol
from voxgate_security import Revocation

if TYPE_CHECKING:
    from voxgate_gateway.store.service import ConversationStore

__all__ = ["bind", "drain", "loop_factory", "print_ready", "run", "serve", "tell_made", "url_of"]

GRACEFUL_SECONDS: Final = 10
"""How long requests and sessions may take to end after a stop was asked for."""

KEEP_ALIVE_SECONDS: Final = 30
LOOPBACK: Final = "127.0.0.1"
BACKLOG: Final = 1024

HTTP_CONNECTIONS: Final = 1000
"""Connections beside the live sockets; where there are more, a request is answered 503."""

USER_AGENT: Final = f"voxgate/{VERSION}"
"""What targets of voice events see."""

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
    """uvicorn's server, saying when it answers, and leaving the signals to :class:`StopSignals`."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None], on_leave: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready
        self._on_leave = on_leave

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._on_leave()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


async def serve(
    settings: Settings,
    listener: socket.socket,
    *,
    ready: Callable[[Gateway], None],
    stop: asyncio.Event | None = None,
    environ: Mapping[str, str] = os.environ,
) -> None:
    """Serve on ``listener`` until SIGTERM, SIGINT, or ``stop`` is set; ``ready`` is called once it answers.

    Once everything has been stopped, a signal does what it would have done without us. Raises
    :class:`ConfigurationError` before anything is served, :class:`VoxgateError` ``unavailable`` when the backplane
    fails while it is set up.
    """
    async with contextlib.AsyncExitStack() as stack:
        signals = stack.enter_context(StopSignals())
        stack.callback(listener.close)
        compose(settings, engine_url=ANY_ENGINE, environ=environ)  # every fault at once, before anything is started
        url = url_of(listener)
        engine_url = None
        if settings.upstream == "engine":
            engine_url = (await stack.enter_async_context(EngineServer(settings=_engine_settings(settings)))).url
        plane = await stack.enter_async_context(connected_plane(settings))
        # Other workers have the same listener; one that holds a session is reached by a door of its own.
        door = bind(LOOPBACK, 0)
        stack.callback(door.close)
        here = Place(node_id(secrets.token_hex(NODE_BYTES)), url_of(door))
        directory = Directory(plane.store, here)
        places = SessionPlaces(directory)
        policy = plan_fanout(settings, environ, url).policy
        deliverer = await stack.enter_async_context(Deliverer(policy, user_agent=USER_AGENT))
        # The workers of one gateway are operated through their parent's file.
        control = None if settings.worker else new_control()
        php = remote_php(settings)
        if php is not None:
            await stack.enter_async_context(php)
        kept = await _conversations(settings, stack)
        stored = "" if control is None else control.stored
        around = Surroundings(
            stub_url(url), plane, deliverer, php, kept, (places,), control=stored, directory=directory, node=here.node
        )
        gateway = compose(settings, engine_url=engine_url, around=around, environ=environ)
        assert gateway.fanout is not None
        if not settings.worker:
            tell_made(settings, gateway)
        server = _Server(_uvicorn_config(gateway), lambda: _be_ready(gateway, ready), gateway.realtime.drain)
        signals.catch(lambda number: drain(gateway, partial(server.handle_exit, number, None)))
        # From here on nothing is left half done: what follows is undone before a signal ends the process.
        await stack.enter_async_context(gateway.fanout.running())
        if control is not None:
            stack.enter_context(control_file(settings.data_dir, stub_url(url), control))
        jobs = [_close_revoked(gateway), directory.live(), places.run()]
        async with asyncio.TaskGroup() as tasks:
            beside = [tasks.create_task(job) for job in jobs]
            if stop is not None:
                beside.append(tasks.create_task(_stop_when(stop, server)))
            try:
                await server.serve(sockets=[listener, door])
            finally:
                for task in beside:
                    task.cancel()


def _engine_settings(settings: Settings) -> EngineSettings:
    """An engine with room for whatever the gateway lets in, sessions that wait for their client included."""
    return EngineSettings(max_sessions=settings.max_sessions + RelayLimits().max_detached)


async def _conversations(settings: Settings, stack: contextlib.AsyncExitStack) -> "ConversationStore | None":
    """The store of conversations for as long as the stack is, where the deployment keeps any."""
    if settings.conversations is StoreMode.OFF:
        return None
    # Only now: the database code takes longer to load than the rest of the gateway.
    from voxgate_gateway.store.service import open_store

    url = locate(settings.data_dir, settings.database_url.get_secret_value())
    upgrading = settings.environment is Environment.DEV
    return await stack.enter_async_context(open_store(url, settings.conversations, SystemClock(), upgrading=upgrading))


def run(settings: Settings, listener: socket.socket) -> None:
    """Serve on uvloop, and print the ready line on standard output when the gateway answers. Raises as :func:`serve`.

    Ctrl-C is a way to stop, not a fault: everything has been stopped by the time the signal is raised again.
    """
    with contextlib.suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(serve(settings, listener, ready=lambda gateway: print_ready(url_of(listener), gateway.dev_key)))


def tell_made(settings: Settings, gateway: Gateway) -> None:
    """Log what was made up because it was left unset."""
    for made in gateway.made:
        logger.warning("%s: %s", settings.environment, made)


def print_ready(url: str, dev_key: str | None) -> None:
    """The one line on standard output."""
    line: dict[str, object] = {"event": "ready", "url": url, "pid": os.getpid()}
    if dev_key is not None:
        line["devKey"] = dev_key
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def _uvicorn_config(gateway: Gateway) -> uvicorn.Config:
    proxies = gateway.settings.trusted_proxies
    return uvicorn.Config(
        gateway.app,
        http=http_protocol(),
        ws=gateway.realtime.protocol_class(),
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=proxies or None,
        limit_concurrency=gateway.settings.max_sessions + HTTP_CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACEFUL_SECONDS,
        backlog=BACKLOG,
    )


async def _close_revoked(gateway: Gateway) -> None:
    def close(revocation: Revocation) -> None:
        closed = gateway.realtime.revoke(revocation.matches)
        logger.info("a revocation was heard of", extra={"closed": closed})

    await gateway.revocations.watch(close)


def _be_ready(gateway: Gateway, ready: Callable[[Gateway], None]) -> None:
    gateway.health.phase = Phase.READY
    ready(gateway)


def drain(gateway: Gateway, leave: Callable[[], None]) -> None:
    """Say that we are going, wait until those who ask have heard it, and go; a second signal does not wait."""
    seconds = gateway.settings.drain_seconds
    is_first, gateway.health.phase = gateway.health.phase is not Phase.DRAINING, Phase.DRAINING
    if is_first and seconds:
        logger.info("draining", extra={"seconds": seconds})
        asyncio.get_running_loop().call_later(seconds, leave)
    else:
        leave()


async def _stop_when(stop: asyncio.Event, server: uvicorn.Server) -> None:
    await stop.wait()
    server.should_exit = True


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where there is one."""
    if sys.platform == "win32":
        return None
    import uvloop

    factory: Any = uvloop.new_event_loop
    return factory  # type: ignore[no-any-return]
