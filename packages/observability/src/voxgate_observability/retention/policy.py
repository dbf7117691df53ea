"""What is kept and for how long, read from TOML and judged whole.

:func:`parse_config` does no I/O: the data folder and the home come as arguments. That no part of a path is a symbolic
link is checked where the path is opened, in :mod:`voxgate_observability.retention.tree`.
"""

import fnmatch
import posixpath
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeVar

from voxgate_core import ConfigurationError
from voxgate_observability.retention.units import duration, size

__all__ = [
    "AUDIT_FLOOR_SECONDS",
    "DEFAULT_SHARE",
    "GRACE_SECONDS",
    "TIME_LIMIT_SECONDS",
    "FilePolicy",
    "Policy",
    "RecordKind",
    "RecordPolicy",
    "RetentionConfig",
    "parse_config",
]

AUDIT_FLOOR_SECONDS: Final = 365 * 86_400
"""Seconds an audit line is kept at the least. No configuration undercuts it: whoever may edit one may have reasons."""

DEFAULT_SHARE: Final = 0.5
"""Share of a policy's files, and of their bytes, that one run may remove. A plan for more removes nothing."""

GRACE_SECONDS: Final = 60
"""Seconds since its last change within which a file is taken to be open, and left."""

TIME_LIMIT_SECONDS: Final = 600
"""Seconds one run may take. What is left then is left to the next run."""

MAX_POLICIES: Final = 100
"""Policies in one file."""

RESERVED: Final = ("nats", "retention")
"""Folders of the data folder that hold the gateway's own state: events not yet delivered, and this one's audit."""

FORBIDDEN: Final = ("/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/proc", "/sbin", "/sys", "/usr")
"""System directories below which no policy may point; ``/dev/shm`` excepted, which holds ordinary files."""

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,47}", re.ASCII)

T = TypeVar("T")


class RecordKind(StrEnum):
    """Records that a :class:`~voxgate_observability.retention.records.RecordStore` keeps."""

    CONVERSATIONS = "conversations"
    AUDIT = "audit"


@dataclass(frozen=True, slots=True)
class FilePolicy:
    """What may go from one directory. ``path`` is absolute; ages are seconds, sizes bytes; ``None`` is no limit.

    ``min_keep`` newest files never go. ``max_share`` is the share of files, and of bytes, one run may remove.
    """

    name: str
    path: str
    pattern: str = "*"
    recursive: bool = False
    max_age: int | None = None
    max_total_size: int | None = None
    max_count: int | None = None
    min_keep: int = 0
    grace: int = GRACE_SECONDS
    max_share: float = DEFAULT_SHARE
    remove_empty_directories: bool = False
    remove_symlinks: bool = False

    @property
    def kind(self) -> str:
        return "files"

    def matcher(self) -> Callable[[str], object] | None:
        """Tells whether a file's name fits the pattern; ``None`` when every name does."""
        return None if self.pattern == "*" else re.compile(fnmatch.translate(self.pattern)).match


@dataclass(frozen=True, slots=True)
class RecordPolicy:
    """How long records are kept, in seconds."""

    name: str
    kind: RecordKind
    max_age: int
    max_share: float = DEFAULT_SHARE

    def cutoff(self, now: float) -> float:
        """Epoch seconds: what is older goes. Never past the floor of audit lines, whatever ``max_age`` says."""
        age = max(self.max_age, AUDIT_FLOOR_SECONDS) if self.kind is RecordKind.AUDIT else self.max_age
        return now - age


Policy = FilePolicy | RecordPolicy


@dataclass(frozen=True, slots=True)
class RetentionConfig:
    """Every policy, in the order of the file. ``time_limit`` is seconds for one run."""

    policies: tuple[Policy, ...]
    time_limit: int = TIME_LIMIT_SECONDS


