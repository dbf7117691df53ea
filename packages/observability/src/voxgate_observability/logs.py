"""Standard logging, one JSON object a line, with the trace id, and without secrets.

Secrets are taken out of the finished line, since filters on the root logger never see the records of its
children and since tracebacks become text only here.
"""

import logging
import sys
import traceback
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, TextIO

import orjson

from voxgate_core import current_trace
from voxgate_observability.redaction import Redactor

__all__ = ["HumanFormatter", "JsonFormatter", "configure"]

UVICORN_LOGGERS = ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi")
"""Loggers that uvicorn gives handlers of their own unless it is started with ``log_config=None``."""

MAX_DEPTH = 8
"""Levels of an extra that JSON could not take as it was; deeper ones are shown by their type."""

_STANDARD = frozenset(vars(logging.LogRecord("", 0, "", 0, "", (), None))) | {"message", "asctime", "taskName"}
_DROPPED = frozenset({"color_message"})  # uvicorn's message again, with terminal colours
_OWN = ("ts", "level", "logger", "message", "traceId", "exception", "stack")
# A dataclass goes to repr, which leaves out the fields it was told to hide; orjson would write them all.
_OPTIONS = orjson.OPT_NON_STR_KEYS | orjson.OPT_PASSTHROUGH_DATACLASS
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(0x20), 0x7F, *range(0x80, 0xA0))}


class _TracedFormatter(logging.Formatter):
    """What both formatters share: reading a record without ever raising."""

    def __init__(self, redactor: Redactor | None = None) -> None:
        super().__init__()
        self._redactor = redactor or Redactor()

    @staticmethod
    def message(record: logging.LogRecord) -> str:
        try:
            return record.getMessage()
        except Exception as error:
            # A wrong number of arguments must not cost the line that reports something else.
            return f"{_shown(record.msg)} (arguments {_shown(record.args)} do not fit: {type(error).__name__})"

    @staticmethod
    def trace_id(record: logging.LogRecord) -> str | None:
        trace = current_trace.get()
        if trace is not None:
            return trace.trace_id
        given = record.__dict__.get("traceId")
        return given if isinstance(given, str) else None

    @staticmethod
    def extras(record: logging.LogRecord) -> dict[str, object]:
        return {
            f"{name}_" if name in _OWN else name: value
            for name, value in record.__dict__.items()
            if name not in _STANDARD and name not in _DROPPED and name != "traceId"
        }

    @staticmethod
    def exception(record: logging.LogRecord) -> str | None:
        if record.exc_info and record.exc_info[0] is not None:
            return _traceback(record.exc_info)
        return record.exc_text


class JsonFormatter(_TracedFormatter):
    """One JSON object a line: ``ts`` (RFC 3339, UTC), ``level``, ``logger``, ``message``, ``traceId`` when there is
    one, the record's extras, ``exception`` (the traceback as text), ``stack``.

    An extra named like one of these gets an underscore behind it. Nothing that can be logged makes it raise.
    """

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, object] = {
            "ts": _timestamp(record.created),
            "level": record.levelname,
            "logger": record.name,
            "message": self.message(record),
        }
        trace_id = self.trace_id(record)
        if trace_id is not None:
            fields["traceId"] = trace_id
        fields.update(self.extras(record))
        exception = self.exception(record)
        if exception is not None:
            fields["exception"] = exception
        if record.stack_info:
            fields["stack"] = record.stack_info
        line = _encoded(fields)
        redacted = self._redactor.redact(line)
        if redacted != line and not _is_json(redacted):
            # A secret that looks like a piece of JSON was cut out of the line's own structure.
            whole = {name: fields[name] for name in ("ts", "level")} | {"message": redacted}
            return orjson.dumps(whole).decode()
        return redacted


class HumanFormatter(_TracedFormatter):
    """A line for a terminal: time, level, logger, message, extras, trace id; tracebacks on lines of their own.

    Control characters in messages and extras are escaped, so that nobody can forge a line.
    """

    def format(self, record: logging.LogRecord) -> str:
        clock = datetime.fromtimestamp(record.created).strftime("%H:%M:%S")
        extras = "".join(f" {name}={_shown(value)}" for name, value in self.extras(record).items())
        trace_id = self.trace_id(record)
        trace = "" if trace_id is None else f" [{trace_id}]"
        text = f"{self.message(record)}{extras}{trace}".translate(_CONTROLS)
        line = f"{clock} {record.levelname:<8} {record.name}: {text}"
        parts = [line, self.exception(record) or "", record.stack_info or ""]
        return self._redactor.redact("\n".join(part for part in parts if part))


class _Handler(logging.StreamHandler[TextIO]):
    """The handler that :func:`configure` puts on the root logger, told apart by its type."""


def configure(
    level: int | str = logging.INFO,
    stream: TextIO | None = None,
    secrets: Iterable[str] = (),
    human: bool = False,
) -> logging.Handler:
    """Send all logging to ``stream`` (standard error by default), redacted; returns the root logger's handler.

    Calling it again replaces what it set before. Plain stream handlers on the root logger, as ``basicConfig``
    makes, are removed, for they would write the same lines unredacted; other handlers stay. uvicorn's loggers
    lose their own handlers: start it with ``log_config=None``, or it puts them back.

    Raises ``ValueError`` for an unknown level, or a secret too short to redact.
    """
    redactor = Redactor(secrets)
    handler = _Handler(sys.stderr if stream is None else stream)
    handler.setFormatter(HumanFormatter(redactor) if human else JsonFormatter(redactor))
    root = logging.getLogger()
    root.setLevel(level)
    for present in list(root.handlers):
        if type(present) in (_Handler, logging.StreamHandler):
            root.removeHandler(present)
    root.addHandler(handler)
    for name in UVICORN_LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.setLevel(logging.NOTSET)
        logger.propagate = True
    return handler


def _timestamp(created: float) -> str:
    return datetime.fromtimestamp(created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _encoded(fields: dict[str, object]) -> str:
    try:
        return orjson.dumps(fields, default=_shown, option=_OPTIONS).decode()
    except Exception:
        # Lone surrogates, integers past 64 bits, values that hold themselves.
        return orjson.dumps(_plain(fields, MAX_DEPTH)).decode()


def _is_json(line: str) -> bool:
    try:
        orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    return True


def _plain(value: object, depth: int) -> object:
    """``value`` as JSON data that orjson takes for certain."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if depth and isinstance(value, dict):
        return {str(_plain(_shown(name), 0)): _plain(item, depth - 1) for name, item in value.items()}
    if depth and isinstance(value, list | tuple):
        return [_plain(item, depth - 1) for item in value]
    return _plain(_shown(value), 0) if depth else f"<{type(value).__name__}>"


def _shown(value: object) -> str:
    """``value`` as text, even when its own methods fail."""
    try:
        return value if isinstance(value, str) else repr(value)
    except Exception as error:
        return f"<{type(value).__name__} that cannot be shown: {type(error).__name__}>"


def _traceback(exc_info: Any) -> str:
    try:
        return "".join(traceback.format_exception(*exc_info)).rstrip("\n")
    except Exception as error:
        return f"<traceback of {_shown(exc_info[0])} that cannot be shown: {type(error).__name__}>"
