"""What retention keeps on disk: a lock, the last report, the audit lines. And how a file is replaced whole."""

import contextlib
import errno
import fcntl
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from voxgate_core import ConfigurationError, VoxgateError
from voxgate_observability.retention.tree import open_directory

__all__ = ["AUDIT", "FOLDER", "REPORT", "StateFolder", "write_textfile"]

FOLDER: Final = "retention"
"""Inside the data folder, for the owner alone."""

AUDIT: Final = "audit.jsonl"
LOCK: Final = "lock"
REPORT: Final = "report.json"

MAX_REPORT_BYTES: Final = 16 * 1024 * 1024
"""Of the last report, which is read for the time of the last success. A larger one is none of ours."""

TEXTFILE_MODE: Final = 0o644
"""node_exporter runs as another user, and must read the metrics."""

_OPEN: Final = os.O_NOFOLLOW | os.O_CLOEXEC


class StateFolder:
    """The folder, held by its descriptor, so that nobody can put another in its place during a run.

    Raises :class:`voxgate_core.ConfigurationError` when it can't be made, or others may write to it.
    """

    def __init__(self, data_dir: str) -> None:
        self.path = os.path.join(data_dir, FOLDER)
        try:
            os.makedirs(data_dir, mode=0o700, exist_ok=True)
            with contextlib.suppress(FileExistsError):
                os.mkdir(self.path, mode=0o700)
            self._folder = open_directory(self.path)
        except OSError as error:
            raise ConfigurationError(
                [f"{self.path} can't be made or opened ({error.strerror}): mend that, or set VOXGATE_DATA_DIR"]
            ) from None
        status = os.fstat(self._folder)
        if status.st_uid != os.geteuid() or status.st_mode & 0o022:
            os.close(self._folder)
            fault = (
                f"{self.path} belongs to user {status.st_uid} and has mode {status.st_mode & 0o777:o}: it must belong"
                f" to user {os.geteuid()}, who runs retention, and nobody else may write to it"
            )
            raise ConfigurationError([fault])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._folder)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Keep every other run out. Raises :class:`VoxgateError` ``conflict`` while one is under way.

        The kernel lets go of the lock with the process, however that ends; the file stays.
        """
        lock = os.open(LOCK, os.O_RDWR | os.O_CREAT | _OPEN, 0o600, dir_fd=self._folder)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                    raise
                raise VoxgateError("conflict", "another retention run is under way: wait until it has ended") from None
            yield
        finally:
            os.close(lock)

    def last_success(self) -> float | None:
        """Epoch seconds from the last report, or ``None`` where there is no such report."""
        try:
            report = os.open(REPORT, os.O_RDONLY | _OPEN, dir_fd=self._folder)
        except FileNotFoundError:
            return None
        with open(report, "rb") as file:
            text = file.read(MAX_REPORT_BYTES)
        try:
            found = json.loads(text)["lastSuccess"]
        except (ValueError, KeyError, TypeError):
            # Unreadable is as good as never: the alert then fires, which is what it is for.
            return None
        return float(found) if isinstance(found, int | float) else None

    def write_report(self, document: Mapping[str, Any]) -> None:
        """Replace the last report. Raises ``OSError``."""
        text = json.dumps(document, ensure_ascii=False, indent=2) + "\n"
        _replace(self._folder, REPORT, text.encode(), 0o600)

    def append_audit(self, line: Mapping[str, Any]) -> None:
        """Add one line, and return when it is on disk. Raises ``OSError``."""
        audit = os.open(AUDIT, os.O_WRONLY | os.O_APPEND | os.O_CREAT | _OPEN, 0o600, dir_fd=self._folder)
        try:
            _write(audit, json.dumps(line, ensure_ascii=False).encode() + b"\n")
            os.fsync(audit)
        finally:
            os.close(audit)
        os.fsync(self._folder)


def write_textfile(path: Path, text: str) -> None:
    """Put metrics where node_exporter's textfile collector reads them; it never sees half a file. Raises ``OSError``."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _replace(folder, path.name, text.encode(), TEXTFILE_MODE)
    finally:
        os.close(folder)


def _replace(folder: int, name: str, content: bytes, mode: int) -> None:
    # The collector reads *.prom, so the name of the unfinished file ends otherwise.
    unfinished = f".{name}.{secrets.token_hex(8)}.new"
    file = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _OPEN, mode, dir_fd=folder)
    try:
        try:
            os.fchmod(file, mode)
            _write(file, content)
            os.fsync(file)
        finally:
            os.close(file)
        os.rename(unfinished, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        os.unlink(unfinished, dir_fd=folder)
        raise
    os.fsync(folder)


def _write(file: int, content: bytes) -> None:
    while content:
        content = content[os.write(file, content) :]
