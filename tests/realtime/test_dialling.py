import asyncio
import ssl
from dataclasses import replace
from http import HTTPStatus

import pytest
import trustme
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from tests.realtime.peers import closed_with, echo, gateway, model_server
from voxgate_realtime import RelayLimits, Upstream

LIMITS = RelayLimits()


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


async def test_the_upstream_sees_our_key_and_nothing_of_the_clients_headers() -> None:
    requests: list[Request] = []

    async def note(connection: ServerConnection, request: Request) -> None:
        requests.append(request)

    async with model_server(echo, process_request=note) as url:
        upstream = Upstream("test", url, (("Authorization", "Bearer sk-upstream"),))
        async with gateway(upstream) as gw:
            extra = {"OpenAI-Beta": "realtime=v1", "Cookie": "a=b", "Authorization": "Bearer good-token"}
            beta = ["realtime", "openai-beta.realtime-v1"]
            path = "/v1/realtime?model=gpt-realtime&call_id=x"
            async with gw.client(path, token=None, additional_headers=extra, subprotocols=beta) as client:
                await client.send('{"type":"x"}')
                await client.recv()
    [request] = requests
    assert request.path == "/v1/realtime?model=gpt-realtime"
    assert request.headers.get_all("Authorization") == ["Bearer sk-upstream"]
    names = {name.lower() for name, _ in request.headers.raw_items()}
    assert not names & {"openai-beta", "cookie", "origin", "sec-websocket-protocol", "api-key"}


async def test_an_upstream_nobody_answers_at_closes_1013() -> None:
    async with gateway("ws://127.0.0.1:9") as gw, gw.client() as client:
        assert await closed_with(client) == (1013, "The model server cannot be reached")


async def test_an_upstream_that_does_not_answer_in_time_closes_1013() -> None:
    async def never(connection: ServerConnection, request: Request) -> None:
        await given_up.wait()

    given_up = asyncio.Event()
    limits = replace(LIMITS, connect_timeout=0.1)
    async with model_server(echo, process_request=never) as url, gateway(url, limits=limits) as gw:
        async with gw.client() as client:
            assert (await closed_with(client))[0] == 1013
        given_up.set()


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500])
async def test_an_upstream_that_refuses_the_handshake_closes_1011(status: int) -> None:
    def refuse(connection: ServerConnection, request: Request) -> Response:
        return connection.respond(HTTPStatus(status), "no")

    async with model_server(echo, process_request=refuse) as url, gateway(url) as gw, gw.client() as client:
        assert await closed_with(client) == (1011, "the model server refused the connection")


async def test_a_redirect_is_not_followed() -> None:
    reached: list[Request] = []

    async def note(connection: ServerConnection, request: Request) -> None:
        reached.append(request)

    async with model_server(echo, process_request=note) as elsewhere:

        def redirect(connection: ServerConnection, request: Request) -> Response:
            response = connection.respond(HTTPStatus.TEMPORARY_REDIRECT, "")
            response.headers["Location"] = elsewhere
            return response

        async with model_server(echo, process_request=redirect) as url, gateway(url) as gw, gw.client() as client:
            assert (await closed_with(client))[0] == 1011
    assert reached == []


async def test_only_a_certificate_somebody_vouches_for_is_accepted(authority: trustme.CA) -> None:
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(serving)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    async with model_server(echo, ssl=serving) as url:
        secure = url.replace("ws://127.0.0.1", "wss://localhost")
        async with gateway(secure, ssl_context=trusting) as gw, gw.client("/v1/realtime") as client:
            await client.send('{"type":"x"}')
            assert await client.recv() == '{"type":"x"}'
        async with gateway(secure) as gw, gw.client() as client:
            assert (await closed_with(client))[0] == 1013


async def test_a_certificate_for_another_name_is_not_accepted(authority: trustme.CA) -> None:
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("models.example.com").configure_cert(serving)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    async with model_server(echo, ssl=serving) as url:
        secure = url.replace("ws://127.0.0.1", "wss://localhost")
        async with gateway(secure, ssl_context=trusting) as gw, gw.client() as client:
            assert (await closed_with(client))[0] == 1013


async def test_a_model_name_that_is_none_closes_4008() -> None:
    async with gateway("ws://127.0.0.1:9") as gw, gw.client("/v1/realtime?model=a%26b") as client:
        assert (await closed_with(client))[0] == 4008
