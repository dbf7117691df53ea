import asyncio

from tests.realtime.peers import gateway, model_server, only_relay, silent
from voxgate_realtime.connection import Connection, NoConnection


async def test_one_that_is_over_can_be_told_anything() -> None:
    async with model_server(silent) as url, gateway(url) as gw, gw.client() as client:
        await client.recv()
        nobody: Connection = NoConnection()
        nobody.proven()
        nobody.gone()
        nobody.moved_to(only_relay(gw))
        await (await client.ping())


async def test_a_session_whose_client_is_gone_holds_on_to_no_connection() -> None:
    async with model_server(silent) as url, gateway(url) as gw:
        async with gw.client("/v1/realtime") as client:
            while not len(gw.realtime.sessions):
                await asyncio.wait([asyncio.create_task(asyncio.Event().wait())], timeout=0.01)
            relay = only_relay(gw)
            assert not isinstance(relay.connection, NoConnection)
            await client.close()
            await gw.observer.any_closed.wait()
        assert isinstance(relay.connection, NoConnection)
