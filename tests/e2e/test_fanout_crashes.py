"""Whatever dies in between, every accepted event is delivered. Real processes, SIGKILL, random points."""

import asyncio
import contextlib
import json
import logging
import random
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest

from tests.backplane.cluster import running_cluster
from tests.e2e.gateways import BEARER, gateway, settings

pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="kills by /proc"), pytest.mark.timeout(420)]

logger = logging.getLogger("tests.e2e")

EVENTS = 10_000
CLUSTER_EVENTS = 3_000
CALLERS = 32
SEED = 20261125
DELIVER_SECONDS = 150.0
"""How long everything may take to be delivered after the last event: leases of killed holders run out first."""


class ReceiverProcess:
    """A receiver that appends a line to its log before it answers, on a port that survives its being killed."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._port = 0
        self._process: asyncio.subprocess.Process | None = None
        log.touch()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.fanout.receivers", "--port", str(self._port), "--log", str(self._log),
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert self._process.stdout is not None
        line = json.loads(await self._process.stdout.readline())
        self._port = urlsplit(line["url"]).port or 0

    async def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        await self._process.wait()

    async def stop(self) -> None:
        if self._process is not None and self._process.returncode is None:
            await self.kill()

    def received(self) -> tuple[Counter[str], dict[str, set[str]]]:
        """How often each event came, and the digests of what came under its id. A last line cut by a kill counts not."""
        counts: Counter[str] = Counter()
        digests: dict[str, set[str]] = {}
        for line in self._log.read_text("utf-8").splitlines():
            with contextlib.suppress(ValueError):
                entry = json.loads(line)
                counts[entry["id"]] += 1
                digests.setdefault(entry["id"], set()).add(entry["sha256"])
        return counts, digests


async def post_all(url: str, events: int, at: dict[int, Callable[[], Awaitable[None]]]) -> set[str]:
    """Post ``events`` events, CALLERS at a time, and run what is due when so many were accepted; the accepted ids.

    A refused or broken request is made again as a new event: whether the first one was stored nobody knows, and the
    gateway did not say so.
    """
    accepted: set[str] = set()
    numbers = iter(range(events))
    due = sorted(at)
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CALLERS), timeout=timeout) as session:

        async def post(number: int) -> str | None:
            body = {"type": "crash.test", "subject": f"s{number % 7}", "data": {"n": number, "text": "x" * 200}}
            try:
                async with session.post(f"{url}/api/voice/fanout", json=body, headers=BEARER) as answer:
                    if answer.status == 202:
                        return str((await answer.json())["data"]["eventId"])
                    assert answer.status == 503, await answer.text()
            except aiohttp.ClientError:
                pass  # it was killed while we waited
            return None

        async def caller() -> None:
            for number in numbers:
                while (event_id := await post(number)) is None:  # noqa: ASYNC110 - a process is being started again
                    await asyncio.sleep(0.05)
                accepted.add(event_id)
                while due and len(accepted) >= due[0]:
                    await at[due.pop(0)]()

        await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return accepted


async def all_received(receiver: ReceiverProcess, accepted: set[str], seconds: float = DELIVER_SECONDS) -> Counter[str]:
    """Wait until everything accepted is in the log of the receiver; how often each came."""
    try:
        async with asyncio.timeout(seconds):
            while True:
                counts, digests = receiver.received()
                if accepted <= counts.keys():
                    break
                await asyncio.sleep(0.5)  # another process writes the log
    except TimeoutError:
        missing = accepted - receiver.received()[0].keys()
        pytest.fail(f"{len(missing)} of {len(accepted)} accepted events were never delivered: {sorted(missing)[:3]}")
    assert all(len(bodies) == 1 for bodies in digests.values()), "one id came with two bodies"
    return counts


def random_points(rng: random.Random, events: int, actions: Sequence[Callable[[], Awaitable[None]]]) -> dict[
    int, Callable[[], Awaitable[None]]
]:  # fmt: skip
    """Each action at a point of its own, none near the very end."""
    return dict(zip(sorted(rng.sample(range(50, int(events * 0.95)), len(actions))), actions, strict=True))


async def test_no_accepted_event_is_lost_when_gateway_nats_and_receiver_are_killed(tmp_path: Path) -> None:
    receiver = ReceiverProcess(tmp_path / "received.jsonl")
    await receiver.start()
    targets = f'[[target]]\nname = "hook"\nurl = "{receiver.url}/hook"\nsecret = "whsec_{"A" * 43}="\n'
    (tmp_path / "fanout.toml").write_text(targets, "utf-8")
    rng = random.Random(SEED)
    kills: Counter[str] = Counter()
    try:
        async with gateway(settings(tmp_path / "data"), tmp_path / "gateway.log") as served:

            async def kill_gateway() -> None:
                kills["gateway"] += 1
                await served.kill()
                await served.start()

            async def kill_nats() -> None:
                kills["nats"] += 1
                served.kill_nats()

            async def kill_receiver() -> None:
                kills["receiver"] += 1
                await receiver.kill()
                await receiver.start()

            actions = [kill_gateway] * 3 + [kill_nats] * 5 + [kill_receiver] * 5
            rng.shuffle(actions)
            accepted = await post_all(served.url, EVENTS, random_points(rng, EVENTS, actions))
            counts = await all_received(receiver, accepted)
    finally:
        await receiver.stop()
    assert kills == {"gateway": 3, "nats": 5, "receiver": 5}
    assert len(accepted) == EVENTS
    logger.info(
        "accepted %d, received %d, of these again %d", len(accepted), counts.total(), counts.total() - len(counts)
    )


async def test_no_accepted_event_is_lost_when_one_of_three_nats_nodes_is_killed(tmp_path: Path) -> None:
    receiver = ReceiverProcess(tmp_path / "received.jsonl")
    await receiver.start()
    targets = f'[[target]]\nname = "hook"\nurl = "{receiver.url}/hook"\nsecret = "whsec_{"A" * 43}="\n'
    (tmp_path / "fanout.toml").write_text(targets, "utf-8")
    rng = random.Random(SEED)
    try:
        async with running_cluster(tmp_path / "cluster") as cluster:
            environ = settings(
                tmp_path / "data",
                VOXGATE_NATS_URL=cluster.url,
                VOXGATE_NATS_REPLICAS="3",
                VOXGATE_NATS_USER=cluster.credentials.user or "",
                VOXGATE_NATS_PASSWORD=cluster.credentials.password or "",
            )
            async with gateway(environ, tmp_path / "gateway.log") as served:
                victim = rng.choice(cluster.nodes)
                at = random_points(rng, CLUSTER_EVENTS, [victim.kill, victim.start])
                accepted = await post_all(served.url, CLUSTER_EVENTS, at)
                counts = await all_received(receiver, accepted)
    finally:
        await receiver.stop()
    assert len(accepted) == CLUSTER_EVENTS
    logger.info(
        "accepted %d, received %d, of these again %d", len(accepted), counts.total(), counts.total() - len(counts)
    )


async def test_an_event_accepted_just_before_the_gateway_is_killed_is_delivered_by_the_next(tmp_path: Path) -> None:
    receiver = ReceiverProcess(tmp_path / "received.jsonl")
    await receiver.start()
    url = receiver.url
    await receiver.kill()  # nobody is there to take it before the kill
    targets = f'[[target]]\nname = "hook"\nurl = "{url}/hook"\nsecret = "whsec_{"A" * 43}="\n'
    (tmp_path / "fanout.toml").write_text(targets, "utf-8")
    try:
        async with gateway(settings(tmp_path / "data"), tmp_path / "gateway.log") as served:
            accepted = await post_all(served.url, 1, {})
            await served.kill()
            await receiver.start()
            await served.start()
            await all_received(receiver, accepted)
    finally:
        await receiver.stop()
