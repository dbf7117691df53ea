import asyncio
from dataclasses import replace

import pytest

from tests.gates.samples import fake_gateway
from voxgate_gates import ALL_CHECKS, Target, Verdict, run_checks
from voxgate_gates.saboteurs.proxy import lying_proxy
from voxgate_gates.saboteurs.saboteur import Lie, Part, parts_of


async def test_a_proxy_without_a_lie_changes_no_verdict() -> None:
    checks = [check for check in ALL_CHECKS if parts_of(check) == {Part.GATEWAY} and not check.id.startswith("data.")]
    async with fake_gateway() as target, lying_proxy(target.url, Lie(), target) as url:
        report = await run_checks(replace(target, url=url), checks, version="test")
    assert len(report.results) > 50
    assert [result.echo for result in report.results if result.verdict is not Verdict.PASS] == []


async def answer_to(url: str, sent: bytes) -> bytes:
    host, _, port = url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(sent)
        await writer.drain()
        return await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()


async def served(answer: bytes, sent: bytes) -> bytes:
    """What comes through the proxy of a server that says ``answer`` to everything."""

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(say, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        async with lying_proxy(url, Lie(), Target(url)) as proxied:
            return await answer_to(proxied, sent)
    finally:
        server.close()
        await server.wait_closed()


GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", b"ok"),
        (b"HTTP/1.1 200 OK\r\n\r\nto the end", b"to the end"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;x\r\nc\r\n0\r\n\r\n", b"abc"),
    ],
)
async def test_a_body_comes_through_however_it_was_framed(answer: bytes, body: bytes) -> None:
    head, _, got = (await served(answer, GET)).partition(b"\r\n\r\n")
    assert got == body
    assert b"chunked" not in head.lower()


async def test_an_answer_to_head_has_no_body_to_wait_for() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
    got = await served(answer, GET.replace(b"GET", b"HEAD"))
    assert got.startswith(b"HTTP/1.1 200 OK")
    assert got.endswith(b"\r\n\r\n")


async def test_bytes_that_are_not_http_pass_both_ways() -> None:
    assert await served(b"nonsense to you too", b"nonsense\r\n\r\n") == b"nonsense to you too"


async def test_a_target_that_says_nothing_is_a_broken_connection_to_the_client() -> None:
    assert await served(b"", GET) == b""


async def test_a_client_that_hangs_up_early_leaves_nothing_behind() -> None:
    async with lying_proxy("http://127.0.0.1:9", Lie(), Target("http://127.0.0.1:9")) as url:
        host, _, port = url.removeprefix("http://").partition(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET / HT")
        writer.close()
        await writer.wait_closed()
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    assert others == []
