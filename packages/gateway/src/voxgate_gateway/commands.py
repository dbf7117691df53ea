"""``voxgate serve``, ``voxgate token`` and ``voxgate config``."""

import json
import os
import socket
import sys

import click

from voxgate_core import ConfigurationError, SystemClock
from voxgate_gateway.composition import ANY_ENGINE, compose, key_ring
from voxgate_gateway.crew import run_workers
from voxgate_gateway.serving import bind, run
from voxgate_gateway.settings import load
from voxgate_gateway.store.checking import check_store
from voxgate_observability import configure
from voxgate_security import TokenIssuer, TokenRequest

__all__ = ["config", "serve", "token"]


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8080, show_default=True, type=click.IntRange(0, 65535), help="0 takes any free port.")
@click.option("--fd", type=click.IntRange(3), help="Serve a listening socket handed down by a parent process.")
@click.option(
    "--workers", default=1, show_default=True, type=click.IntRange(1), help="Processes that accept on the same port."
)
@click.option("--json", "as_json", is_flag=True, help="Log in JSON even on a terminal.")
def serve(host: str, port: int, fd: int | None, workers: int, as_json: bool) -> None:
    """Run the gateway until SIGTERM.

    Prints one JSON line on standard output once it answers:
    {"event":"ready","url":…,"pid":…}. Logs go to standard error.
    """
    settings = load(os.environ)
    human = sys.stderr.isatty() and not as_json
    configure(settings.log_level.upper(), secrets=settings.secrets, human=human)
    try:
        listener = bind(host, port) if fd is None else socket.socket(fileno=fd)
    except OSError as error:
        raise ConfigurationError([f"--fd {fd} is not a socket ({error.strerror})"]) from error
    if workers == 1:
        run(settings, listener)
    else:
        run_workers(settings, listener, workers, as_json=as_json)


@click.command()
@click.option("--sub", required=True, help="Whom the token is for.")
@click.option("--origin", help="Bind the token to this origin.")
@click.option("--ttl", type=click.IntRange(1), help="Seconds it lives; at most what the environment allows.")
@click.option("--json", "as_json", is_flag=True, help="Print {token, expiresAt}.")
def token(sub: str, origin: str | None, ttl: int | None, as_json: bool) -> None:
    """Issue a session token with these settings, without a server."""
    settings = load(os.environ)
    made: list[str] = []
    ring = key_ring(settings, made)
    if made:
        raise ConfigurationError(["JWT_SECRET is not set: no running gateway would know a token made without it"])
    issuer = TokenIssuer(ring, SystemClock(), settings.environment)
    issued = issuer.issue(TokenRequest(subject=sub, origin=origin, ttl=ttl))
    if as_json:
        click.echo(json.dumps({"token": issued.token, "expiresAt": issued.grant.expires_at}))
    else:
        click.echo(issued.token)


@click.group()
def config() -> None:
    """Check the configuration, or show it."""


@config.command()
@click.option("--json", "as_json", is_flag=True, help="Print {valid, faults, notes}.")
def check(as_json: bool) -> None:
    """Say whether `voxgate serve` would start, and list every fault."""
    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    try:
        settings = load(os.environ)
        notes = compose(settings, engine_url=ANY_ENGINE).made
        check_store(settings)
    except ConfigurationError as error:
        faults = error.faults
    if as_json:
        click.echo(json.dumps({"valid": not faults, "faults": faults, "notes": notes}))
    else:
        click.echo("".join(f"- {fault}\n" for fault in faults), nl=False, err=True)
        click.echo("".join(f"note: {note}\n" for note in notes), nl=False, err=True)
    if faults:
        sys.exit(1)
    if not as_json:
        click.echo("voxgate serve would start with this configuration")


@config.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show(as_json: bool) -> None:
    """Print every setting; secrets only as a fingerprint."""
    table = load(os.environ).shown()
    if as_json:
        click.echo(json.dumps(table, indent=2))
    else:
        width = max(map(len, table))
        for name, value in table.items():
            click.echo(f"{name:<{width}}  {value}")
