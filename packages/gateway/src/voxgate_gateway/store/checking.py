"""Says whether the conversation store could be opened as it is, and changes nothing about it."""

import asyncio

from voxgate_core import ConfigurationError, Environment, VoxgateError
from voxgate_gateway.settings import Settings
from voxgate_gateway.store.location import locate
from voxgate_gateway.store.modes import StoreMode

__all__ = ["check_store"]


def check_store(settings: Settings) -> None:
    """Raises :class:`ConfigurationError` where `voxgate serve` would refuse the store; in dev it makes what it needs."""
    if settings.conversations is StoreMode.OFF or settings.environment is Environment.DEV:
        return
    url = locate(settings.data_dir, settings.database_url.get_secret_value())
    try:
        asyncio.run(_check(url))
    except VoxgateError as error:
        raise ConfigurationError([f"the conversation store can't be asked: {error.message}"]) from error


async def _check(url: str) -> None:
    # Only now: the database code takes longer to load than the rest of the command.
    from voxgate_gateway.store.database import Database
    from voxgate_gateway.store.schema import require_current

    database = Database(url)
    try:
        if database.file is not None and not database.file.exists():  # asking would make it
            raise ConfigurationError([f"the conversation store {database.file} is not there: run `voxgate db upgrade`"])
        await require_current(database)
    finally:
        await database.close()
