"""Targets that do harm to who judges them: too much, compressed, elsewhere, and written to be obeyed by a terminal."""

import asyncio
import contextlib
import gzip
import io
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from tests.gates.samples import made_check, made_report, made_result
from voxgate_gates import Probe, Redactor, Result, Target, Unjudged, Verdict, run_checks
from voxgate_gates.channel import MAX_EVENT_BYTES
from voxgate_gates.envelope import MAX_DEPTH
from voxgate_gates.probe import BODY_BYTES, Misanswered, http_client
from voxgate_gates.report import write_reports
from voxgate_gates.report.terminal import print_report

ESCAPES = "\x1b]0;owned\x07\x9b31m\u202egnp.exe \ud800"


@asynccontextmanager
async def answering(answer: Callable[[bytes], bytes]) -> AsyncIterator[Target]:
    """A target that answers every request with these bytes, given the request's head."""

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(await reader.readuntil(b"\r\n\r\n")))
        writer.close()

    async with await asyncio.start_server(respond, "127.0.0.1", 0) as server:
        yield Target(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")


def whole(body: bytes, *headers: str) -> bytes:
    lines = "".join(f"{header}\r\n" for header in headers)
    return f"HTTP/1.1 200 OK\r\nconnection: close\r\n{lines}content-length: {len(body)}\r\n\r\n".encode() + body


@asynccontextmanager
async def dripping() -> AsyncIterator[Target]:
    """A target that answers a byte at a time and never comes to the end."""
    gone = asyncio.Event()

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while not writer.is_closing():
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.01)  # how slowly it answers is what is judged
        writer.close()
        gone.set()

    async with await asyncio.start_server(drip, "127.0.0.1", 0) as server:
        yield Target(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        await gone.wait()


@asynccontextmanager
async def probe_of(target: Target) -> AsyncIterator[Probe]:
    async with http_client(target) as client:
        yield Probe(target, client, target.redactor(), "security.sample")


async def test_an_answer_without_end_is_not_read_to_its_end() -> None:
    async with answering(lambda _: whole(b"x" * (BODY_BYTES + 1))) as target, probe_of(target) as probe:
        with pytest.raises(Misanswered, match="larger than"):
            await probe.http("GET", "/")
    async with answering(lambda _: whole(b"x" * BODY_BYTES)) as target, probe_of(target) as probe:
        assert len((await probe.http("GET", "/")).content) == BODY_BYTES


async def test_a_compressed_answer_is_not_unpacked() -> None:
    heads: list[bytes] = []
    bomb = gzip.compress(gzip.compress(bytes(10_000_000)))

    def answer(head: bytes) -> bytes:
        heads.append(head.lower())
        return whole(bomb, "content-encoding: gzip, gzip")

    async with answering(answer) as target, probe_of(target) as probe:
        with pytest.raises(Misanswered, match="compressed"):
            await probe.http("GET", "/")
    assert b"accept-encoding: identity\r\n" in heads[0]


async def test_an_answer_that_drips_is_given_up_as_a_whole() -> None:
    async with dripping() as target, probe_of(target) as probe:
        with pytest.raises(TimeoutError):
            await probe.http("GET", "/", seconds=0.3)


async def test_such_an_answer_falls_short() -> None:
    async def ask(probe: Probe) -> dict[str, object]:
        return {"STATUS": (await probe.http("GET", "/")).status}

    async with answering(lambda _: whole(b"x" * (BODY_BYTES + 1))) as target:
        report = await run_checks(target, [made_check(run=ask)], version="test")
    [result] = report.results
    assert (result.verdict, "larger than" in result.got) == (Verdict.FAIL, True)


async def test_no_cookie_of_one_check_is_sent_by_another() -> None:
    heads: list[bytes] = []

    def answer(head: bytes) -> bytes:
        heads.append(head.lower())
        return whole(b"{}", "set-cookie: who=first")

    async with answering(answer) as target, http_client(target) as client:
        for check in ("security.one", "security.other"):
            await Probe(target, client, target.redactor(), check).http("GET", "/")
    assert len(heads) == 2
    assert not [head for head in heads if b"cookie" in head]


async def test_a_redirected_socket_is_not_followed_with_its_credential() -> None:
    reached = []

    async def elsewhere(connection: ServerConnection) -> None:
        reached.append(connection.request)

    async with serve(elsewhere, "127.0.0.1", 0) as other:
        address = f"http://127.0.0.1:{other.sockets[0].getsockname()[1]}/"

        async def lead_away(_: ServerConnection, __: Request) -> Response:
            return Response(307, "Temporary Redirect", Headers({"location": address, "content-length": "0"}))

        async with serve(elsewhere, "127.0.0.1", 0, process_request=lead_away) as server:
            target = Target(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
            async with probe_of(target) as probe, probe.socket("/x", headers={"api-key": "secret"}) as channel:
                assert channel.status == 307
    assert reached == []


async def test_events_that_fill_the_memory_are_kept_by_their_type_alone() -> None:
    event = json.dumps({"type": "t" * 200, "filling": "x" * 500_000})
    count = MAX_EVENT_BYTES // len(event) + 4

    async def flood(connection: ServerConnection) -> None:
        for _ in range(count):
            await connection.send(event)

    async with serve(flood, "127.0.0.1", 0) as server:
        target = Target(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        async with probe_of(target) as probe, probe.socket("/x") as channel:
            await channel.closed()
            kept = [len(json.dumps(event)) for _, event in channel.events]
    assert len(kept) == count
    assert sum(kept) <= MAX_EVENT_BYTES + count * 200
    assert kept[-1] < 200


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 980, 100_000])  # Python can read the second one, and not write it
async def test_no_depth_of_json_ends_a_run(depth: int) -> None:
    async def ask(probe: Probe) -> dict[str, object]:
        return {"STATUS": (await probe.http("GET", "/")).body}

    async with answering(lambda _: whole(b"[" * depth + b"]" * depth)) as target:
        report = await run_checks(target, [made_check(run=ask)], version="test")
    assert [(result.verdict, result.got) for result in report.results] == [(Verdict.FAIL, "nothing")]


@pytest.mark.parametrize("depth", [980, 100_000])
async def test_a_deeply_nested_event_is_no_json(depth: int) -> None:
    deep = "[" * depth + "]" * depth

    async def say(connection: ServerConnection) -> None:
        await connection.send(deep)

    async with serve(say, "127.0.0.1", 0) as server:
        target = Target(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        async with probe_of(target) as probe, probe.socket("/x") as channel:
            assert await channel.receive() == {"type": "(not JSON)"}


def test_a_report_of_a_hostile_target_can_be_written_and_read(tmp_path: Path) -> None:
    result = Result.made(
        made_check(), Verdict.FAIL, ESCAPES, redactor=Redactor(), request=ESCAPES, trace_id=ESCAPES,
        reproduce=ESCAPES, shortfalls=[ESCAPES], figures=[("x", ESCAPES)],
    )  # fmt: skip
    report = made_report(result)
    for path in write_reports(report, tmp_path, {}):
        assert "\u202e" not in path.read_text("utf-8")
    screen = io.StringIO()
    print_report(report, Console(file=screen, width=200))
    assert not set(screen.getvalue()) & set("\x1b\x07\x9b\u202e\ud800")
    assert result.trace_id == ""


def test_a_file_can_hold_what_escaped_all_that(tmp_path: Path) -> None:
    for path in write_reports(replace(made_report(made_result()), version="\ud800"), tmp_path, {}):
        assert path.read_text("utf-8")


def test_redaction_costs_no_more_than_what_it_reads() -> None:
    redactor = Redactor()
    texts = ["://" * 100_000, "://" + "a" * 300_000, "://" + "a:" * 150_000, "eyJ" * 100_000, "ek_" * 100_000]
    began = time.process_time()
    for text in texts:
        redactor.text(text)
    assert time.process_time() - began < 5  # quadratic, these took minutes


async def test_a_trace_id_that_is_none_leaves_that_of_the_request() -> None:
    async with answering(lambda _: whole(b"{}", "x-trace-id: see https://evil.example")) as target:
        async with probe_of(target) as probe:
            await probe.http("GET", "/")
            assert f"traceparent: 00-{probe.trace_id}-" in probe.request


@pytest.mark.parametrize("token", ["\ud800" * 20, "\u202e" * 20, "line\nbreak" * 3])
async def test_a_token_that_no_header_can_hold_is_no_token_to_begin_with(token: str) -> None:
    body = json.dumps({"data": {"token": token, "expiresIn": 1, "expiresAt": 1}}).encode()
    async with answering(lambda _: whole(body)) as target, probe_of(target) as probe:
        with pytest.raises(Unjudged, match="answered without a token that can be sent"):
            await probe.mint()


async def test_a_target_can_not_have_words_blanked_out_of_the_report() -> None:
    body = json.dumps({"data": {"token": "pass", "expiresIn": 1, "expiresAt": "2026-01-01T00:00:00Z"}}).encode()
    async with answering(lambda _: whole(body)) as target, probe_of(target) as probe:
        await probe.mint()
        await probe.http("GET", "/all-pass")
        assert "/all-pass" in probe.request
