"""Servers that want more than a password: TLS, and the signed tokens of a creds file."""

import asyncio
from pathlib import Path

import pytest
import trustme

from tests.backplane.creds import new_account
from tests.backplane.nodes import Node, running_node
from tests.backplane.rig import within
from tests.backplane.servers import hearing
from voxgate_backplane.client import Credentials, connected
from voxgate_backplane.keyvalue import NatsKeyValue
from voxgate_backplane.names import Names
from voxgate_core import ConfigurationError

JETSTREAM = 'jetstream {\n  store_dir: "."\n  sync_interval: always\n  max_file_store: 1099511627776\n}\n'
PATIENCE = 1.0


@pytest.fixture
def authority(tmp_path: Path) -> trustme.CA:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return authority


def tls(folder: Path, authority: trustme.CA, *names: str) -> str:
    certificate = authority.issue_cert(*names)
    certificate.private_key_pem.write_to_path(str(folder / "key.pem"))
    for blob in certificate.cert_chain_pems:
        blob.write_to_path(str(folder / "cert.pem"), append=True)
    return f'tls {{ cert_file: "{folder / "cert.pem"}", key_file: "{folder / "key.pem"}" }}\n'


async def test_a_server_is_trusted_by_the_ca_it_was_given(tmp_path: Path, authority: trustme.CA) -> None:
    config = JETSTREAM + tls(tmp_path, authority, "127.0.0.1")
    async with running_node(tmp_path / "node", config) as node:
        for url in (node.url, node.url.replace("nats:", "tls:")):
            async with connected(url, Credentials(ca_file=tmp_path / "ca.pem")) as connection:
                store = await NatsKeyValue.open(connection, Names("test"))
                await store.put("key", b"over TLS")
                await node.kill()
                await node.start()
                assert await within(store.get("key")) is not None


@pytest.mark.parametrize("fault", ["another CA", "no CA", "another name"])
async def test_a_server_that_is_not_trusted_is_a_fault_of_the_configuration(
    tmp_path: Path, authority: trustme.CA, fault: str
) -> None:
    config = tls(tmp_path, authority, "localhost.example" if fault == "another name" else "127.0.0.1")
    credentials = Credentials(user="u", password="s3cret", ca_file=tmp_path / "ca.pem")
    if fault == "another CA":
        trustme.CA().cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    if fault == "no CA":
        credentials = Credentials(user="u", password="s3cret")
    async with running_node(tmp_path / "node", config) as node:
        with pytest.raises(ConfigurationError, match="certificate is not trusted") as refused:
            async with connected(node.url, credentials, patience=PATIENCE):
                pass
        assert "s3cret" not in str(refused.value)


async def test_a_server_without_tls_is_refused_when_tls_is_asked_for(tmp_path: Path, authority: trustme.CA) -> None:
    async with running_node(tmp_path / "node", "") as node:
        for url, credentials in (
            (node.url.replace("nats:", "tls:"), Credentials()),
            (node.url, Credentials(ca_file=tmp_path / "ca.pem")),
        ):
            with pytest.raises(ConfigurationError, match="offers no TLS"):
                async with connected(url, credentials, patience=PATIENCE):
                    pass


async def test_a_creds_file_opens_its_account(tmp_path: Path) -> None:
    account = new_account()
    file = tmp_path / "user.creds"
    file.write_text(account.creds)
    async with running_node(tmp_path / "node", JETSTREAM + account.config) as node:
        async with connected(node.url, Credentials(creds_file=file)) as connection:
            store = await NatsKeyValue.open(connection, Names("test"))
            await store.put("key", b"value")
            await node.kill()
            await node.start()
            assert await within(store.get("key")) is not None


async def test_the_creds_of_another_operator_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "user.creds"
    stranger = new_account()
    file.write_text(stranger.creds)
    async with running_node(tmp_path / "node", new_account().config) as node:
        with pytest.raises(ConfigurationError, match="refuses the login") as refused:
            async with connected(node.url, Credentials(creds_file=file)):
                pass
    assert stranger.seed not in str(refused.value)


async def test_a_creds_file_that_is_spoilt_later_is_waited_for(tmp_path: Path) -> None:
    account = new_account()
    file = tmp_path / "user.creds"
    file.write_text(account.creds)
    async with running_node(tmp_path / "node", JETSTREAM + account.config) as node:
        async with connected(node.url, Credentials(creds_file=file)) as connection:
            file.write_text("spoilt")
            with hearing() as log:
                await restart(node)
                await within(log.wait_for("InvalidUserCredentialsError"))
                file.write_text(account.creds)
                await within(log.wait_for("is back"))
            assert connection.is_up


async def restart(node: Node) -> None:
    async with asyncio.timeout(30):
        await node.kill()
        await node.start()
