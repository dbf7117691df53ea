"""The operator's client: which gateway it asks with which key, and what it says when that goes wrong."""

import asyncio
import json
import os
import socket
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fanout.receivers import CLOSE, HANG, RESET, Answer, Receiver
from tests.fanout.serving import control
from voxgate_fanout.operator_client import OperatorClient, Refused, Unreachable, _is_trusted, running_gateway

KEY = "vk_key-of-an-operator"
GATEWAY = "https://gateway.example"


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def answer(body: object, status: int = 200, **headers: str) -> Answer:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, content)


DONE = answer({"success": True, "data": {"n": 1}})


def client(receiver: Receiver, seconds: float = 10.0) -> OperatorClient:
    return OperatorClient(httpx.URL(receiver.url_of("127.0.0.1", "/")), KEY, "look at it", seconds)


async def call(work: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
    """In a thread, as the receiver is served by this one."""
    return await asyncio.to_thread(work)


async def test_requests_carry_the_key_and_answers_give_their_data() -> None:
    async with Receiver(default=DONE) as receiver:
        asked = client(receiver)
        assert await call(lambda: asked.get("targets", query={"limit": 3})) == {"n": 1}
        assert await call(lambda: asked.post("targets", "billing", "disable", body={"reason": "ü"})) == {"n": 1}
        assert await call(lambda: asked.delete("targets", "billing")) == {"n": 1}
    seen = [(request.method, request.path, request.body) for request in receiver.received]
    assert seen == [
        ("GET", "/api/voice/fanout/targets?limit=3", b""),
        ("POST", "/api/voice/fanout/targets/billing/disable", b'{"reason": "\\u00fc"}'),
        ("DELETE", "/api/voice/fanout/targets/billing", b""),
    ]
    assert {request.headers["authorization"] for request in receiver.received} == {f"Bearer {KEY}"}
    assert receiver.received[1].headers["content-type"] == "application/json"


@pytest.mark.parametrize("name", ["..", ".", "a/b", "../../x", "%2F", "a?b", "a#b", "\\", "é", "\udcff", " ", "a\r\nb"])
async def test_no_text_in_a_path_leads_out_of_it(name: str) -> None:
    async with Receiver(default=DONE) as receiver:
        await call(lambda: client(receiver).post("targets", name, "disable", body={}))
    begin, end = "/api/voice/fanout/targets/", "/disable"
    path = receiver.received[0].path
    assert path.startswith(begin)
    assert path.endswith(end)
    assert not set(path[len(begin) : -len(end)]) & set("/.?#\\ ")


async def test_the_gateway_s_reason_is_told_in_one_line() -> None:
    faults = {"code": "invalid_input", "message": "not sound", "details": {"faults": ["url is odd", "name is odd"]}}
    fields = [{"at": ["query", "limit"], "message": "too much", "type": "x"}, {"at": ["path", "a", 1]}, "odd"]
    said = {
        "not sound: url is odd; name is odd": faults,
        "no: limit: too much": {"code": "invalid_input", "message": "no", "details": {"limit": "too much"}},
        "no: limit: too much; a.1: None; odd": {"message": "no", "details": {"fields": fields, "faults": 3}},
        "no": {"message": "no", "details": {"limit": 3}},
        "taken": {"code": "conflict", "message": "taken"},
        "no reason was given": {},
    }
    for expected, error in said.items():
        async with Receiver(answer({"success": False, "error": error}, 422)) as receiver:
            with pytest.raises(Refused) as caught:
                await call(lambda: client(receiver).get("targets"))
            assert str(caught.value) == expected


@pytest.mark.parametrize("code", ["credential_missing", "credential_invalid", "role_refused", "unavailable"])
async def test_a_refusal_that_can_be_mended_says_how(code: str) -> None:
    async with Receiver(answer({"success": False, "error": {"code": code, "message": "no"}}, 401)) as receiver:
        with pytest.raises(Refused, match="no; (set VOXGATE_KEY to an operator key|try again)"):
            await call(lambda: client(receiver).get("targets"))


FOREIGN = [
    answer(b"<html>", 200), answer(b"", 204), answer(b"\xff\xfe", 200), answer([], 200), answer("text", 200),
    answer({"success": True}, 200), answer({"success": True, "data": []}, 200), answer({"data": {}}, 200),
    answer({"success": False, "error": "no"}, 500), answer({"error": {"message": "no"}}, 404), answer(None, 200),
    answer(b"", 301, location="http://127.0.0.1:1/elsewhere"), answer(b"[" * 100_000, 200),
]  # fmt: skip


@pytest.mark.parametrize("foreign", FOREIGN)
async def test_what_is_no_gateway_is_not_taken_for_one(foreign: Answer) -> None:
    async with Receiver(foreign) as receiver:
        with pytest.raises(Unreachable, match=f"HTTP {foreign.status}.*is no gateway.*look at it"):
            await call(lambda: client(receiver).get("targets"))
        assert len(receiver.received) == 1


@pytest.mark.parametrize("silent", [CLOSE, RESET, Answer(raw=b"nonsense\r\n\r\n", then="close")])
async def test_a_gateway_that_gives_no_answer_is_not_reached(silent: Answer) -> None:
    async with Receiver(silent) as receiver:
        with pytest.raises(Unreachable, match="no gateway answers at http://127.0.0.1.*look at it"):
            await call(lambda: client(receiver).get("targets"))


async def test_a_gateway_that_takes_too_long_is_given_up() -> None:
    async with Receiver(HANG) as receiver:
        with pytest.raises(Unreachable, match="took too long"):
            await call(lambda: client(receiver, 0.05).get("targets"))


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def test_a_gateway_that_has_ended_is_not_reached_and_its_file_is_named(tmp_path: Path) -> None:
    path = control(tmp_path, f"http://127.0.0.1:{closed_port()}", KEY)
    with pytest.raises(Unreachable, match="no gateway answers") as caught:
        running_gateway(None, None, tmp_path).get("targets")
    assert f"{path} may be left from one that has ended" in str(caught.value)
    assert KEY not in f"{caught.value} {running_gateway(None, None, tmp_path)!r}"


async def test_a_proxy_is_not_asked_for_what_is_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Receiver(default=DONE) as proxy, Receiver(default=DONE) as gateway:
        for name in ("HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url_of("127.0.0.1", ""))
        for host in ("127.0.0.1", "localhost", "0.0.0.0"):
            asked = OperatorClient(httpx.URL(gateway.url_of(host, "")), KEY, "")
            assert await call(partial(asked.get, "targets")) == {"n": 1}
        assert (len(proxy.received), len(gateway.received)) == (0, 3)
        await call(lambda: OperatorClient(httpx.URL("http://gateway.example"), KEY, "").get("targets"))
        assert [request.path for request in proxy.received] == ["http://gateway.example/api/voice/fanout/targets"]


def test_without_a_url_the_control_file_tells_gateway_and_key(tmp_path: Path) -> None:
    control(tmp_path, "http://127.0.0.1:8080/", KEY)
    for own_key in (None, "vk_another", ""):  # which would be of another gateway
        found = running_gateway(None, own_key, tmp_path)
        assert (str(found.url).rstrip("/"), found.key) == ("http://127.0.0.1:8080", KEY)


def test_with_a_url_its_own_key_is_sent(tmp_path: Path) -> None:
    control(tmp_path, "http://127.0.0.1:8080", "vk_of-the-file")
    found = running_gateway(f"{GATEWAY}/", f" {KEY}\n", tmp_path)
    assert (found.url.host, found.key) == ("gateway.example", KEY)


def test_the_key_of_the_file_goes_to_no_other_gateway(tmp_path: Path) -> None:
    control(tmp_path, "http://127.0.0.1:8080", KEY)
    assert running_gateway("http://127.0.0.1:8080/", None, tmp_path).key == KEY
    for url in (GATEWAY, "http://127.0.0.1:8081", "https://127.0.0.1:8080", "http://localhost:8080"):
        with pytest.raises(Unreachable, match="no key.*VOXGATE_KEY"):
            running_gateway(url, None, tmp_path)


@pytest.mark.parametrize("key", ["", " ", "vk_\nx", "vk_é", "\x00"])
def test_a_key_that_is_none_is_not_sent(tmp_path: Path, key: str) -> None:
    with pytest.raises(Unreachable, match="set VOXGATE_KEY"):
        running_gateway(GATEWAY, key, tmp_path)


@pytest.mark.parametrize(
    "url",
    ["gateway.example", "ftp://gateway.example", "http://", "https://u:hunter2@gateway.example", "http://x:99999", "x" * 70_000,
     "http://[::1", "https://gateway.example?key=hunter2", "https://gateway.example#x", "file:///etc/passwd", "\x00"],
)  # fmt: skip
def test_a_url_that_is_none_is_refused_and_not_repeated(tmp_path: Path, url: str) -> None:
    with pytest.raises(Unreachable, match="--url must begin with") as caught:
        running_gateway(url, KEY, tmp_path)
    assert "hunter2" not in str(caught.value)


def test_without_a_control_file_nothing_runs_there_and_it_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path, tmp_path / "nothing", tmp_path / "file"):
        with pytest.raises(Unreachable, match="no gateway runs.*voxgate serve.*--data-dir.*--url.*VOXGATE_KEY"):
            running_gateway(None, KEY, folder)


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[]", b"null", b"\xff", b"{}", b'{"url": "http://127.0.0.1:1"}', b'{"url": 1, "key": "k"}',
        b'{"url": "http://127.0.0.1:1", "key": null}', b'{"url": "ftp://x", "key": "k"}', b"[" * 10_000,
        b'{"url": "http://127.0.0.1:1", "key": "a\\nb"}', b'{"url": "http://127.0.0.1:1", "key": "k"}' + b" " * 20_000,
    ],
)  # fmt: skip
def test_a_control_file_that_can_not_be_understood_says_so(tmp_path: Path, content: bytes) -> None:
    control(tmp_path, GATEWAY).write_bytes(content)
    with pytest.raises(Unreachable, match="can't be understood: restart its gateway"):
        running_gateway(None, None, tmp_path)


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "control.json", 0o600)
    with pytest.raises(Unreachable, match="can't be understood"):
        running_gateway(None, None, tmp_path)


