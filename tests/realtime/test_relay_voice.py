"""Voice events of whole sessions, on loopback."""

import asyncio
import gc
import json
import weakref
from collections.abc import Callable

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.server import ServerConnection

from tests.realtime import messages
from tests.realtime.messages import BrokenSink, KeptEvents
from tests.realtime.peers import (
    ORIGIN,
    Handler,
    OneToken,
    closed_with,
    drain,
    echo,
    gateway,
    model_server,
    only_relay,
    refusal,
    silent,
)
from voxgate_core import (
    SESSION_ENDED,
    SESSION_STARTED,
    TOOL_CALLED,
    TRANSCRIPT_COMPLETED,
    TURN_COMPLETED,
    Event,
    ManualClock,
    NullSink,
    VoxgateError,
    current_trace,
)
from voxgate_realtime.transcript import MAX_TEXT
from voxgate_realtime.voice_feed import DEAF

WHOSE = {"sessionId": "sess-1", "sub": "ada"}


def saying(*said: bytes) -> Handler:
    """A model server that says these things once its client has said anything."""

    async def handler(connection: ServerConnection) -> None:
        await connection.recv()
        for message in said:
            await connection.send(message, text=True)
        await connection.wait_closed()

    return handler


async def hear_all(client: ClientConnection, said: list[bytes]) -> None:
    """Ask, and check that every message of the model server arrives as it was sent."""
    await client.send('{"type":"response.create"}')
    for message in said:
        assert (await client.recv(decode=False)) == message


async def test_a_whole_turn_is_told_from_start_to_end() -> None:
    said, sink = messages.whole_turn(), KeptEvents()
    async with model_server(saying(*said)) as url, gateway(url, events=sink) as gw:
        async with gw.client("/realtime?model=their-model", origin=ORIGIN) as client:
            await client.recv()
            await hear_all(client, said)
        await sink.ended.wait()
    assert sink.kinds == [
        "session.started", "transcript.completed", "turn.completed", "transcript.completed", "session.ended",
    ]  # fmt: skip
    assert {event.subject for event in sink.events} == {"sess-1"}
    assert {event.source for event in sink.events} == {"/voxgate"}
    assert len({event.id for event in sink.events}) == len(sink.events)
    assert sink.data(SESSION_STARTED) == [WHOSE | {"origin": ORIGIN, "dialect": "native", "model": "their-model"}]
    assert sink.data(TRANSCRIPT_COMPLETED) == [
        WHOSE | {"turn": 1, "role": "assistant", "itemId": "item_a", "responseId": "resp_1", "text": "It rains."},
        WHOSE | {"turn": 1, "role": "user", "itemId": "item_u1", "text": "How is the weather?"},
    ]
    [turn] = sink.data(TURN_COMPLETED)
    assert isinstance(turn.pop("milliseconds"), int)
    usage = {"inputTokens": 30, "outputTokens": 12, "totalTokens": 42}
    assert turn == WHOSE | {
        "turn": 1, "responseId": "resp_1", "status": "completed", "text": "It rains.", "usage": usage,
    }  # fmt: skip
    [summary], [ended] = gw.observer.summaries, sink.data(SESSION_ENDED)
    assert ended == WHOSE | {
        "code": 1000,
        "reason": "",
        "seconds": round(summary.seconds, 3),
        "clientMessages": 1,
        "clientBytes": summary.client_bytes,
        "upstreamMessages": len(said),
        "upstreamBytes": sum(map(len, said)),
        "turns": 1,
        "usage": usage,
    }


async def test_the_wait_for_an_answer_runs_from_a_commit_though_it_was_held() -> None:
    open_up, speak, clock, sink = asyncio.Event(), asyncio.Event(), ManualClock(), KeptEvents()

    async def late(connection: ServerConnection, request: object) -> None:
        await open_up.wait()

    async def slow(connection: ServerConnection) -> None:
        await connection.recv()
        await connection.send(messages.created(), text=True)
        await speak.wait()
        await connection.send(messages.audio(), text=True)
        await connection.send(messages.done(), text=True)
        await connection.wait_closed()

    async with model_server(slow, process_request=late) as url, gateway(url, events=sink, clock=clock) as gw:
        async with gw.client() as client:
            await client.recv()
            await client.send(messages.COMMIT)
            await (await client.ping())
            open_up.set()
            assert json.loads(await client.recv())["type"] == "response.created"
            clock.advance(0.25)
            speak.set()
            await client.recv()
            await client.recv()
        await sink.ended.wait()
    [turn] = sink.data(TURN_COMPLETED)
    assert turn["milliseconds"] == 250
    assert [event.time for event in sink.events] == [1_700_000_000.0, 1_700_000_000.25, 1_700_000_000.25]