def parse_config(text: str, *, data_dir: str, home: str) -> RetentionConfig:
    """Read ``retention.toml``. ``data_dir`` and ``home`` are absolute; a relative path lies below ``data_dir``.

    Raises :class:`voxgate_core.ConfigurationError` with every fault there is.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError([f"retention.toml is not TOML: {error}"]) from None
    faults: list[str] = []
    top = _Reader("retention.toml", document, faults)
    time_limit = top.take("time_limit", _positive_duration, TIME_LIMIT_SECONDS)
    none: dict[str, object] = {}
    tables = top.take("policies", _table, none)
    top.finish()
    if not tables:
        faults.append("retention.toml names no policy: add a table such as [policies.temp]")
    if len(tables) > MAX_POLICIES:
        faults.append(f"retention.toml names {len(tables)} policies; at most {MAX_POLICIES} are read")
    policies = [
        policy
        for name, table in list(tables.items())[:MAX_POLICIES]
        if (policy := _read_policy(name, table, data_dir, home, faults)) is not None
    ]
    if faults:
        raise ConfigurationError(faults)
    return RetentionConfig(tuple(policies), time_limit)


class _Reader:
    """Takes values out of one table and writes down every fault, so that one look shows all there is to mend."""

    def __init__(self, where: str, table: Mapping[str, object], faults: list[str]) -> None:
        self._where = where
        self._left = dict(table)
        self._faults = faults
        self._known: list[str] = []

    def take(self, key: str, read: Callable[[object], T], default: T) -> T:
        self._known.append(key)
        if key not in self._left:
            return default
        try:
            return read(self._left.pop(key))
        except ValueError as error:
            self.fault(f"{key} must be {error}")
            return default

    def fault(self, sentence: str) -> None:
        self._faults.append(f"{self._where}: {sentence}")

    def finish(self) -> None:
        for key in self._left:
            self.fault(f"{key!r} is not a setting; there are {', '.join(sorted(self._known))}")


def _read_policy(name: str, table: object, data_dir: str, home: str, faults: list[str]) -> Policy | None:
    where = f"policies.{name}"
    if not isinstance(table, dict):
        faults.append(f"{where} must be a table: write [{where}]")
        return None
    reader = _Reader(where, table, faults)
    if _NAME.fullmatch(name) is None:
        reader.fault("a name is 1 to 48 of a-z, 0-9 and -, and begins with no -")
    kind = reader.take("kind", _choice("files", *RecordKind), "files")
    before = len(faults)
    policy = _read_files(name, reader, data_dir, home) if kind == "files" else _read_records(name, kind, reader)
    reader.finish()
    return policy if len(faults) == before else None


def _read_files(name: str, reader: _Reader, data_dir: str, home: str) -> FilePolicy:
    path = reader.take("path", _text, "")
    policy = FilePolicy(
        name,
        posixpath.normpath(posixpath.join(data_dir, path)),
        pattern=reader.take("pattern", _pattern, "*"),
        recursive=reader.take("recursive", _flag, False),
        max_age=reader.take("max_age", _positive_duration, None),
        max_total_size=reader.take("max_total_size", _size, None),
        max_count=reader.take("max_count", _count, None),
        min_keep=reader.take("min_keep", _count, 0),
        grace=reader.take("grace", _duration, GRACE_SECONDS),
        max_share=reader.take("max_share", _share, DEFAULT_SHARE),
        remove_empty_directories=reader.take("remove_empty_directories", _flag, False),
        remove_symlinks=reader.take("remove_symlinks", _flag, False),
    )
    fault = _path_fault(path, policy.path, data_dir, home)
    if fault is not None:
        reader.fault(f"path {path!r} {fault}")
    if policy.max_age is None and policy.max_total_size is None and policy.max_count is None:
        reader.fault("set max_age, max_total_size or max_count; without one nothing would ever go")
    if policy.remove_empty_directories and not policy.recursive:
        reader.fault("remove_empty_directories needs recursive = true")
    return policy


def _read_records(name: str, kind: str, reader: _Reader) -> RecordPolicy:
    max_age = reader.take("max_age", _positive_duration, 0)
    if max_age == 0:
        reader.fault(f"set max_age: how long {kind} are kept, such as 400d")
    elif kind == RecordKind.AUDIT and max_age < AUDIT_FLOOR_SECONDS:
        reader.fault(f"max_age is below the floor of audit lines, {AUDIT_FLOOR_SECONDS // 86_400}d, which is fixed")
    return RecordPolicy(name, RecordKind(kind), max_age, reader.take("max_share", _share, DEFAULT_SHARE))


def _path_fault(written: str, path: str, data_dir: str, home: str) -> str | None:
    """What is wrong with a path, as the end of a sentence."""
    if not written or "\0" in written:
        return "is no path: name the directory"
    if written.startswith("~") or ".." in written.split("/"):
        return "must be written out, without ~ and .."
    if posixpath.dirname(path) == "/":
        return "is the root of the file system or lies directly in it: name a directory further down"
    for what, precious in (("the home directory", home), ("the data folder", data_dir)):
        if path == precious or _is_below(precious, path):
            return f"is {what} or contains it: name a directory of its own"
    for system in FORBIDDEN:
        if _is_below(path, system) and not _is_below(path, "/dev/shm"):
            return f"lies in {system}, which belongs to the system"
    for own in RESERVED:
        reserved = posixpath.join(data_dir, own)
        if path == reserved or _is_below(path, reserved):
            return f"lies in {own} of the data folder, where the gateway keeps its own state"
    return None


def _is_below(path: str, ancestor: str) -> bool:
    return path.startswith(ancestor.rstrip("/") + "/") and path != ancestor


def _table(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise ValueError("tables, such as [policies.temp]")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("a text")
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**53:
        raise ValueError("a whole number, 0 or more")
    return value


def _share(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
        raise ValueError("a share above 0 and up to 1")
    return float(value)


def _duration(value: object) -> int:
    return duration(value if isinstance(value, str) else "")


def _positive_duration(value: object) -> int:
    seconds = _duration(value)
    if seconds == 0:
        raise ValueError("longer than nothing")
    return seconds


def _size(value: object) -> int:
    return size(value if isinstance(value, str) else "")


def _pattern(value: object) -> str:
    pattern = _text(value)
    if not pattern or "/" in pattern or "\0" in pattern:
        raise ValueError("a pattern for names, such as *.log, without /")
    return pattern


def _choice(*choices: str) -> Callable[[object], str]:
    def read(value: object) -> str:
        if value not in choices or not isinstance(value, str):
            raise ValueError(" or ".join(choices))
        return value

    return read
