"""``python fake_serve.py [LIE…] --fd N``: the fake gateway as a process, with the ready line of the real one."""

import asyncio
import json
import os
import signal
import socket
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.gates.fake_gateway import FakeGateway


async def serve(lies: frozenset[str], descriptor: int) -> None:
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    listener = socket.socket(fileno=descriptor)
    async with FakeGateway(os.environ, lies=lies, listener=listener) as gateway:
        sys.stdout.write(json.dumps({"event": "ready", "url": gateway.url, "pid": os.getpid()}) + "\n")
        sys.stdout.flush()
        await stopped.wait()


if __name__ == "__main__":
    *lies, _, descriptor = sys.argv[1:]
    asyncio.run(serve(frozenset(lies), int(descriptor)))
