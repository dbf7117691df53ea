"""``voxgate fanout``: operate the targets and dead letters of a running gateway, over its HTTP interface."""

import json
import math
import os
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click

from voxgate_fanout.operator_client import OperatorClient, Refused, Unreachable, running_gateway
from voxgate_fanout.targets import is_target_name

__all__ = ["fanout"]

URL_VARIABLE: Final = "VOXGATE_URL"
KEY_VARIABLE: Final = "VOXGATE_KEY"

SINCE: Final = "2026-11-25T10:00:00Z (UTC where no zone is given), or so long ago: 90s, 45m, 12h, 3d"

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_is_ago = re.compile(r"([0-9]{1,6})([smhd])").fullmatch

Connect = Callable[[], OperatorClient]


class _Group(click.Group):
    """Turns what the gateway refuses into one line and an exit code: 1 refused, 2 not reached."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except Refused as error:
            click.echo(f"refused: {error}", err=True)
            sys.exit(1)
        except Unreachable as error:
            click.echo(str(error), err=True)
            sys.exit(2)
        except (KeyError, TypeError, AttributeError):
            click.echo("what answers there is not a gateway with fan-out: is the URL right?", err=True)
            sys.exit(2)
        except OSError as error:
            click.echo(f"the answer could not be written: {error.strerror}", err=True)
            sys.exit(2)


def _name(_ctx: click.Context, _parameter: click.Parameter, text: str | None) -> str | None:
    if text is not None and not is_target_name(text):
        raise click.BadParameter("the name of a target is 1 to 48 of a-z, 0-9 and -, and does not begin with -")
    return text


def _number(_ctx: click.Context, _parameter: click.Parameter, number: float | None) -> float | None:
    if number is not None and not math.isfinite(number):
        raise click.BadParameter("must be a number")
    return number


def _moment(_ctx: click.Context, _parameter: click.Parameter, text: str | None) -> float | None:
    """Epoch seconds of a time, or of so long ago."""
    if text is None:
        return None
    ago = _is_ago(text)
    if ago is not None:
        return time.time() - int(ago[1]) * _UNITS[ago[2]]
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise click.BadParameter(f"must be a time such as {SINCE}") from None


_as_json = click.option("--json", "as_json", is_flag=True, help="Print the answer's data as one JSON object.")
_argument = click.argument("name", required=False, callback=_name)
_option = click.option("--name", "named", metavar="NAME", callback=_name, help="The target, instead of the argument.")


@click.group(cls=_Group)
@click.option(
    "--url",
    envvar=URL_VARIABLE,
    show_envvar=True,
    help="The gateway. [default: the one that runs with the data folder]",
)
@click.option(
    "--key-env",
    default=KEY_VARIABLE,
    show_default=True,
    help="Environment variable that holds an operator key for --url. Not needed without --url.",
)
@click.option(
    "--data-dir",
    envvar="VOXGATE_DATA_DIR",
    show_envvar=True,
    default=".voxgate",
    show_default=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="The gateway's data folder, which tells where it answers and to which key.",
)
@click.pass_context
def fanout(ctx: click.Context, url: str | None, key_env: str, data_dir: Path) -> None:
    """Targets of voice events, dead letters and replay, on the running gateway.

    Exit 0 done, 1 refused, 2 the gateway can't be reached or the command is wrong.
    """
    ctx.obj = lambda: running_gateway(url or None, os.environ.get(key_env), data_dir)


@fanout.group()
def targets() -> None:
    """Where events go."""


@targets.command("list")
@_as_json
@click.pass_obj
def list_targets(connect: Connect, as_json: bool) -> None:
    """List the targets and how they fare. Secrets are shown as fingerprints, in the JSON."""
    data = connect().get("targets")
    rows = [
        (row["name"], row["url"], ",".join(row["events"]), row["managedBy"], row["disabled"] or row["breaker"])
        for row in data["targets"]
    ]
    _print(data, as_json, lambda: _table(("name", "url", "events", "managed by", "state"), rows))


@targets.command()
@click.option("--name", required=True, callback=_name, help="1 to 48 of a-z, 0-9 and -.")
@click.option("--url", "target_url", required=True, help="Where events are posted; https in prod.")
@click.option("--events", multiple=True, help="A type, or a beginning such as voice.*; may be repeated. [default: *]")
@click.option(
    "--secret",
    help="whsec_…, as the receiver has it. Other users of this machine can see it while this runs: prefer --secret-env. "
    "[default: a new one, printed once]",
)
@click.option("--secret-env", metavar="VARIABLE", help="Read the secret from this environment variable instead.")
@click.option(
    "--timeout", type=float, callback=_number, default=15.0, show_default=True, help="Seconds for a delivery."
)
@click.option("--rate", type=float, callback=_number, help="Deliveries per second at most. [default: no limit]")
@click.option("--concurrency", type=int, default=8, show_default=True, help="Deliveries in flight at most.")
@click.option("--ordered", is_flag=True, help="Keep the order of events of one subject (the session).")
@click.option("--order-by", help="Keep the order by this instead: source, type, or a JSON pointer into the data.")
@_as_json
@click.pass_obj
def add(
    connect: Connect, name: str, target_url: str, events: Sequence[str], secret: str | None, secret_env: str | None,
    timeout: float, rate: float | None, concurrency: int, ordered: bool, order_by: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Add a target. A secret that is made here is printed once, and never again."""
    if secret_env is not None:
        if secret is not None:
            raise click.UsageError("give one of --secret and --secret-env")
        secret = os.environ.get(secret_env)
        if not secret:
            raise click.BadParameter(f"the environment variable {secret_env} is not set", param_hint="--secret-env")
    if ordered and order_by is not None:
        raise click.UsageError("give one of --ordered and --order-by")
    body: dict[str, object] = {
        "name": name,
        "url": target_url,
        "events": list(events) or ["*"],
        "secret": secret,
        "timeout": timeout,
        "rate": rate,
        "concurrency": concurrency,
        "orderBy": "subject" if ordered else order_by,
    }
    data = connect().post("targets", body=body)
    told = data.get("signingSecret")
    text = f"added {name}" if told is None else f"added {name}; its secret, shown this once: {told}"
    _print(data, as_json, lambda: click.echo(text))


