import asyncio
from pathlib import Path

import pytest

from tests.gateway.rig import PREVIEW
from voxgate_core import ConfigurationError
from voxgate_gateway.settings import Settings, load
from voxgate_gateway.store.checking import check_store
from voxgate_gateway.store.database import Database
from voxgate_gateway.store.location import locate
from voxgate_gateway.store.schema import upgrade


def settings(folder: Path, **more: str) -> Settings:
    return load({**PREVIEW, "VOXGATE_CONVERSATIONS": "redacted", "VOXGATE_DATA_DIR": str(folder), **more})


def test_a_store_that_is_not_there_is_named_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"conversations\.sqlite3 is not there: run `voxgate db upgrade`"):
        check_store(settings(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_store_without_its_schema_is_named(tmp_path: Path) -> None:
    (tmp_path / "conversations.sqlite3").touch()
    with pytest.raises(ConfigurationError, match=r"conversations\.sqlite3 has no schema yet"):
        check_store(settings(tmp_path))


async def _upgraded(folder: Path) -> None:
    database = Database(locate(folder, ""))
    try:
        await upgrade(database)
    finally:
        await database.close()


def test_a_store_that_is_ready_is_fine(tmp_path: Path) -> None:
    asyncio.run(_upgraded(tmp_path))
    check_store(settings(tmp_path))


def test_a_server_that_does_not_answer_is_a_fault_without_its_password(tmp_path: Path) -> None:
    url = "postgresql://me:hunter22hunter@127.0.0.1:9/voxgate"
    with pytest.raises(ConfigurationError, match="can't be asked") as refused:
        check_store(settings(tmp_path, VOXGATE_DATABASE_URL=url))
    assert "hunter22" not in str(refused.value)


@pytest.mark.parametrize("more", [{"VOXGATE_CONVERSATIONS": "off"}, {"VOXGATE_ENV": "dev"}])
def test_nothing_is_asked_where_nothing_is_kept_or_dev_makes_it(tmp_path: Path, more: dict[str, str]) -> None:
    check_store(settings(tmp_path / "none", **more))
    assert not (tmp_path / "none").exists()
