"""The envelope, and the answers of the seven endpoints, as JSON Schema (draft 2020-12): for clients, tests and gates."""

import json
from importlib.resources import files
from typing import Any, Literal

__all__ = ["SchemaName", "load_schema"]

SchemaName = Literal[
    "endpoint-chatbot_settings",
    "endpoint-conversations",
    "endpoint-donna_logic",
    "endpoint-health",
    "endpoint-marketing",
    "endpoint-sales_overview",
    "endpoint-voice-chat",
    "envelope-problem",
    "envelope-success",
]

_URN = "urn:voxgate:schema:"


def load_schema(name: SchemaName) -> dict[str, Any]:
    """The schema shipped as ``<name>.json``, with the schemas that it refers to put in their places.

    An endpoint's is either of its ``$defs``: ``success`` or ``problem``, each of which stands alone too.
    """
    schema: dict[str, Any] = _whole(_read(name))
    return schema


def _read(name: str) -> Any:
    return json.loads(files(__package__).joinpath(f"{name}.json").read_bytes())


def _whole(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_whole(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    reference = schema.get("$ref", "")
    if reference.startswith(_URN):
        referred = _read(reference.removeprefix(_URN))
        return {name: rule for name, rule in referred.items() if name not in ("$schema", "$id")}
    return {name: _whole(part) for name, part in schema.items()}