@targets.command()
@_argument
@_option
@click.option("--reason", help="Shown in the list.")
@_as_json
@click.pass_obj
def disable(connect: Connect, name: str | None, named: str | None, reason: str | None, as_json: bool) -> None:
    """Send nothing to a target until it is enabled; what waits for it is kept."""
    chosen = _chosen(name, named)
    data = connect().post("targets", chosen, "disable", body={} if reason is None else {"reason": reason})
    _print(data, as_json, lambda: click.echo(f"disabled {chosen}: {data['disabled']}"))


@targets.command()
@_argument
@_option
@_as_json
@click.pass_obj
def enable(connect: Connect, name: str | None, named: str | None, as_json: bool) -> None:
    """Send to a target again, what waited first."""
    chosen = _chosen(name, named)
    data = connect().post("targets", chosen, "enable", body={})
    _print(data, as_json, lambda: click.echo(f"enabled {chosen}"))


@targets.command()
@_argument
@_option
@_as_json
@click.pass_obj
def remove(connect: Connect, name: str | None, named: str | None, as_json: bool) -> None:
    """Forget a target, and what waits for it. Its dead letters stay, but can't be replayed any more."""
    chosen = _chosen(name, named)
    data = connect().delete("targets", chosen)
    _print(data, as_json, lambda: click.echo(f"removed {chosen}"))


