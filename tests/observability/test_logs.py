"""Log lines as they leave the process."""

import dataclasses
import io
import json
import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgate_core import current_trace, new_trace
from voxgate_observability import REDACTED, HumanFormatter, JsonFormatter, Redactor, configure

logger = logging.getLogger("voxgate.test.logs")


@pytest.fixture(autouse=True)
def root() -> Iterator[logging.Logger]:
    """The root logger, put back as it was."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield root
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def stream() -> io.StringIO:
    stream = io.StringIO()
    configure("DEBUG", stream, secrets=["registered-secret"])
    return stream


def last(stream: io.StringIO) -> dict[str, Any]:
    line: dict[str, Any] = json.loads(stream.getvalue().splitlines()[-1])
    return line


def test_a_line_is_one_json_object_with_time_level_logger_and_message(stream: io.StringIO) -> None:
    logger.warning("%d of %s", 3, "four")
    assert stream.getvalue().count("\n") == 1
    line = last(stream)
    assert line.pop("ts").endswith("Z")
    assert line == {"level": "WARNING", "logger": "voxgate.test.logs", "message": "3 of four"}


def test_the_current_trace_is_in_the_line_and_beats_one_given_as_an_extra(stream: io.StringIO) -> None:
    logger.info("without", extra={"traceId": "given"})
    assert last(stream)["traceId"] == "given"
    trace = new_trace()
    token = current_trace.set(trace)
    logger.info("within", extra={"traceId": "given"})
    current_trace.reset(token)
    assert last(stream)["traceId"] == trace.trace_id
    logger.info("neither", extra={"traceId": 7})
    assert "traceId" not in last(stream)


def test_extras_are_members_and_never_replace_ours(stream: io.StringIO) -> None:
    logger.info("m", extra={"session": "s", "level": "fake", "n": {"a": [1, None]}, "color_message": "x"})
    line = last(stream)
    assert (line["session"], line["level"], line["level_"], line["n"]) == ("s", "INFO", "fake", {"a": [1, None]})
    assert "color_message" not in line


def test_an_exception_comes_with_its_traceback_redacted(stream: io.StringIO) -> None:
    try:
        raise RuntimeError("Authorization: Bearer hunter2hunter2 registered-secret")
    except RuntimeError:
        logger.exception("failed", stack_info=True)
    line = last(stream)
    assert "Traceback" in line["exception"]
    assert "test_logs.py" in line["exception"]
    assert line["stack"].startswith("Stack")
    assert "hunter2" not in stream.getvalue()
    assert "registered-secret" not in stream.getvalue()


def test_a_message_given_as_an_argument_is_redacted(stream: io.StringIO) -> None:
    logger.info("key %s", "vk_AbCdEfGhIjKlMnOp")
    assert last(stream)["message"] == f"key vk_AbCd{REDACTED}"


def test_numbers_under_a_secret_s_name_leave_the_line_json(stream: io.StringIO) -> None:
    logger.info("m", extra={"api_key": 12345, "password": ["hunter2"], "jwt_secret": {"kid": "abc"}})
    line = last(stream)
    assert line["api_key"] == REDACTED
    assert line["password"] == [REDACTED]


def test_a_secret_that_looks_like_structure_leaves_the_line_json(root: logging.Logger) -> None:
    stream = io.StringIO()
    configure("INFO", stream, secrets=['"logger":'])
    logger.info("m")
    assert last(stream)["level"] == "INFO"
    assert REDACTED in last(stream)["message"]


class Hostile:
    def __repr__(self) -> str:
        raise RuntimeError("no")


@dataclasses.dataclass
class Settings:
    name: str
    hidden: str = dataclasses.field(repr=False)


def test_a_dataclass_shows_only_what_its_repr_shows(stream: io.StringIO) -> None:
    logger.info("m", extra={"settings": Settings("n", "hunter2")})
    assert last(stream)["settings"] == "Settings(name='n')"


def circular() -> list[object]:
    loop: list[object] = []
    loop.append(loop)
    return loop


@pytest.mark.parametrize(
    "value",
    [Hostile(), object(), b"bytes", {1, 2}, 2**80, -(2**80), "\ud800", {"\ud800": "\udfff"}, {(1, 2): 3}, float("nan"),
     circular(), {"a": circular()}, range(3), Exception("e"), {Hostile: Hostile()}, None, True, 1.5, [2**80, False, None]],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_no_extra_makes_logging_raise(stream: io.StringIO, value: object, capsys: pytest.CaptureFixture[str]) -> None:
    logger.info("m", extra={"value": value})
    assert last(stream)["message"] == "m"
    assert "value" in last(stream)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("args", [("many",), (1, Hostile())])
def test_a_message_with_the_wrong_arguments_is_still_a_line(args: tuple[object, ...]) -> None:
    record = logging.LogRecord("n", logging.INFO, "p", 1, "%d things", args, None)
    assert "%d things (arguments" in json.loads(JsonFormatter().format(record))["message"]


def test_a_message_that_is_no_text_is_shown(stream: io.StringIO) -> None:
    logger.info({"a": 1})
    assert last(stream)["message"] == "{'a': 1}"


def test_an_exception_whose_text_fails_is_still_a_line(stream: io.StringIO) -> None:
    class Broken(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no")

    try:
        raise Broken
    except Broken:
        logger.exception("failed")
    assert "Broken" in last(stream)["exception"]


def test_a_traceback_that_cannot_be_made_is_named() -> None:
    record = logging.LogRecord("n", logging.ERROR, "p", 1, "m", (), (ValueError, "not an exception", "nor this"))  # type: ignore[arg-type]
    assert "that cannot be shown" in json.loads(JsonFormatter().format(record))["exception"]


def test_a_traceback_made_elsewhere_is_kept() -> None:
    record = logging.LogRecord("n", logging.ERROR, "p", 1, "m", (), None)
    record.exc_text = "Traceback from another process"
    assert json.loads(JsonFormatter().format(record))["exception"] == "Traceback from another process"


def test_configuring_twice_writes_each_line_once(root: logging.Logger) -> None:
    first, second = io.StringIO(), io.StringIO()
    configure("INFO", first)
    configure("INFO", second)
    logger.info("m")
    assert first.getvalue() == ""
    assert second.getvalue().count("\n") == 1


def test_a_handler_of_basic_config_does_not_stay_beside_ours(root: logging.Logger) -> None:
    plain = io.StringIO()
    root.addHandler(logging.StreamHandler(plain))
    own = io.StringIO()
    configure("INFO", own)
    logger.info("Bearer hunter2hunter2")
    assert plain.getvalue() == ""
    assert "hunter2" not in own.getvalue()


def test_uvicorn_s_loggers_write_through_ours(stream: io.StringIO) -> None:
    access = logging.getLogger("uvicorn.access")
    access.addHandler(logging.StreamHandler(io.StringIO()))
    access.propagate = False
    configure("INFO", stream)
    access.info('%s - "%s %s HTTP/%s" %d', "127.0.0.1:1", "GET", "/realtime?token=hunter2", "1.1", 200)
    assert last(stream)["logger"] == "uvicorn.access"
    assert "hunter2" not in stream.getvalue()


def test_the_level_is_obeyed_and_an_unknown_one_refused(root: logging.Logger) -> None:
    stream = io.StringIO()
    configure(logging.ERROR, stream)
    logger.warning("m")
    assert stream.getvalue() == ""
    with pytest.raises(ValueError, match="LOUD"):
        configure("LOUD", stream)


def test_the_default_stream_is_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    handler = configure("INFO")
    logger.info("m")
    assert isinstance(handler, logging.StreamHandler)
    assert handler.stream is sys.stderr
    assert json.loads(capsys.readouterr().err)["message"] == "m"


def test_a_line_for_people_has_trace_and_extras_and_cannot_be_forged(root: logging.Logger) -> None:
    stream = io.StringIO()
    configure("INFO", stream, secrets=["registered-secret"], human=True)
    trace = new_trace()
    token = current_trace.set(trace)
    logger.info("one\ntwo \x1b[31m registered-secret", extra={"session": "s"})
    current_trace.reset(token)
    [line] = stream.getvalue().splitlines()
    assert f"voxgate.test.logs: one\\x0atwo \\x1b[31m {REDACTED} session=s [{trace.trace_id}]" in line
    try:
        raise RuntimeError("Bearer hunter2hunter2")
    except RuntimeError:
        logger.exception("failed")
    assert "Traceback" in stream.getvalue()
    assert "hunter2" not in stream.getvalue()


@given(
    st.text(), st.dictionaries(st.text(min_size=1), st.text() | st.integers() | st.binary() | st.floats(), max_size=3)
)
def test_whatever_is_logged_the_line_is_json(message: str, extras: dict[str, object]) -> None:
    record = logging.LogRecord("n", logging.INFO, "p", 1, "%s", (message,), None)
    record.__dict__.update({f"x{name}": value for name, value in extras.items()})
    formatter = JsonFormatter(Redactor(["api_key"]))
    line = formatter.format(record)
    assert "\n" not in line
    assert isinstance(json.loads(line), dict)


@given(st.text(alphabet='ab"\\:,{}[]0 \n', max_size=30), st.integers() | st.text(max_size=5))
def test_a_secret_s_name_anywhere_leaves_the_line_json(message: str, value: object) -> None:
    record = logging.LogRecord("n", logging.INFO, "p", 1, f"api_key{message}password={message}", (), None)
    record.__dict__["api_key"] = value
    assert isinstance(json.loads(JsonFormatter().format(record)), dict)


def test_both_formatters_work_without_a_redactor_given() -> None:
    record = logging.LogRecord("n", logging.INFO, "p", 1, "Bearer hunter2hunter2", (), None)
    for formatter in (JsonFormatter(), HumanFormatter()):
        assert "hunter2" not in formatter.format(record)