async def test_a_commit_on_the_short_way_ends_the_speech() -> None:
    said, sink = [messages.created(), messages.audio(), messages.done()], KeptEvents()
    async with model_server(saying(*said)) as url, gateway(url, events=sink, clock=ManualClock()) as gw:
        async with gw.client() as client:
            await client.recv()
            await (await client.ping())
            while not only_relay(gw).client.flowing:
                await (await client.ping())
            await client.send(messages.COMMIT)
            for _ in said:
                await client.recv()
        await sink.ended.wait()
    assert sink.data(TURN_COMPLETED)[0]["milliseconds"] == 0


async def test_fragments_are_heard_like_whole_messages() -> None:
    sink = KeptEvents()

    async def fragmenting(connection: ServerConnection) -> None:
        text = messages.heard("in pieces").decode()
        await connection.send([text[:20], text[20:50], text[50:]])
        await connection.wait_closed()

    async with model_server(fragmenting) as url, gateway(url, events=sink) as gw:
        async with gw.client("/v1/realtime") as client:
            await client.recv()
        await sink.ended.wait()
    assert [said["text"] for said in sink.data(TRANSCRIPT_COMPLETED)] == ["in pieces"]


async def test_tool_calls_and_long_texts_are_told() -> None:
    said = [messages.item_done(messages.call()), messages.spoken("x" * (MAX_TEXT + 1))]
    sink = KeptEvents()
    async with model_server(saying(*said)) as url, gateway(url, events=sink) as gw:
        async with gw.client() as client:
            await client.recv()
            await hear_all(client, said)
        await sink.ended.wait()
    assert sink.data(TOOL_CALLED) == [WHOSE | {"callId": "call_1", "name": "weather", "arguments": '{"city":"Oslo"}'}]
    [long] = sink.data(TRANSCRIPT_COMPLETED)
    assert (long["text"], long["truncated"]) == ("x" * MAX_TEXT, True)


async def test_malformed_messages_pass_and_become_no_events(caplog: pytest.LogCaptureFixture) -> None:
    said = [b'{"type":"response.done"}', b'{"type":"response.output_item.done","item":7}', messages.done()]
    sink = KeptEvents()
    async with model_server(saying(*said)) as url, gateway(url, events=sink) as gw:
        async with gw.client("/v1/realtime") as client:
            await hear_all(client, said)
        await sink.ended.wait()
    assert sink.kinds == ["session.started", "turn.completed", "session.ended"]
    [record] = [record for record in caplog.records if record.name == "voxgate.realtime"]
    assert record.__dict__["count"] == 2


async def test_a_sink_that_raises_harms_no_session(caplog: pytest.LogCaptureFixture) -> None:
    said, sink = messages.whole_turn(), BrokenSink()
    async with model_server(saying(*said)) as url, gateway(url, events=sink) as gw:
        async with gw.client("/v1/realtime") as client:
            await hear_all(client, said)
        await gw.observer.any_closed.wait()
    assert gw.observer.summaries[0].code == 1000
    assert sink.asked == 5
    assert [record.levelname for record in caplog.records if record.name == "voxgate.realtime"] == ["ERROR"]


@pytest.mark.parametrize("sink", [None, NullSink()])
async def test_without_anyone_to_tell_nothing_is_decoded_and_all_passes(
    sink: NullSink | None, caplog: pytest.LogCaptureFixture
) -> None:  # fmt: skip
    said = [*messages.whole_turn(), b'{"type":"response.done"}']
    async with model_server(saying(*said)) as url, gateway(url, events=sink) as gw:
        async with gw.client("/v1/realtime") as client:
            await hear_all(client, said)
            assert only_relay(gw).upstream.heard == DEAF
        await gw.observer.any_closed.wait()
    assert [record for record in caplog.records if record.name == "voxgate.realtime"] == []


