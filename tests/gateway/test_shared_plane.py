from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme

from tests.backplane.nodes import running_node
from tests.backplane.servers import running_server
from tests.gateway.rig import names_in, shared
from voxgate_backplane import EmbeddedServer
from voxgate_core import ConfigurationError
from voxgate_gateway.settings import Settings, load
from voxgate_gateway.shared_plane import check_plane, connected_plane, embedded_server

ELSEWHERE = "nats://nats.example:4222"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[EmbeddedServer]:
    async with running_server(tmp_path / "server") as running:
        yield running


def settings(data_dir: Path, **more: str) -> Settings:
    return load({"VOXGATE_DATA_DIR": str(data_dir / "gateway"), **more})


async def refusal(settings: Settings) -> str:
    with pytest.raises(ConfigurationError) as refused:
        async with connected_plane(settings):
            pytest.fail("it was connected")
    return "\n".join(refused.value.faults)


async def test_without_a_url_a_server_is_run_below_the_data_directory(tmp_path: Path) -> None:
    async with connected_plane(settings(tmp_path)) as plane:
        assert plane.is_up
        assert await plane.store.put_if_absent("a", b"1")
    async with connected_plane(settings(tmp_path)) as plane:
        assert not await plane.store.put_if_absent("a", b"2")
    assert names_in(tmp_path / "gateway") == {"nats"}


async def test_with_a_url_nothing_is_run_here_and_the_login_is_used(server: EmbeddedServer, tmp_path: Path) -> None:
    async with connected_plane(settings(tmp_path, **shared(server))) as plane:
        assert await plane.store.put_if_absent("a", b"1")
        async with connected_plane(settings(tmp_path, **shared(server))) as other:
            assert not await other.store.put_if_absent("a", b"2")
    assert not (tmp_path / "gateway").exists()


async def test_a_prefix_keeps_two_deployments_on_one_server_apart(server: EmbeddedServer, tmp_path: Path) -> None:
    ours = settings(tmp_path, **shared(server))
    theirs = settings(tmp_path, **shared(server), VOXGATE_NATS_PREFIX="theirs")
    async with connected_plane(ours) as one, connected_plane(theirs) as other:
        assert await one.store.put_if_absent("a", b"1")
        assert await other.store.get("a") is None
        await one.queue.open_lane("events", in_hand=1, lease=30.0)
        await one.queue.put("events", b"job")
        assert await other.queue.lanes() == frozenset()
        assert await other.queue.bytes_stored() == 0


async def test_a_wrong_login_is_refused_without_telling_it(server: EmbeddedServer, tmp_path: Path) -> None:
    told = await refusal(settings(tmp_path, **{**shared(server), "VOXGATE_NATS_PASSWORD": "hunter2-hunter2"}))
    assert told.startswith("VOXGATE_NATS_URL: the NATS server refuses the login")
    assert "hunter2" not in told


async def test_servers_are_reached_over_tls_when_their_ca_is_given(tmp_path: Path) -> None:
    authority = trustme.CA()
    ca, cert, key = (tmp_path / name for name in ("ca.pem", "cert.pem", "key.pem"))
    issued = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(str(ca))
    issued.private_key_pem.write_to_path(str(key))
    issued.cert_chain_pems[0].write_to_path(str(cert))
    config = f"""\
max_payload: 8388608
authorization {{ user: "ada", password: "pa55word" }}
tls {{ cert_file: "{cert}", key_file: "{key}" }}
jetstream {{ store_dir: "." }}
"""
    async with running_node(tmp_path / "node", config) as node:
        url = node.url.replace("nats://", "tls://")
        login = {"VOXGATE_NATS_USER": "ada", "VOXGATE_NATS_PASSWORD": "pa55word", "VOXGATE_NATS_CA": str(ca)}
        async with connected_plane(settings(tmp_path, VOXGATE_NATS_URL=url, **login)) as plane:
            assert await plane.store.put_if_absent("a", b"1")


async def test_more_replicas_than_servers_are_told_as_such(server: EmbeddedServer, tmp_path: Path) -> None:
    told = await refusal(settings(tmp_path, **shared(server), VOXGATE_NATS_REPLICAS="3"))
    assert "VOXGATE_NATS_URL" in told
    assert "3 of its servers for VOXGATE_NATS_REPLICAS" in told


def test_what_cannot_be_connected_is_judged_beforehand(tmp_path: Path) -> None:
    for sound in ({}, {"VOXGATE_NATS_URL": f"{ELSEWHERE},{ELSEWHERE}"}, {"VOXGATE_NATS_SYNC": "2m"}):
        check_plane(load(sound))
    creds = tmp_path / "user.creds"
    creds.write_text("no credential at all", "utf-8")
    faulty = {
        "VOXGATE_NATS_URL": f"{ELSEWHERE},http://nats.example",
        "VOXGATE_NATS_SYNC": "now and then",
        "VOXGATE_NATS_CREDS": str(creds),
        "VOXGATE_NATS_CA": str(creds),
    }
    with pytest.raises(ConfigurationError) as refused:
        check_plane(load(faulty))
    assert len(refused.value.faults) == 4
    with pytest.raises(ConfigurationError, match="VOXGATE_NATS_SYNC"):
        embedded_server(load(faulty))
