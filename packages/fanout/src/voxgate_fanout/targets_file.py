"""Targets written down in ``fanout.toml``: read whole, and every fault listed at once. Pure.

.. code-block:: toml

    [[target]]
    name = "billing"
    url = "https://billing.example/hooks"
    events = ["voice.session.*"]
    secret_env = "BILLING_WEBHOOK_SECRET"

A target has ``name``, ``url``, and exactly one of ``secret``, ``secrets`` (the current one first) and ``secret_env``, a
variable that holds one secret or a comma list of them. ``events``, ``timeout``, ``rate``, ``concurrency`` and
``order_by`` may be left out.
"""

import re
import tomllib
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from voxgate_core import ConfigurationError
from voxgate_fanout.signing import new_secret
from voxgate_fanout.targets import MAX_TARGETS, Secret, Target, is_target_name, target_faults

__all__ = ["read_targets_file"]

FILE: Final = "fanout.toml"

_SETTINGS: Final[Mapping[str, tuple[Any, str]]] = {
    "name": (str, "a text"),
    "url": (str, "a text"),
    "events": (tuple[str, ...], "a list of patterns"),
    "secret": (str, "a text"),
    "secrets": (tuple[str, ...], "a list of texts"),
    "secret_env": (str, "a text"),
    "timeout": (float, "a number of seconds"),
    "rate": (float, "a number of deliveries per second"),
    "concurrency": (int, "a whole number"),
    "order_by": (str, "a text"),
}
_SECRET_SETTINGS: Final = ("secret", "secrets", "secret_env")

_STAND_IN: Final = Target(
    id="stand-in",
    name="stand-in",
    url="https://stand-in.invalid",
    secrets=(Secret(new_secret()),),
    managed_by="file",
    created_at=0.0,
)
"""Gives its fields for those of a table that can't be read, so that the rest of the table is judged all the same."""

_is_variable = re.compile(r"[A-Z_][A-Z0-9_]{0,63}").fullmatch
_is_setting = re.compile(r"[A-Za-z0-9_-]{1,32}").fullmatch


def read_targets_file(text: str, environ: Mapping[str, str], *, prod: bool) -> tuple[Target, ...]:
    """The targets of the file with this text, in its order. The id of each is ``file-<name>``.

    ``environ`` is asked for what ``secret_env`` names; in ``prod`` every URL must be https. Raises
    :class:`ConfigurationError` with every fault, by the number of its table and its name; none repeats a secret.
    """
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        # The parser's own sentence may quote the file.
        place = re.search(r"at (?:line \d+, column \d+|end of document)", str(error))
        raise ConfigurationError([f"{FILE}: can't be read as TOML{f' {place[0]}' if place else ''}"]) from None
    tables = document.pop("target", [])
    faults = [f"{FILE}: {_named(key)} is unknown; only [[target]] tables are read" for key in document]
    if not isinstance(tables, list):
        faults.append(f"{FILE}: target must be a list; write [[target]] above each")
        tables = []
    if len(tables) > MAX_TARGETS:
        faults.append(f"{FILE}: holds {len(tables)} targets; {MAX_TARGETS} at most are allowed")
        tables = tables[:MAX_TARGETS]
    targets: list[Target] = []
    names: dict[str, int] = {}
    for number, table in enumerate(tables, start=1):
        target, wrong = _read_table(table, environ, prod)
        label = f"{FILE}: target {number}"
        if target.id != _STAND_IN.id:
            label += f" ({target.name})"
            if names.setdefault(target.name, number) != number:
                wrong.append(f"name is that of target {names[target.name]} already; each needs its own")
        faults += [f"{label}: {fault}" for fault in wrong]
        targets.append(target)
    if faults:
        raise ConfigurationError(faults)
    return tuple(targets)


def _read_table(table: object, environ: Mapping[str, str], prod: bool) -> tuple[Target, list[str]]:
    """The target and its faults: it may be used when there are none. Its id is the stand-in's while it has no name."""
    if not isinstance(table, dict):
        return _STAND_IN, ["must be a table; write [[target]] above it"]
    faults = [f"{name} is missing" for name in ("name", "url") if name not in table]
    values: dict[str, Any] = {}
    for name, value in table.items():
        if name not in _SETTINGS:
            faults.append(f"{_named(name)} is unknown; there are {', '.join(_SETTINGS)}")
            continue
        kind, words = _SETTINGS[name]
        try:
            values[name] = msgspec.convert(value, kind)
        except msgspec.ValidationError:
            faults.append(f"{name} must be {words}")
    given: dict[str, Any] = {name: values.pop(name) for name in _SECRET_SETTINGS if name in values}
    if sum(name in table for name in _SECRET_SETTINGS) != 1:
        faults.append("exactly one of secret, secrets and secret_env must be given")
    elif given:
        try:
            values["secrets"] = tuple(Secret(secret) for secret in _secrets(given, environ))
        except ValueError as fault:
            faults.append(str(fault))
    if is_target_name(values.get("name", "")):
        values["id"] = f"file-{values['name']}"
    target = msgspec.structs.replace(_STAND_IN, **values)
    return target, faults + target_faults(target, prod=prod)


def _secrets(given: Mapping[str, Any], environ: Mapping[str, str]) -> tuple[str, ...]:
    """The secrets that the one setting in ``given`` leads to. Raises ``ValueError`` with a sentence."""
    if "secret" in given:
        return (given["secret"],)
    if "secrets" in given:
        return tuple(given["secrets"])
    variable = given["secret_env"]
    if _is_variable(variable) is None:  # not repeated: it might be the secret itself
        raise ValueError("secret_env must be the name of an environment variable: A-Z, 0-9 and _")
    value = environ.get(variable, "").strip()
    if not value:
        raise ValueError(f"the environment variable {variable} is not set")
    return tuple(secret.strip() for secret in value.split(","))


def _named(name: str) -> str:
    """A setting's name for a fault, unless it might be something that was pasted into the wrong place."""
    return name if _is_setting(name) is not None else "a setting"
