import asyncio
from pathlib import Path

import pytest

from tests.backplane.servers import running_server
from voxgate_backplane import Credentials, backplane
from voxgate_core import Claim


async def test_one_connection_serves_a_store_and_a_queue(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server:
        async with backplane(server.url, Credentials(server.user, server.password)) as plane:
            assert plane.is_up
            assert await plane.store.put_if_absent("key", b"value")
            done: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

            async def work(claim: Claim) -> None:
                await claim.ack()
                done.set_result(claim.body)

            await plane.queue.open_lane("lane", in_hand=1, lease=30)
            worker = await plane.queue.work("lane", work, slots=1)
            await plane.queue.put("lane", b"job")
            assert await asyncio.wait_for(done, 20) == b"job"
            await worker.stop()
        assert not plane.is_up


async def test_two_prefixes_are_two_deployments_on_one_server(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server:
        login = Credentials(server.user, server.password)
        async with backplane(server.url, login, prefix="one") as one, backplane(server.url, login, prefix="two") as two:
            assert await one.store.put_if_absent("key", b"1")
            assert await two.store.put_if_absent("key", b"2")
            await one.queue.open_lane("lane", in_hand=1, lease=30)
            assert await one.queue.lanes() == {"lane"}
            assert await two.queue.lanes() == frozenset()


async def test_what_is_there_already_is_used_as_it_is(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server:
        login = Credentials(server.user, server.password)
        async with backplane(server.url, login) as plane:
            await plane.store.put("key", b"kept")
        async with backplane(server.url, login) as again:
            entry = await again.store.get("key")
            assert entry is not None
            assert entry.value == b"kept"


async def test_a_prefix_that_is_no_name_is_refused(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server:
        with pytest.raises(ValueError, match="letters"):
            async with backplane(server.url, Credentials(server.user, server.password), prefix="a.b"):
                pytest.fail("it was opened")
