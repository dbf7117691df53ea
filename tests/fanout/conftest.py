"""A test module that sets ``new_loop`` runs on loops made by that; the others run on asyncio's own."""

import asyncio
from collections.abc import Callable, Mapping

import pytest


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    module = item.getparent(pytest.Module)
    return {"loop": getattr(None if module is None else module.obj, "new_loop", asyncio.new_event_loop)}
