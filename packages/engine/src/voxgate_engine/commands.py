"""``voxgate engine``: run the offline model server from a shell."""

import asyncio
import json
import logging
import os
import signal
import socket

import click

from voxgate_engine.limits import MAX_SESSIONS
from voxgate_engine.server import EngineServer
from voxgate_engine.settings import EngineSettings

__all__ = ["engine"]

API_KEY_VARIABLE = "VOXGATE_ENGINE_API_KEY"
"""Where a key comes from: not from the command line, which other users of the machine can read."""


@click.group()
def engine() -> None:
    """The offline model server."""


@engine.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=0, show_default=True, type=click.IntRange(0, 65_535), help="Port; 0 takes a free one.")
@click.option("--fd", type=click.IntRange(0), help="Serve this inherited listening socket instead.")
@click.option("--pace", default=4.0, show_default=True, help="Seconds of audio sent per second.")
@click.option("--max-sessions", default=MAX_SESSIONS, show_default=True, help="Sessions served at once.")
@click.option("--json", "as_json", is_flag=True, help="Print nothing for people, only the JSON line.")
def serve(host: str, port: int, fd: int | None, pace: float, max_sessions: int, as_json: bool) -> None:
    """Serve until SIGTERM or SIGINT.

    One JSON line on stdout says when it is ready, and where. With VOXGATE_ENGINE_API_KEY set, clients must
    present that key.
    """
    if not as_json:
        logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    try:
        settings = EngineSettings(pace=pace, max_sessions=max_sessions, api_key=os.environ.get(API_KEY_VARIABLE))
        listener = None if fd is None else socket.socket(fileno=fd)
        asyncio.run(_serve(EngineServer(host, port, settings, sock=listener)))
    except (OSError, ValueError) as error:
        raise click.ClickException(str(error)) from error


async def _serve(server: EngineServer) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with server:
        click.echo(json.dumps({"event": "ready", "url": server.url, "pid": os.getpid()}))
        await stop.wait()
