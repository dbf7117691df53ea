import base64
import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgate_core import VoxgateError
from voxgate_realtime.handshake import (
    MAX_QUERY_FIELDS,
    MAX_TOKEN,
    Resume,
    auth_success,
    check_upgrade,
    find_credential,
    parse_upgrade,
    read_auth_message,
)

KEY = base64.b64encode(bytes(16)).decode()
UPGRADE = (
    "Host: x",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    f"Sec-WebSocket-Key: {KEY}",
)


def head(*lines: str, target: str = "/realtime", method: str = "GET") -> bytes:
    return "\r\n".join([f"{method} {target} HTTP/1.1", *lines, "", ""]).encode("latin-1")


def test_path_query_and_headers_are_read() -> None:
    upgrade = parse_upgrade(head("X-One: a", "x-one:b", target="/v1/realtime?model=m%2F1&x="))
    assert (upgrade.method, upgrade.path, upgrade.read_query()) == ("GET", "/v1/realtime", ("m/1", None))
    assert upgrade.values(b"x-one") == [b"a", b"b"]


@pytest.mark.parametrize(
    "data",
    [b"", b"\r\n\r\n", b"GET /\r\n\r\n", b"GET /\xff HTTP/1.1\r\n\r\n"],
)  # fmt: skip
def test_a_head_that_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(VoxgateError) as refused:
        parse_upgrade(data)
    assert refused.value.code == "bad_request"


def test_a_query_of_many_fields_is_refused_when_it_is_read() -> None:
    upgrade = parse_upgrade(head(target="/realtime?" + "a=1&" * (MAX_QUERY_FIELDS + 1)))
    with pytest.raises(VoxgateError) as refused:
        upgrade.read_query()
    assert refused.value.code == "bad_request"


@pytest.mark.parametrize(
    ("query", "resume"),
    [
        ("resume=sess_1&last_event_id=event_2", Resume("sess_1", "event_2")),
        ("resume=sess_1", Resume("sess_1", None)),
        ("resume=sess_1&last_event_id=", Resume("sess_1", None)),
        ("resume=&last_event_id=event_2", None),
        ("last_event_id=event_2", None),
    ],
)
def test_the_session_asked_back_is_read(query: str, resume: Resume | None) -> None:
    assert parse_upgrade(head(target=f"/realtime?{query}")).read_query() == (None, resume)


def test_an_origin_is_judged_as_it_was_sent() -> None:
    upgrade = parse_upgrade(head("Origin: https://a.example \t", "X: y \t"))
    assert upgrade.origins == [b"https://a.example \t"]
    assert upgrade.values(b"x") == [b"y"]


@given(st.binary(max_size=300))
def test_no_bytes_make_the_reader_fail_otherwise(data: bytes) -> None:
    with contextlib.suppress(VoxgateError):  # anything else that is raised fails the test
        upgrade = parse_upgrade(data)
        find_credential(upgrade)
        check_upgrade(upgrade)


def test_a_whole_upgrade_yields_its_key() -> None:
    assert check_upgrade(parse_upgrade(head(*UPGRADE))) == KEY.encode()


@pytest.mark.parametrize(
    ("lines", "method", "code"),
    [
        (UPGRADE, "POST", "method_not_allowed"),
        (UPGRADE[:3] + UPGRADE[4:], "GET", "upgrade_required"),
        (UPGRADE[:3] + ("Sec-WebSocket-Version: 8",) + UPGRADE[4:], "GET", "upgrade_required"),
        (UPGRADE[:4], "GET", "bad_request"),
        (UPGRADE[1:], "GET", "bad_request"),
        ((*UPGRADE, "Host: y"), "GET", "bad_request"),
        ((*UPGRADE, "Content-Length: 5"), "GET", "bad_request"),
        ((*UPGRADE, "Transfer-Encoding: chunked"), "GET", "bad_request"),
        (UPGRADE[:4] + ("Sec-WebSocket-Key: short",), "GET", "bad_request"),
        (UPGRADE[:4] + (f"Sec-WebSocket-Key: {KEY}!",), "GET", "bad_request"),
        (UPGRADE + (UPGRADE[4],), "GET", "bad_request"),
    ],
)
def test_a_faulty_upgrade_is_refused(lines: tuple[str, ...], method: str, code: str) -> None:
    with pytest.raises(VoxgateError) as refused:
        check_upgrade(parse_upgrade(head(*lines, method=method)))
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("lines", "source"),
    [
        (["Authorization: Bearer tok"], "bearer"),
        (["authorization: bEaReR  tok "], "bearer"),
        (["Authorization: Bearer ek_tok"], "bearer"),
        (["api-key: tok"], "api-key"),
        (["Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.tok"], "subprotocol"),
        (["Sec-WebSocket-Protocol: realtime", "Sec-WebSocket-Protocol: bearer.ek_tok"], "subprotocol"),
        (["Sec-WebSocket-Protocol: bearer.other", "api-key: tok"], "api-key"),
        (["api-key: other", "Authorization: Bearer tok"], "bearer"),
        (["Authorization: Basic dTpw", "api-key: tok"], "api-key"),
    ],
)
def test_the_first_credential_found_wins(lines: list[str], source: str) -> None:
    credential = find_credential(parse_upgrade(head(*lines)))
    assert credential is not None
    assert (credential.token.removeprefix("ek_"), credential.source) == ("tok", source)