@targets.command()
@_argument
@_option
@_as_json
@click.pass_obj
def test(connect: Connect, name: str | None, named: str | None, as_json: bool) -> None:
    """Deliver a test event to a target now, and say what came of it. Exit 1 when it was not taken."""
    data = connect().post("targets", _chosen(name, named), "test", body={})
    _print(data, as_json, lambda: click.echo(f"{data['outcome']} in {data['seconds']} s: {data['reason']}"))
    if data["outcome"] != "delivered":
        sys.exit(1)


@targets.command("rotate-secret")
@_argument
@_option
@_as_json
@click.pass_obj
def rotate_secret(connect: Connect, name: str | None, named: str | None, as_json: bool) -> None:
    """Give a target a new secret; the old one signs beside it for a day."""
    data = connect().post("targets", _chosen(name, named), "rotate-secret", body={})
    _print(data, as_json, lambda: click.echo(f"the new secret, shown this once: {data['signingSecret']}"))


@fanout.group()
def dead() -> None:
    """Events that could not be delivered."""


@dead.command("list")
@click.option("--target", callback=_name, help="Only those of this target.")
@click.option("--id", "event_id", help="Only those of this event.")
@click.option("--since", callback=_moment, help=f"Only those that died since {SINCE}.")
@click.option("--after", help="Only those behind this ref: the next page.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="How many at most.")
@_as_json
@click.pass_obj
def list_dead(
    connect: Connect, target: str | None, event_id: str | None, since: float | None, after: str | None, limit: int,
    as_json: bool,
) -> None:  # fmt: skip
    """List dead letters, oldest first."""
    asked = {"target": target, "id": event_id, "since": since, "after": after, "limit": limit}
    data = connect().get("dead", query={name: value for name, value in asked.items() if value is not None})
    rows = [
        (row["id"], row["target"] or row["targetId"], _clock(row["diedAt"]), str(row["attempts"]), row["reason"])
        for row in data["dead"]
    ]
    _print(data, as_json, lambda: _table(("event", "target", "died", "attempts", "reason"), rows))
    if data["after"] is not None and not as_json:
        click.echo(f"there may be more: --after {data['after']}", err=True)


@fanout.command()
@click.option("--id", "event_id", help="This event.")
@click.option("--target", callback=_name, help="All of this target.")
@click.option("--since", callback=_moment, help=f"All that died since {SINCE}.")
@_as_json
@click.pass_obj
def replay(connect: Connect, event_id: str | None, target: str | None, since: float | None, as_json: bool) -> None:
    """Deliver dead letters anew, each under the id it had. All that is given must hold."""
    asked: dict[str, object] = {"id": event_id, "target": target, "since": since}
    body = {name: value for name, value in asked.items() if value is not None}
    if not body:
        raise click.UsageError("name what to replay: --id, --target or --since")
    gateway, replayed, orphaned = connect(), [], 0
    try:
        while True:
            data = gateway.post("replay", body=body)
            replayed += data["replayed"]
            orphaned += data["withoutTarget"]
            if data["after"] is None:
                break
            body |= {"after": data["after"], "until": data["until"]}
    except (Refused, Unreachable) as error:
        if not replayed:
            raise
        raise type(error)(f"{error} ({len(replayed)} were replayed before that; run it again for the rest)") from None
    whole = {"replayed": replayed, "withoutTarget": orphaned}
    left = f", {orphaned} left: their targets were removed" if orphaned else ""
    _print(whole, as_json, lambda: click.echo(f"{len(replayed)} replayed{left}"))
    if event_id is not None and not replayed and not orphaned:
        click.echo(f"no dead letter has the id {event_id}; `voxgate fanout dead list` shows those there are", err=True)
        sys.exit(1)


def _chosen(argument: str | None, option: str | None) -> str:
    chosen = argument or option
    if chosen is None or (argument is not None and option is not None):
        raise click.UsageError("name one target: NAME or --name NAME")
    return chosen


def _clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _print(data: Mapping[str, object], as_json: bool, write: Callable[[], None]) -> None:
    if as_json:
        click.echo(json.dumps(data))
    else:
        write()


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    for row in (header, *rows):
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
