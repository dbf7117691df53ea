"""Bodies are read strictly, and what is wrong with one is said by field."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.realtime import RealtimeSessionCreateResponse

from voxgate_core import ConfigurationError, Leash, VoxgateError
from voxgate_security.requests import (
    ClientSecretBody,
    RevokeBody,
    TokenBody,
    check_public_url,
    read_body,
    realtime_url,
    session_settings,
)

JSON = [b"application/json"]


def refusal(shape: Any, body: object, content_types: list[bytes] | None = None) -> VoxgateError:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(VoxgateError) as caught:
        read_body(shape, JSON if content_types is None else content_types, raw)
    return caught.value


def test_no_body_is_an_empty_object_whatever_its_type() -> None:
    assert read_body(TokenBody, [], b"") == TokenBody()
    assert read_body(ClientSecretBody, [b"text/plain"], b"").expires_after.seconds == 600


def test_a_whole_body_is_read() -> None:
    raw = json.dumps(
        {
            "sub": "a",
            "scope": ["x"],
            "ttl": 60,
            "origin": "https://a",
            "leash": {"seconds": 1},
        }
    ).encode()
    body = read_body(TokenBody, [b"Application/JSON; charset=UTF-8"], raw)
    assert (body.sub, body.scope, body.ttl, body.origin) == ("a", ["x"], 60, "https://a")
    assert body.leash.leash() == Leash(seconds=1)


@pytest.mark.parametrize(
    "content_types",
    [[], [b"text/plain"], [b"application/jsonx"], [b"application/x-www-form-urlencoded"], [b""], JSON * 2]
    + [[b"application/json; charset=utf-16"], [b"text/json"], [b"\xff"]],
)
def test_another_content_type_is_not_guessed_at(content_types: list[bytes]) -> None:
    assert refusal(TokenBody, {}, content_types).code == "unsupported_media_type"


@pytest.mark.parametrize("charset", [b"", b"; charset=utf-8", b';charset="utf-8"', b"; profile=x"])
def test_parameters_of_the_content_type_are_allowed(charset: bytes) -> None:
    assert read_body(TokenBody, [b"application/json" + charset], b"{}") == TokenBody()


@pytest.mark.parametrize(
    "raw", [b"{", b"\xff", b'{"ttl":1,"ttl":2}', b'{"ttl":NaN}', b'{"sub":"\\ud800"}', b"[" * 999, b" "]
)
def test_what_is_not_json_is_malformed(raw: bytes) -> None:
    assert refusal(TokenBody, raw).code == "malformed_json"


@pytest.mark.parametrize(
    ("shape", "body", "field"),
    [
        (TokenBody, [], "body"),
        (TokenBody, None, "body"),
        (TokenBody, {"sub": 1}, "sub"),
        (TokenBody, {"sub": ""}, "sub"),
        (TokenBody, {"sub": "x" * 257}, "sub"),
        (TokenBody, {"admin": True}, "admin"),
        (TokenBody, {"ttl": "60"}, "ttl"),
        (TokenBody, {"ttl": 0}, "ttl"),
        (TokenBody, {"ttl": 1.5}, "ttl"),
        (TokenBody, {"ttl": True}, "ttl"),
        (TokenBody, {"scope": "realtime"}, "scope"),
        (TokenBody, {"scope": []}, "scope"),
        (TokenBody, {"leash": {"seconds": -1}}, "leash.seconds"),
        (TokenBody, {"leash": {"minutes": 1}}, "leash.minutes"),
        (TokenBody, {"leash": {"tokens": 1}}, "leash.tokens"),
        (TokenBody, {"leash": {"spend": 1.0}}, "leash.spend"),
        (TokenBody, {"leash": {"session": {}}}, "leash.session"),
        (TokenBody, {"origin": "x" * 300}, "origin"),
        (RevokeBody, {"sid": "x"}, "sid"),
        (RevokeBody, {"jti": ""}, "jti"),
        (ClientSecretBody, {"expires_after": {"seconds": 9}}, "expires_after.seconds"),
        (ClientSecretBody, {"expires_after": {"seconds": 7201}}, "expires_after.seconds"),
        (ClientSecretBody, {"expires_after": {"anchor": "now"}}, "expires_after.anchor"),
        (ClientSecretBody, {"session": {"type": "transcription"}}, "session.type"),
        (ClientSecretBody, {"session": {"type": "realtime", "voice": "alloy"}}, "session.voice"),
        (ClientSecretBody, {"session": {"modalities": ["text"]}}, "session.modalities"),
        (ClientSecretBody, {"session": {"output_modalities": ["text", "audio"]}}, "session.output_modalities"),
        (
            ClientSecretBody,
            {"session": {"audio": {"input": {"format": {"type": "mp3"}}}}},
            "session.audio.input.format.type",
        ),
        (ClientSecretBody, {"session": {"audio": {"input": {"format": {}}}}}, "session.audio.input.format.type"),
        (ClientSecretBody, {"session": {"audio": {"output": {"speed": 9}}}}, "session.audio.output.speed"),
    ],
)
def test_what_does_not_fit_is_named_by_field(shape: Any, body: object, field: str) -> None:
    error = refusal(shape, body)
    assert error.code == "invalid_input"
    assert list(error.details or {}) == [field]
    assert "x" * 50 not in str(error.details)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    for shape in (TokenBody, RevokeBody, ClientSecretBody):
        try:
            read_body(shape, JSON, raw)
        except VoxgateError as error:
            if error.code not in {"malformed_json", "invalid_input"}:
                raise


SESSION = {
    "type": "realtime",
    "model": "gpt-realtime-2.1",
    "instructions": "Be brief.",
    "output_modalities": ["audio"],
    "audio": {
        "input": {
            "format": {"type": "audio/pcm", "rate": 24000},
            "noise_reduction": {"type": "near_field"},
            "transcription": {"model": "gpt-4o-transcribe"},
            "turn_detection": {"type": "server_vad", "threshold": 0.5, "silence_duration_ms": 500},
        },
        "output": {"format": {"type": "audio/pcmu"}, "voice": "marin", "speed": 1.1},
    },
    "tools": [{"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}}],
    "tool_choice": "auto",
    "max_output_tokens": "inf",
    "truncation": "auto",
    "tracing": None,
}


def test_session_settings_are_kept_as_they_came() -> None:
    body = read_body(ClientSecretBody, JSON, json.dumps({"session": SESSION}).encode())
    settings = session_settings(body)
    assert settings == SESSION
    RealtimeSessionCreateResponse.model_validate(
        {**settings, "id": "sess_1", "object": "realtime.session"}, strict=True
    )
    assert session_settings(ClientSecretBody()) == {}


def test_push_to_talk_is_kept_as_null() -> None:
    raw = b'{"session":{"type":"realtime","audio":{"input":{"turn_detection":null}}}}'
    settings = session_settings(read_body(ClientSecretBody, JSON, raw))
    assert settings == {"type": "realtime", "audio": {"input": {"turn_detection": None}}}


@pytest.mark.parametrize("name", ["authorization", "headers"])
def test_secrets_of_tools_do_not_go_into_a_token(name: str) -> None:
    tool = {"type": "mcp", "server_label": "x", name: "hunter2"}
    body = read_body(ClientSecretBody, JSON, json.dumps({"session": {"tools": [tool]}}).encode())
    with pytest.raises(VoxgateError) as caught:
        session_settings(body)
    assert list(caught.value.details or {}) == [f"session.tools.0.{name}"]
    assert "hunter2" not in f"{caught.value} {caught.value.details}"


@pytest.mark.parametrize(
    ("url", "socket"),
    [
        ("https://voice.example.com", "wss://voice.example.com/realtime"),
        ("http://localhost:8080/", "ws://localhost:8080/realtime"),
        ("wss://Voice.example.com/base/", "wss://voice.example.com/base/realtime"),
        ("ws://[::1]:8080", "ws://[::1]:8080/realtime"),
    ],
)
def test_a_public_url_becomes_a_socket_url(url: str, socket: str) -> None:
    assert check_public_url(url) == socket


@pytest.mark.parametrize(
    "url",
    [
        "",
        "voice.example.com",
        "ftp://a.b",
        "https://",
        "https://u@a.b",
        "https://a.b?x",
        "https://a.b#x",
        "https://a.b:99999",
    ]
    + ["https://[::1", "https://a_b", "https://a.b:0", "//a.b"],
)
def test_a_wrong_public_url_is_a_fault(url: str) -> None:
    with pytest.raises(ConfigurationError, match="VOXGATE_PUBLIC_URL"):
        check_public_url(url)


@pytest.mark.parametrize(
    ("scheme", "host", "url"),
    [
        ("http", b"gateway.test", "ws://gateway.test/realtime"),
        ("https", b"Gateway.Test:8443", "wss://gateway.test:8443/realtime"),
        ("http", b"[::1]:80", "ws://[::1]:80/realtime"),
        ("http", b"127.0.0.1:8080", "ws://127.0.0.1:8080/realtime"),
    ],
)
def test_the_host_of_the_request_becomes_a_socket_url(scheme: str, host: bytes, url: str) -> None:
    assert realtime_url(scheme, [host]) == url


@pytest.mark.parametrize(
    "hosts",
    [[], [b""], [b"a.b", b"a.b"], [b"a b"], [b"a.b/x"], [b"u@a.b"], [b"a.b:x"], [b"a.b:"], [b"a.b:123456"], [b"\xff"]]
    + [[b"[::1"], [b"::1"], [b"a.b\x00"], [b"a.b:99999"], [b'"><script>']],
)
def test_a_host_that_is_none_is_refused(hosts: list[bytes]) -> None:
    with pytest.raises(VoxgateError, match="bad_request"):
        realtime_url("http", hosts)
