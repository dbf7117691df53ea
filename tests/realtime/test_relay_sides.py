import json

from tests.realtime.peers import SPEECH, echo, gateway, model_server, only_relay, refusal
from voxgate_realtime.relay_sides import ClientSide, UpstreamSide


async def test_each_side_counts_what_it_sends_and_knows_its_session() -> None:
    async with model_server(echo) as url, gateway(url) as gw, gw.client() as client:
        await client.recv()
        await client.send(SPEECH)
        assert await client.recv() == SPEECH
        relay = only_relay(gw)
        assert (type(relay.client), type(relay.upstream)) == (ClientSide, UpstreamSide)
        assert relay.client.relay is relay.upstream.relay is relay
        assert (relay.client.messages, relay.upstream.messages) == (1, 1)
        assert relay.client.bytes == relay.upstream.bytes == len(SPEECH)


async def test_a_fragmented_message_is_counted_once_it_is_whole() -> None:
    async with model_server(echo) as url, gateway(url) as gw, gw.client() as client:
        await client.recv()
        await client.send([SPEECH[:100], SPEECH[100:200], SPEECH[200:]])
        assert await client.recv() == SPEECH
        assert only_relay(gw).client.messages == 1


async def test_what_is_no_event_ends_the_session_and_is_not_counted() -> None:
    async with model_server(echo) as url, gateway(url) as gw:
        async with gw.client() as client:
            assert json.loads(await client.recv())["type"] == "auth_success"
            await client.send("not an event")
            assert await refusal(client) == ("invalid_message", 1007)
        await gw.observer.any_closed.wait()
        assert gw.observer.summaries[0].client_messages == 0
