"""Queries and bodies held to the schemas of the table, with the same words as in PHP. Pure."""

from collections.abc import Mapping
from functools import cache
from json import dumps
from typing import Any, Final
from urllib.parse import unquote_plus

import msgspec
from jsonschema import Draft202012Validator

from voxgate_core import VoxgateError

__all__ = ["MAX_NESTING", "check_body_headers", "judge", "read_body", "read_query"]

MAX_NESTING: Final = 64
"""Levels of arrays and objects in a body; a deeper one is malformed."""

MAX_UNKNOWN: Final = 8
"""Unknown members that one refusal names; the others are left out of it."""

MAX_NAME_SHOWN: Final = 64
"""Characters of an unknown member's name that a refusal repeats."""


def read_query(query: str, schema: Mapping[str, Any]) -> dict[str, str]:
    """The parameters that the schema knows; others are left alone, as the web does.

    Raises :class:`VoxgateError` ``invalid_input``.
    """
    given: dict[str, str] = {}
    faults: dict[str, str] = {}
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        name = unquote_plus(name)
        if name not in schema.get("properties", {}):
            continue
        if name in given:
            faults[name] = "was given twice"
        given[name] = unquote_plus(value)
    _refuse(faults)
    judge(given, schema)
    return given


def check_body_headers(content_type: str, encoding: str, types: tuple[str, ...]) -> None:
    """Judge how a body was sent. Raises :class:`VoxgateError` ``unsupported_media_type``."""
    if content_type not in types:
        raise VoxgateError("unsupported_media_type", f"The body must be sent as {' or '.join(types)}")
    if encoding.lower() not in ("", "identity"):
        raise VoxgateError("unsupported_media_type", "The body must be sent without a content encoding")


def read_body(body: bytes) -> dict[str, Any]:
    """The JSON object of a body. Raises :class:`VoxgateError` ``malformed_json``, ``invalid_input``."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise VoxgateError("malformed_json") from None
    if not _is_readable(value, MAX_NESTING):
        raise VoxgateError("malformed_json")
    if not isinstance(value, dict):
        raise VoxgateError("invalid_input", details={"body": "must be a JSON object"})
    return value


def judge(given: Mapping[str, Any], schema: Mapping[str, Any]) -> None:
    """Raises :class:`VoxgateError` ``invalid_input``, whose details say what each wrong member must be."""
    rules: Mapping[str, Any] = schema.get("properties", {})
    faults = {name: "is required" for name in schema.get("required", ()) if name not in given}
    for name, rule in rules.items():
        if name in given and not _validator(dumps(rule)).is_valid(given[name]):
            faults[name] = rule["description"]
    if schema.get("additionalProperties", True) is False:
        unknown = [name for name in given if name not in rules]
        faults |= {name[:MAX_NAME_SHOWN]: "is not known here" for name in unknown[:MAX_UNKNOWN]}
    _refuse(faults)


def _refuse(faults: Mapping[str, str]) -> None:
    if faults:
        raise VoxgateError("invalid_input", details=faults)


@cache
def _validator(rule: str) -> Draft202012Validator:
    return Draft202012Validator(msgspec.json.decode(rule))


def _is_readable(value: object, levels: int) -> bool:
    """Whether PHP reads it too: it knows no name that begins with NUL, and its decoder bounds the nesting."""
    if isinstance(value, dict):
        return levels > 0 and all(
            not name.startswith("\0") and _is_readable(inner, levels - 1) for name, inner in value.items()
        )
    if isinstance(value, list):
        return levels > 0 and all(_is_readable(inner, levels - 1) for inner in value)
    return True
