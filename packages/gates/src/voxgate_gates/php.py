"""Starts the PHP shim for a run, behind PHP's own server, and leaves nothing behind: the keeper sees to that."""

import os
import re
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from voxgate_gates.harness import Kept, StartFailed, assert_refuses

__all__ = ["SHIM", "running_shim", "shim_fault"]

SHIM: Final = Path("php_shim")
"""Where the shim is, seen from the working directory."""

READY_SECONDS: Final = 15.0
"""From start to the line that names the port."""

MAX_LINES: Final = 20
"""Lines that PHP may print before that one, such as warnings about its own settings."""

_started = re.compile(rb"\(http://127\.0\.0\.1:([0-9]+)\) started").search


def shim_fault(folder: Path) -> str | None:
    """Why the shim in ``folder`` can't be started, and how to get what is missing; ``None`` when it can."""
    if not (folder / "router.php").is_file():
        return (
            f"there is no router.php in {folder}: run this in voxgate's repository, or name the folder with --php-shim"
        )
    if shutil.which("php") is None:
        return "php is not installed: apt-get install php-cli"
    return None


@asynccontextmanager
async def running_shim(folder: Path, *, ready_seconds: float = READY_SECONDS) -> AsyncIterator[str]:
    """The URL of the shim in ``folder``, served without a store, so that it answers from fixtures as the gateway does.

    Raises :class:`StartFailed` when PHP does not become ready, :class:`StopFailed` when something is left over.
    """
    data_dir = Path(tempfile.gettempdir(), f"voxgate-gates-{secrets.token_hex(8)}")
    serve = ("php", "-S", "127.0.0.1:0", "-t", str(folder / "public"), str(folder / "router.php"))
    nothing = os.open(os.devnull, os.O_RDONLY)  # PHP binds its port itself, so there is no socket to hand down
    try:
        # PHP says on stderr where it listens.
        kept = await Kept.start(("sh", "-c", 'exec "$@" 2>&1', "sh", *serve), data_dir, {}, nothing)
    finally:
        os.close(nothing)
    port = None
    try:
        port = await _port(kept, ready_seconds)
        kept.drain()
        yield f"http://127.0.0.1:{port}"
    finally:
        await kept.stop()
        shutil.rmtree(data_dir, ignore_errors=True)
        if port is not None:
            assert_refuses(port)


async def _port(kept: Kept, seconds: float) -> int:
    said = b""
    for _ in range(MAX_LINES):
        try:
            line = await kept.line(seconds)
        except StartFailed as failed:
            raise StartFailed(failed.reason, said.decode("utf-8", "replace") or failed.tail) from None
        if found := _started(line):
            return int(found[1])
        said += line
    raise StartFailed("PHP did not say where it listens", said.decode("utf-8", "replace"))
