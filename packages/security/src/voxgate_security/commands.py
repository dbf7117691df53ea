"""``voxgate keys``: makes API keys, and rotates the keys that sign tokens."""

import json
import os
import time
from typing import Final

import click

from voxgate_core import ConfigurationError
from voxgate_security.apikeys import KEY_ROLES, new_key
from voxgate_security.keyfiles import load_keyring
from voxgate_security.keyring import KeyRing, KeyState

__all__ = ["keys"]

OVERLAP_SECONDS: Final = 3600
"""How long gateways that do not know of a rotation yet may go on signing with the old key."""

MAX_OVERLAP_SECONDS: Final = 86_400


@click.group()
def keys() -> None:
    """Make API keys, and rotate token keys."""


@keys.command()
@click.option("--name", required=True, help="Whose key it is; shown in logs.")
@click.option("--role", required=True, type=click.Choice([role.value for role in KEY_ROLES]), help="What it may do.")
@click.option("--json", "as_json", is_flag=True, help="Print {name, role, key, stored}.")
def new(name: str, role: str, as_json: bool) -> None:
    """Make an API key. It is printed once; only its hash is kept."""
    try:
        plain, stored = new_key(name, role)
    except ConfigurationError as error:
        raise click.UsageError("; ".join(error.faults)) from None
    if as_json:
        click.echo(json.dumps({"name": name, "role": role, "key": plain, "stored": stored}))
        return
    click.echo(f"key     {plain}   (shown this once)")
    click.echo(f"stored  {stored}   (add it to VOXGATE_API_KEYS)")


@keys.command()
@click.option("--prepare", is_flag=True, help="Only add a next key; the following rotation makes it active.")
@click.option(
    "--overlap",
    type=click.IntRange(0, MAX_OVERLAP_SECONDS),
    default=OVERLAP_SECONDS,
    show_default=True,
    help="Seconds for which the old key may go on signing elsewhere; 0, when it has leaked, voids all it signed.",
)
@click.option("--json", "as_json", is_flag=True, help="Print {JWT_SECRET, active, keys}.")
def rotate(prepare: bool, overlap: int, as_json: bool) -> None:
    """Print a new JWT_SECRET: a new active key, the old one retired.

    Reads JWT_SECRET from the environment; without one, prints a fresh ring. Where several gateways share it
    and restart one by one, run `--prepare` once, give its output to all of them, and only then rotate that, once.
    """
    text = os.environ.get("JWT_SECRET", "")
    try:
        ring = load_keyring(text) if text.strip() else None
    except ConfigurationError as error:
        raise click.UsageError("; ".join(error.faults)) from None
    now = int(time.time())
    if ring is None:
        ring = KeyRing.generate()
    elif prepare:
        ring = ring.prepared()
    else:
        ring = ring.rotated(retire_at=now + overlap if overlap else None, now=now)
    if as_json:
        table = {key.kid: key.state.value for key in ring}
        click.echo(json.dumps({"JWT_SECRET": ring.export(), "active": ring.active.kid, "keys": table}))
        return
    click.echo(f"JWT_SECRET={ring.export()}")
    retired = ", ".join(key.kid for key in ring if key.state is KeyState.RETIRED)
    click.echo(f"active {ring.active.kid}" + (f", retired {retired}" if retired else ""), err=True)
