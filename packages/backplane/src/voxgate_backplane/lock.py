"""One gateway for each data directory: two servers over one store would destroy it.

The lock is ``flock`` on a file, so it is gone with its last holder, however that ended; a file left behind is no
obstacle. A child that inherits the descriptor holds the lock as well: the directory of a killed gateway stays taken
until the server it had started is gone too.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from voxgate_core import ConfigurationError

if sys.platform != "win32":
    import fcntl

__all__ = ["LOCK_ATTEMPTS", "LOCK_PAUSE_SECONDS", "OwnedFolder", "owned"]

LOCK_ATTEMPTS: Final = 100
"""Tries to get the lock before the directory counts as taken: with the pauses between them, five seconds.

The server of a killed gateway needs a moment to be gone, the more the larger its memory.
"""

LOCK_PAUSE_SECONDS: Final = 0.05
"""Between two tries."""

FOLDER: Final = "nats"
"""Below the data directory: everything the embedded server has on disk, and the lock."""

_LOCK_FILE = "lock"


@dataclass(frozen=True, slots=True)
class OwnedFolder:
    """``path`` is absolute and of mode 0700. Hand ``descriptor`` to whatever must not outlive the lock unnoticed."""

    path: Path
    descriptor: int


@asynccontextmanager
async def owned(
    data_dir: Path, *, pause: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> AsyncIterator[OwnedFolder]:
    """Make the folder ``nats`` in ``data_dir`` and hold its lock while the block runs.

    Raises :class:`ConfigurationError` when the folder can't be made or written, can't be locked, or is taken.
    """
    if sys.platform == "win32":
        raise ConfigurationError(
            ["the embedded NATS server doesn't run on Windows: set VOXGATE_NATS_URL to a NATS server of your own"]
        )
    folder, descriptor = _open(data_dir)
    try:
        await _lock(descriptor, data_dir, pause)
        try:
            _name_holder(descriptor)
        except OSError as error:
            raise _unusable(data_dir, error) from error
        try:
            yield OwnedFolder(folder, descriptor)
        finally:
            # The file stays: whoever waits for the lock has it open. It must not name a process that let go.
            os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _open(data_dir: Path) -> tuple[Path, int]:
    folder = data_dir.absolute() / FOLDER
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        folder.chmod(0o700)  # it may be older, or have come out of a backup
        return folder, os.open(folder / _LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise _unusable(data_dir, error) from error


def _unusable(data_dir: Path, error: OSError) -> ConfigurationError:
    fault = (
        f"VOXGATE_DATA_DIR is {data_dir}, where {error.filename or 'a file'} can't be made or written"
        f" ({error.strerror}): mend that, or set VOXGATE_DATA_DIR to a directory where this user may write"
    )
    return ConfigurationError([fault])


async def _lock(descriptor: int, data_dir: Path, pause: Callable[[float], Awaitable[None]]) -> None:
    for attempt in range(LOCK_ATTEMPTS):
        if attempt:
            await pause(LOCK_PAUSE_SECONDS)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        except OSError as error:
            fault = (
                f"VOXGATE_DATA_DIR is {data_dir}, where files can't be locked ({error.strerror}):"
                " set it to a directory on a local disk"
            )
            raise ConfigurationError([fault]) from error
        return
    fault = (
        f"the data directory {data_dir} is in use by process {_holder(descriptor)}, or by a nats-server that it left"
        " behind: stop it, or set VOXGATE_DATA_DIR to another directory. For several processes on one machine start"
        " one gateway with --workers; for several gateways set VOXGATE_NATS_URL to a NATS server they share"
    )
    raise ConfigurationError([fault])


def _name_holder(descriptor: int) -> None:
    os.ftruncate(descriptor, 0)
    os.write(descriptor, b"%d\n" % os.getpid())


def _holder(descriptor: int) -> str:
    """The process id in the file, which is empty while its holder has only just got the lock."""
    return os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "(unknown)"