@pytest.mark.parametrize(
    ("lines", "target"),
    [
        ([], "/realtime"),
        ([], "/realtime?token=tok&access_token=tok&api-key=tok&authorization=Bearer%20tok"),
        (["Authorization: Basic dTpw"], "/realtime"),
        (["Cookie: token=tok"], "/realtime"),
        (["Sec-WebSocket-Protocol: realtime"], "/realtime"),
    ],
)
def test_a_credential_is_looked_for_nowhere_else(lines: list[str], target: str) -> None:
    assert find_credential(parse_upgrade(head(*lines, target=target))) is None


@pytest.mark.parametrize(
    "lines",
    [
        ["Authorization: Bearer a", "Authorization: Bearer b"],
        ["api-key: a", "api-key: b"],
        ["Authorization: Bearer "],
        ["Authorization: Bearer \xe9"],
        ["api-key:"],
        [f"api-key: {'a' * (MAX_TOKEN + 1)}"],
    ],
)
def test_a_credential_that_cannot_be_a_token_is_invalid(lines: list[str]) -> None:
    with pytest.raises(VoxgateError) as refused:
        find_credential(parse_upgrade(head(*lines)))
    assert refused.value.kind.close_code == 4003


@pytest.mark.parametrize(
    ("offered", "echoed"),
    [
        ("realtime, openai-insecure-api-key.tok", "realtime"),
        ("openai-insecure-api-key.tok,realtime,openai-beta.realtime-v1", "realtime"),
        ("openai-insecure-api-key.tok", None),
        ("openai-beta.realtime-v1", None),
    ],
)
def test_only_the_subprotocol_realtime_is_ever_echoed(offered: str, echoed: str | None) -> None:
    assert parse_upgrade(head(f"Sec-WebSocket-Protocol: {offered}")).subprotocol == echoed


def test_a_first_message_may_carry_the_credential() -> None:
    assert read_auth_message(b'{"type":"auth","token":"ek_tok"}').token == "ek_tok"  # the verifier's prefix


@pytest.mark.parametrize(
    "message",
    [b"", b"{}", b'{"type":"auth"}', b'{"type":"hello","token":"t"}', b'{"type":"auth","token":1}', b"\xff",
     b'{"type":"auth","token":"t","more":1}', b"[" * 10_000],
)  # fmt: skip
def test_any_other_first_message_is_no_credential(message: bytes) -> None:
    with pytest.raises(VoxgateError) as refused:
        read_auth_message(message)
    assert refused.value.kind.close_code == 4001


def test_an_empty_token_in_the_first_message_is_invalid() -> None:
    with pytest.raises(VoxgateError) as refused:
        read_auth_message(b'{"type":"auth","token":""}')
    assert refused.value.kind.close_code == 4003


def test_neither_credential_nor_headers_show_in_a_repr() -> None:
    upgrade = parse_upgrade(head("Authorization: Bearer s3cret"))
    assert "s3cret" not in repr(upgrade) + repr(find_credential(upgrade))


def test_success_is_announced_with_what_a_client_needs_to_resume() -> None:
    event = json.loads(auth_success("s", expires_at=5, resumed=False, received=0))
    assert event == {"type": "auth_success", "sessionId": "s", "resumed": False, "expiresAt": 5, "received": 0}
