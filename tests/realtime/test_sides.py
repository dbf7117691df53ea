import asyncio
import socket
import sys
from dataclasses import replace

from tests.realtime.peers import echo, gateway, model_server
from voxgate_realtime import RelayLimits
from voxgate_realtime.sides import Side, bytes_received


def side(limits: RelayLimits | None = None) -> tuple[Side, list[str]]:
    told: list[str] = []
    made = Side(
        limits or RelayLimits(),
        asyncio.get_running_loop(),
        flow_changed=lambda: told.append("flow"),
        stalled=lambda: told.append("stalled"),
    )
    return made, told


async def test_filling_up_and_draining_is_told() -> None:
    made, told = side()
    seen = []
    for tell in (made.pause_writing, made.resume_writing):
        tell()
        seen.append(made.full)
    assert seen == [True, False]
    assert told == ["flow", "flow"]


async def test_a_side_that_drained_is_not_called_stalled() -> None:
    made, told = side(replace(RelayLimits(), stall_timeout=0.0))
    made.pause_writing()
    made.resume_writing()
    await asyncio.get_running_loop().run_in_executor(None, int)  # every due timer has fired by now
    assert "stalled" not in told


async def test_a_side_without_a_transport_takes_every_order_and_does_nothing() -> None:
    made, told = side()
    made.read_when(False)
    made.say_goodbye(1000, "")
    made.hang_up()
    made.cancel_timers()
    assert made.check_alive()
    assert told == []


async def test_a_side_that_is_not_read_is_not_taken_for_dead() -> None:
    async with model_server(echo) as url, gateway(url) as gw, gw.client() as client:
        await client.recv()
        [relay] = gw.realtime.sessions
        client_side: Side = relay.client
        client_side.read_when(False)
        assert client_side.check_alive()
        assert client_side.check_alive()
        client_side.read_when(True)
        assert client_side.check_alive()  # its upgrade request was something to hear
        assert client_side.check_alive()  # pinged now, and given an interval to answer
        assert not client_side.check_alive()


def test_received_bytes_are_counted_by_the_kernel() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as near:
        far, _ = listener.accept()
        with far:
            near.sendall(b"12345")
            assert far.recv(10) == b"12345"
            assert bytes_received(far) == (5 if sys.platform == "linux" else None)