async def test_a_client_that_vanishes_ends_its_session_once() -> None:
    sink, gone = KeptEvents(), asyncio.Event()

    async def listening(connection: ServerConnection) -> None:
        await connection.send('{"type":"session.created"}')
        await connection.wait_closed()
        gone.set()

    async with model_server(listening) as url, gateway(url, events=sink) as gw:
        async with gw.client("/v1/realtime") as client:
            await client.recv()
            client.transport.abort()
        await asyncio.gather(gone.wait(), sink.ended.wait())
    assert sink.kinds == ["session.started", "session.ended"]
    assert sink.data(SESSION_ENDED)[0]["code"] == 1006


@pytest.mark.parametrize("token", [None, "bad", "explodes"])
async def test_a_client_that_was_never_let_in_has_no_session(token: str | None) -> None:
    sink = KeptEvents()
    async with model_server(echo) as url, gateway(url, events=sink) as gw:
        async with gw.client("/v1/realtime", token=token) as client:
            await closed_with(client)
        while len(gw.realtime.sessions):
            await asyncio.wait([asyncio.create_task(gw.observer.any_closed.wait())], timeout=0.01)
    assert sink.events == []


async def test_a_client_whose_token_is_revoked_while_it_is_verified_has_no_session() -> None:
    sink, verifier = KeptEvents(), OneToken()
    verifier.gate.clear()
    async with model_server(echo) as url, gateway(url, events=sink, verifier=verifier) as gw, gw.client() as client:
        await verifier.asked.wait()
        gw.realtime.revoke(lambda grant: True)
        verifier.gate.set()
        assert await refusal(client) == ("token_revoked", 4003)
    assert sink.events == []


@pytest.mark.parametrize(
    ("path", "code"), [("/realtime?model=not%20allowed%00", "policy_refused"), ("/realtime", "upstream_unreachable")]
)
async def test_a_session_that_ends_before_its_upstream_is_there_has_both_events(path: str, code: str) -> None:
    sink = KeptEvents()
    async with gateway("ws://127.0.0.1:9", events=sink) as gw:
        async with gw.client(path) as client:
            told, close_code = await refusal(client)
        await sink.ended.wait()
    assert sink.kinds == ["session.started", "session.ended"]
    assert (told, sink.data(SESSION_ENDED)[0]["code"]) == (code, close_code)


async def test_every_way_to_end_is_told_once() -> None:
    ways: list[tuple[int, Callable[[], object]]] = [
        (4003, lambda: gw.realtime.revoke(lambda grant: True)),
        (1012, lambda: drain(gw)),
        (1011, lambda: only_relay(gw).refuse(VoxgateError("upstream_failed"))),
    ]
    for code, end in ways:
        sink = KeptEvents()
        async with model_server(silent) as url, gateway(url, events=sink) as gw:
            async with gw.client() as client:
                await client.recv()
                end()
                end()
                await closed_with(client)
            await sink.ended.wait()
        assert sink.kinds == ["session.started", "session.ended"]
        assert sink.data(SESSION_ENDED)[0]["code"] == code


async def test_events_are_published_in_the_trace_of_their_session() -> None:
    traces: set[str] = set()
    ended = asyncio.Event()

    class TraceKeeper:
        def publish(self, event: Event) -> None:
            trace = current_trace.get()
            assert trace is not None
            traces.add(trace.trace_id)
            if event.type == SESSION_ENDED:
                ended.set()

    trace_id, said = "0af7651916cd43dd8448eb211c80319c", messages.whole_turn()
    async with model_server(saying(*said)) as url, gateway(url, events=TraceKeeper()) as gw:
        headers = {"traceparent": f"00-{trace_id}-b7ad6b7169203331-01", "Authorization": "Bearer good-token"}
        async with gw.client("/v1/realtime", additional_headers=headers) as client:
            await hear_all(client, said)
        await ended.wait()
    assert traces == {trace_id}


async def test_a_session_that_was_told_leaves_its_memory_without_the_garbage_collector() -> None:
    said, sink = messages.whole_turn(), KeptEvents()
    async with model_server(saying(*said)) as url, gateway(url, events=sink) as gw:
        gc.collect()
        gc.disable()
        try:
            async with gw.client("/v1/realtime") as client:
                await hear_all(client, said)
                gone = weakref.ref(only_relay(gw))
            await sink.ended.wait()
            while gone() is not None:
                await asyncio.wait([asyncio.create_task(asyncio.Event().wait())], timeout=0.01)
        finally:
            gc.enable()
