"""Collects the faults of many parts, so that one start shows all there is to mend."""

from collections.abc import Callable
from typing import TypeVar

from voxgate_core import ConfigurationError

__all__ = ["judged"]

T = TypeVar("T")


def judged(faults: list[str], build: Callable[[], T]) -> T | None:
    """What ``build`` makes; ``None`` when it raises :class:`ConfigurationError`, whose faults are added to ``faults``."""
    try:
        return build()
    except ConfigurationError as error:
        faults.extend(error.faults)
        return None
