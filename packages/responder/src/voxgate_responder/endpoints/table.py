"""The seven endpoints: their paths, methods and input, from ``table.json``, which PHP reads too."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final, cast

from jsonschema import Draft202012Validator

from voxgate_responder.schemas import SchemaName, load_schema

__all__ = ["ENDPOINTS", "EVENT_TYPE", "JSON_TYPE", "VERSION", "Endpoint", "load_shared"]

JSON_TYPE: Final = "application/json"
EVENT_TYPE: Final = "application/cloudevents+json"


def load_shared(name: str) -> dict[str, Any]:
    """The data shipped as ``<name>.json``, a copy of its own for each call."""
    shared: dict[str, Any] = json.loads(files(__package__).joinpath(f"{name}.json").read_bytes())
    return shared


@dataclass(frozen=True)
class Endpoint:
    """One row. ``methods`` maps each to the schemas of what it takes: ``query``, ``body``, and ``event``."""

    name: str
    path: str
    title: str
    methods: Mapping[str, Mapping[str, Any]]

    @property
    def guarded(self) -> bool:
        """Whether callers must say who they are, where the deployment asks: health is for anybody."""
        return self.name != "health"

    @property
    def takes_events(self) -> bool:
        return any("event" in rules for rules in self.methods.values())

    @cached_property
    def schema(self) -> dict[str, Any]:
        """What the endpoint answers: see :func:`voxgate_responder.load_schema`."""
        return load_schema(cast(SchemaName, f"endpoint-{self.name}"))

    @cached_property
    def success(self) -> Draft202012Validator:
        return Draft202012Validator(self.schema["$defs"]["success"])


_TABLE: Final = load_shared("table")

VERSION: Final[str] = _TABLE["version"]
"""Of the endpoints' shapes, not of the software."""

ENDPOINTS: Final[Mapping[str, Endpoint]] = MappingProxyType(
    {name: Endpoint(name, row["path"], row["title"], row["methods"]) for name, row in _TABLE["endpoints"].items()}
)
"""Every endpoint by its name."""
