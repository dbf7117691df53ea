"""What ``POST /api/voice/fanout`` takes, as JSON Schema (draft 2020-12), for the gateway, clients and tests."""

import json
from importlib.resources import files
from typing import Any, Literal

__all__ = ["SchemaName", "load_schema"]

SchemaName = Literal["event"]


def load_schema(name: SchemaName) -> dict[str, Any]:
    """The schema shipped as ``<name>.json``."""
    schema: dict[str, Any] = json.loads(files(__package__).joinpath(f"{name}.json").read_bytes())
    return schema
