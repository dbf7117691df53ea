import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.gates.samples import fake_gateway
from voxgate_gates import ABSENT, Answer, Probe, Target, Unjudged
from voxgate_gates.probe import http_client


@asynccontextmanager
async def probe_of(*lies: str) -> AsyncIterator[Probe]:
    async with fake_gateway(*lies) as target, http_client(target) as client:
        yield Probe(target, client, target.redactor(), "security.sample")


async def test_a_request_is_written_down_without_its_key() -> None:
    async with probe_of() as probe:
        target = probe.target
        answer = await probe.http("POST", target.routes.token, origin=target.origin, bearer=target.key, json={"a": 1})
        assert answer.status == 200
        assert target.key is not None
        assert target.key not in probe.request + probe.reproduce
        assert '-H "Authorization: Bearer $VOXGATE_KEY"' in probe.reproduce
        assert probe.request.endswith('{"a":1}')
        assert probe.trace_id == answer.headers["x-trace-id"]
        assert probe.trace_id in probe.request


async def test_setup_requests_are_not_shown() -> None:
    async with probe_of() as probe:
        before = probe.reproduce
        assert before == f"voxgate gates --target {probe.target.url} --only security.sample"
        await probe.mint()
        await probe.http("GET", "/", setup=True)
        assert (probe.request, probe.reproduce, probe.trace_id) == ("", before, "")


async def test_a_token_is_minted_and_hidden_from_then_on() -> None:
    async with probe_of() as probe:
        token = await probe.mint(ttl=60)
        assert token.expires_in == 60
        async with probe.socket("/realtime", token=token.value, origin=probe.target.origin) as channel:
            await channel.send({"type": "auth", "token": token.value})
        assert token.value not in probe.request + probe.reproduce
        assert "Bearer $TOKEN" in probe.reproduce
        assert '"$TOKEN"' in probe.request


async def test_no_token_to_begin_with_leaves_the_check_unjudged() -> None:
    async with probe_of("no-tokens") as probe:
        with pytest.raises(Unjudged, match="answered 503"):
            await probe.mint()


async def test_a_token_answer_without_its_parts_leaves_the_check_unjudged() -> None:
    async def answer_oddly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = b'{"data": {"token": "t"}}'
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
        writer.close()

    server = await asyncio.start_server(answer_oddly, "127.0.0.1", 0)
    async with server:
        target = Target(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        async with http_client(target) as client:
            with pytest.raises(Unjudged, match="without 'expiresIn'"):
                await Probe(target, client, target.redactor(), "x").mint()


async def test_a_refused_handshake_is_a_channel_with_the_status() -> None:
    async with probe_of() as probe, probe.socket("/realtime", origin="https://evil.test") as channel:
        assert channel.facts()["STATUS"] == 403


async def test_a_long_message_is_reproduced_by_running_the_check_again() -> None:
    async with probe_of() as probe:
        async with probe.socket("/realtime", origin=probe.target.origin) as channel:
            await channel.send("x" * 1000)
        assert probe.reproduce.startswith("voxgate gates --target")


async def test_raw_bytes_are_answered_and_reproduced_by_printf() -> None:
    async with probe_of() as probe:
        received = await probe.raw(b"nonsense\r\n\r\n")
        assert received.startswith(b"HTTP/1.1 400")
        assert probe.reproduce.startswith("python3 -c 'import socket")


async def test_a_port_that_never_hangs_up_is_given_up_on() -> None:
    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    async with server:
        target = Target(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        async with http_client(target) as client:
            with pytest.raises(TimeoutError):
                await Probe(target, client, target.redactor(), "x").raw(b"x", seconds=0.1)


async def test_the_key_is_found_in_an_answer_and_a_token_is_not_taken_for_it() -> None:
    async with probe_of() as probe:
        key = probe.target.key
        assert key is not None
        assert probe.leaks_key(Answer(200, {"x-caller": f"Bearer {key}"}, b""))
        assert probe.leaks_key(Answer(200, {}, key.encode()))
        token = await probe.mint()
        assert not probe.leaks_key(Answer(200, {}, token.value.encode()))


def test_an_answer_becomes_facts() -> None:
    facts = Answer(200, {"vary": "Accept, Origin"}, b"<html>").facts()
    assert facts["STATUS"] == 200
    assert facts["BODY"] is ABSENT
    assert facts["VARY"] == ["accept", "origin"]
    assert facts["ENVELOPE_FAULTS"] == ["the body is not a JSON object"]


async def test_a_huge_body_is_written_down_only_when_a_command_can_make_it() -> None:
    async with probe_of() as probe:
        await probe.http("POST", "/nowhere", content=b"a" * 100_000)
        assert probe.reproduce.startswith("head -c 100000 /dev/zero")
        await probe.http("POST", "/nowhere", content=b"ab" * 100_000)
        assert f"({64 * 1024} characters)" in probe.request


async def test_a_check_of_several_steps_is_reproduced_whole() -> None:
    async with probe_of() as probe:
        probe.reproduce_whole()
        await probe.http("GET", "/")
        assert probe.request.startswith("GET ")
        assert probe.reproduce == f"voxgate gates --target {probe.target.url} --only security.sample"


async def test_a_request_goes_to_another_base_when_one_is_given() -> None:
    async with fake_gateway("fixed-trace") as other, probe_of() as probe:
        answer = await probe.http("GET", "/api/health", base=other.url)
        assert answer.headers["x-trace-id"] == "ab" * 16
        assert probe.request.startswith(f"GET {other.url}/api/health\n")


async def test_the_shim_on_this_machine_is_reached_past_any_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    async with fake_gateway() as shim, http_client(Target("http://voice.test")) as client:
        probe = Probe(Target("http://voice.test"), client, shim.redactor(), "data.sample")
        assert (await probe.http("GET", "/api/health", base=shim.url)).status == 200
