"""``voxgate serve --workers N``: one parent that holds what workers share, and the workers."""

import asyncio
import contextlib
import os
import secrets
import socket
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack

from voxgate_core import Environment
from voxgate_gateway.composition import ANY_ENGINE, compose
from voxgate_gateway.control import Control, control_file, new_control
from voxgate_gateway.fanning import stub_url
from voxgate_gateway.serving import loop_factory, print_ready, tell_made, url_of
from voxgate_gateway.settings import Settings
from voxgate_gateway.shared_plane import embedded_server
from voxgate_gateway.stop_signals import StopSignals
from voxgate_gateway.workers import PATIENCE_SECONDS, supervise
from voxgate_security import new_key

__all__ = ["run_workers", "serve_workers", "worker_environment"]


def run_workers(settings: Settings, listener: socket.socket, count: int, *, as_json: bool = False) -> None:
    """Run ``count`` workers on ``listener`` until SIGTERM or SIGINT, and end as one gateway would by that signal.

    Raises as :func:`serve_workers`.
    """
    with contextlib.suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(serve_workers(settings, listener, count, as_json=as_json))


async def serve_workers(
    settings: Settings,
    listener: socket.socket,
    count: int,
    *,
    as_json: bool = False,
    environ: Mapping[str, str] = os.environ,
) -> None:
    """The same, on a running loop. The ready line is printed when every worker answers.

    Raises :class:`ConfigurationError` before anything is served, :class:`WorkersFailed` when a worker can't start.
    """
    async with AsyncExitStack() as stack:
        signals = stack.enter_context(StopSignals())
        stack.callback(listener.close)
        # Every fault once, not once for each worker; and once what was made up.
        judged = compose(settings, engine_url=ANY_ENGINE, environ=environ)
        tell_made(settings, judged)
        url, control = url_of(listener), new_control()
        made, dev_key = worker_environment(settings, control)
        if not settings.nats_url:
            server = await stack.enter_async_context(embedded_server(settings))
            made |= {
                "VOXGATE_NATS_URL": server.url,
                "VOXGATE_NATS_USER": server.user,
                "VOXGATE_NATS_PASSWORD": server.password,
            }
        stop = asyncio.Event()
        signals.catch(lambda _: stop.set())
        stack.enter_context(control_file(settings.data_dir, stub_url(url), control))
        command = (sys.executable, "-m", "voxgate_gateway", "serve", *(["--json"] if as_json else []))
        await supervise(
            command,
            count,
            environ={**environ, **made},
            listener=listener,
            ready=lambda: print_ready(url, dev_key),
            stop=stop,
            patience=settings.drain_seconds + PATIENCE_SECONDS,  # it drains first, and has all its own time after that
        )


def worker_environment(settings: Settings, control: Control) -> tuple[dict[str, str], str | None]:
    """What the workers must agree on, as environment variables; and the operator key that dev makes, if it does."""
    made: dict[str, str] = {}
    stored, dev_key = settings.api_keys.get_secret_value(), None
    if not stored and settings.environment is Environment.DEV:
        dev_key, stored = new_key("dev", "operator")
    made["VOXGATE_API_KEYS"] = ",".join(entry for entry in (stored, control.stored) if entry)
    if not settings.jwt_secret.get_secret_value() and settings.environment is Environment.DEV:
        made["JWT_SECRET"] = f"dev:{secrets.token_urlsafe(48)}"
    return made, dev_key