def test_a_control_file_that_can_not_be_read_says_why(tmp_path: Path) -> None:
    (tmp_path / "control.json").symlink_to(tmp_path / "control.json")
    with pytest.raises(Unreachable, match=r"can't be read \(.+\): run this as the gateway's user"):
        running_gateway(None, None, tmp_path)
    (tmp_path / "control.json").unlink()
    (tmp_path / "control.json").mkdir()
    with pytest.raises(Unreachable, match=r"can't be read \(.+\)"):
        running_gateway(None, None, tmp_path)


@pytest.mark.parametrize(("mode", "trusted"), [(0o600, True), (0o644, True), (0o660, False), (0o602, False)])
def test_a_control_file_that_others_may_write_is_not_believed(tmp_path: Path, mode: int, trusted: bool) -> None:
    control(tmp_path, GATEWAY).chmod(mode)
    if trusted:
        assert running_gateway(None, None, tmp_path).url.host == "gateway.example"
    else:
        with pytest.raises(Unreachable, match="may have been written by others"):
            running_gateway(None, None, tmp_path)


@pytest.mark.parametrize(
    ("owner", "user", "trusted"), [(1000, 1000, True), (0, 1000, True), (1001, 1000, False), (1001, 0, True)]
)
def test_a_control_file_is_believed_if_it_is_ours_or_root_s(owner: int, user: int, trusted: bool) -> None:
    """Root operates gateways that run as other users, and could do so anyway."""
    status = os.stat_result((0o100600, 1, 1, 1, owner, owner, 10, 0, 0, 0))
    assert _is_trusted(status, user) is trusted
