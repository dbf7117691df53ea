"""``gates.toml``: what is judged, kept beside the project. Reading a file is the caller's part; this one is pure.

The shape is `formats/gates.schema.json`. A file holds no secret: keys are named by the environment variable they are in.
"""

import json
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.exceptions import best_match

from voxgate_gates.target import Budgets, Routes
from voxgate_gates.visible import visible
from voxgate_gates.waivers import MAX_DAYS, Waiver

__all__ = ["FILE", "MAX_BYTES", "Configuration", "ConfigurationError", "parse_configuration"]

FILE: Final = Path("gates.toml")
"""Read from the working directory when it is there and no other is named."""

MAX_BYTES: Final = 256 * 1024
"""The largest file that is read."""


class ConfigurationError(ValueError):
    """A file that can't be followed; the sentence says where and what is wanted there. It repeats no value."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """A file's settings; ``None`` and empty where it says nothing. ``php_shim`` is as written, not yet resolved."""

    url: str | None = None
    environment: str | None = None
    origin: str | None = None
    other_origin: str | None = None
    key_env: str | None = None
    issuer_key_env: str | None = None
    php_key_env: str | None = None
    php_shim: str | None = None
    php_base: str | None = None
    routes: Routes = field(default_factory=Routes)
    budgets: Budgets = field(default_factory=Budgets)
    only: tuple[str, ...] = ()
    profile: str | None = None
    strict: bool = False
    waivers: tuple[Waiver, ...] = ()


def parse_configuration(text: str, checks: Collection[str], today: date) -> Configuration:
    """Read the text of a file; ``checks`` are the ids there are, for the waivers. Raises :class:`ConfigurationError`."""
    try:
        document = _plain(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"it is not TOML: {error}") from error
    except RecursionError as error:
        raise ConfigurationError("its tables and lists are nested too deep") from error
    fault = best_match(_validator().iter_errors(document))
    if fault is not None:
        raise ConfigurationError(_told(fault))
    target, credentials, php = (document.get(name, {}) for name in ("target", "credentials", "php"))
    run = document.get("run", {})
    routes = {name: path or "" for name, path in document.get("routes", {}).items()}
    return Configuration(
        **target,
        **credentials,
        php_shim=php.get("shim"),
        php_base=php.get("base"),
        routes=Routes(**routes),
        budgets=Budgets(**document.get("budgets", {})),
        only=tuple(run.get("only", ())),
        profile=run.get("profile"),
        strict=run.get("strict", False),
        waivers=_waivers(document.get("waiver", []), checks, today),
    )


def _waivers(rows: list[Mapping[str, str]], checks: Collection[str], today: date) -> tuple[Waiver, ...]:
    waivers: dict[str, Waiver] = {}
    for number, row in enumerate(rows, start=1):
        where = f"waiver {number}"
        waiver = Waiver(row["check"], row["owner"], row["reason"], date.fromisoformat(row["expires"]))
        if waiver.check not in checks:
            raise ConfigurationError(f"{where}: there is no check of that id; `voxgate gates --list` shows them")
        if waiver.check in waivers:
            raise ConfigurationError(f"{where}: {waiver.check} is waived twice")
        if waiver.is_too_long(today):
            raise ConfigurationError(f"{where}: expires must be a day within {MAX_DAYS} days of today")
        waivers[waiver.check] = waiver
    return tuple(waivers.values())


def _plain(value: Any) -> Any:
    """TOML's dates as JSON has them. Raises :class:`ConfigurationError` for a text that a terminal would obey."""
    if isinstance(value, str) and visible(value) != value:
        raise ConfigurationError("a text in it holds a control character, or a mark of direction")
    if isinstance(value, dict):
        return {name: _plain(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_plain(member) for member in value]
    return value.isoformat() if hasattr(value, "isoformat") else value


def _told(fault: ValidationError) -> str:
    """Where and what is wanted, in the schema's own words; the value may be a key that was put there by mistake."""
    while isinstance(fault.parent, ValidationError):  # of two ways to write a route, neither is the one that is wanted
        fault = fault.parent
    where = ".".join(f"{part + 1}" if isinstance(part, int) else str(part) for part in fault.absolute_path)
    schema = fault.schema if isinstance(fault.schema, Mapping) else {}
    if fault.validator == "additionalProperties":
        known = ", ".join(sorted(schema.get("properties", {})))
        return f"{where or 'the file'} holds a setting that is not known; known are {known}"
    if fault.validator == "required":
        return f"{where} lacks a setting; wanted is {schema.get('description')}"
    # What a $ref leads to says what it is; the place that refers says what it is for.
    described = schema.get("description") or _described(list(fault.absolute_path)) or "something else"
    return f"{where or 'the file'} must be {described}"


def _described(path: list[str | int]) -> str:
    schema: Mapping[str, Any] = _schema()
    for part in path:
        schema = schema["items"] if isinstance(part, int) else schema["properties"][part]
    return str(schema.get("description", ""))


@cache
def _schema() -> Mapping[str, Any]:
    schema: Mapping[str, Any] = json.loads(files(__package__).joinpath("formats", "gates.schema.json").read_bytes())
    return schema


@cache
def _validator() -> Draft202012Validator:
    schema = _schema()
    return Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
