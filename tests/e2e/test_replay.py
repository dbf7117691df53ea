"""One use of one token, however many race for it."""

import asyncio
import json

from websockets.asyncio.client import connect

from tests.gateway.rig import close_code_of, served

RACERS = 40


async def test_of_many_sockets_with_one_token_exactly_one_opens() -> None:
    async with served() as gateway:
        headers = {"Authorization": f"Bearer {await gateway.token(sub='ada')}"}

        async def race() -> int | str | None:
            async with connect(f"{gateway.ws_url}/realtime", additional_headers=headers) as client:
                first = json.loads(await client.recv())
                if first["type"] == "auth_success":
                    return "open"
                assert first["error"]["code"] == "token_replayed"
                return await close_code_of(client)

        ends = await asyncio.gather(*(race() for _ in range(RACERS)))
        assert sorted(map(str, ends)) == ["4003"] * (RACERS - 1) + ["open"]
