"""Bodies held to the JSON Schemas of the seven endpoints: copies, since the gates know no other package.

A test keeps ``schemas/*.json`` equal to the responder's own.
"""

import json
from functools import cache
from importlib.resources import files
from typing import Final

from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012, Schema

__all__ = ["MAX_FAULTS", "schema_faults"]

MAX_FAULTS: Final = 5
"""Faults of one body that are told; the rest are left out."""

SHOWN_PATH: Final = 120
"""Characters of the place in a body that a fault repeats."""

_URN: Final = "urn:voxgate:schema:"


def schema_faults(endpoint: str, status: int, body: object) -> list[str]:
    """Where ``body`` does not fit what ``endpoint`` answers, success or problem as ``status`` says; empty when it fits."""
    part = "success" if status < 400 else "problem"
    faults = _validator(endpoint, part).iter_errors(body)
    return sorted(f"{fault.json_path[:SHOWN_PATH]} breaks {fault.validator}" for fault in faults)[:MAX_FAULTS]


@cache
def _validator(endpoint: str, part: str) -> Draft202012Validator:
    return Draft202012Validator({"$ref": f"{_URN}endpoint-{endpoint}#/$defs/{part}"}, registry=_registry())


@cache
def _registry() -> Registry[Schema]:
    folder = files(__package__).joinpath("schemas")
    documents = [json.loads(file.read_bytes()) for file in folder.iterdir() if file.name.endswith(".json")]
    pairs = [(document["$id"], DRAFT202012.create_resource(document)) for document in documents]
    empty: Registry[Schema] = Registry()
    return empty.with_resources(pairs)
