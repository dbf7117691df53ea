"""The control file: tells the commands of the same user where this gateway answers, and lets them operate it.

Whoever may read the data folder may operate the gateway: the file is its owner's alone, and its key ends with the
process.
"""

import contextlib
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from voxgate_core import ConfigurationError
from voxgate_fanout import CONTROL_FILE
from voxgate_security import new_key

__all__ = ["Control", "control_file", "new_control"]

NAME: Final = "control"
"""The name of the key, in logs."""


@dataclass(frozen=True, slots=True)
class Control:
    """A key that operates this gateway: plain for the file, ``stored`` for the list of keys."""

    key: str = field(repr=False)
    stored: str


def new_control() -> Control:
    """A fresh key, good for one run."""
    key, stored = new_key(f"{NAME}-{secrets.token_hex(4)}", "operator")
    return Control(key, stored)


@contextmanager
def control_file(data_dir: Path, url: str, control: Control) -> Iterator[Path]:
    """Say where the gateway answers for as long as the block runs.

    Raises :class:`ConfigurationError` when the data folder can't be written to.
    """
    path = data_dir / CONTROL_FILE
    text = json.dumps({"url": url, "key": control.key, "pid": os.getpid()})
    try:
        _write(path, text)
    except OSError as error:
        fault = (
            f"VOXGATE_DATA_DIR is {data_dir}, which can't be written to ({error.strerror}): set it to a directory"
            " where this user may write"
        )
        raise ConfigurationError([fault]) from error
    try:
        yield path
    finally:
        # Another gateway may have taken its place, and the folder may be gone.
        with contextlib.suppress(OSError, ValueError):
            if path.read_text("utf-8") == text:
                path.unlink()


def _write(path: Path, text: str) -> None:
    """Write it for its owner alone; readers see the whole file or none of it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)  # of a gateway that was killed while it wrote
    try:
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        fresh.replace(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
