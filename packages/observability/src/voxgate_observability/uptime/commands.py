"""``voxgate uptime``: look once, keep watch, and report."""

import json
import os
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from voxgate_core import ConfigurationError
from voxgate_observability.uptime.history import History, Summary
from voxgate_observability.uptime.notifying import Notifier
from voxgate_observability.uptime.probe import look, look_at_url
from voxgate_observability.uptime.verdict import Budget, Verdict, judge
from voxgate_observability.uptime.watching import State, Watch

__all__ = ["uptime"]

KEY_VARIABLE: Final = "VOXGATE_UPTIME_KEY"
URL_VARIABLE: Final = "HEALTH_URL"
HISTORY: Final = "uptime.sqlite3"
DATA_DIR_VARIABLE: Final = "VOXGATE_DATA_DIR"
DATA_DIR: Final = ".voxgate"
MAX_INTERVAL: Final = 86_400.0

_latency = click.option(
    "--latency",
    type=click.FloatRange(0.01, 10),
    default=Budget().seconds,
    show_default=True,
    help="Seconds an answer may take.",
)
_days = click.option(
    "--certificate-days",
    type=click.FloatRange(0),
    default=Budget().days,
    show_default=True,
    help="Days the certificate must still have.",
)
_history = click.option(
    "--history",
    type=click.Path(dir_okay=False, path_type=Path),
    default=lambda: Path(os.environ.get(DATA_DIR_VARIABLE) or DATA_DIR) / HISTORY,
    show_default=f"{HISTORY} in {DATA_DIR_VARIABLE}, else in {DATA_DIR}",
    help="The SQLite file.",
)
_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")


def _named(ctx: click.Context, _: click.Parameter, url: str | None) -> str:
    if not url:
        raise click.UsageError(f"name the URL to look at, or set {URL_VARIABLE}", ctx)
    return url


_url = click.argument("url", envvar=URL_VARIABLE, required=False, callback=_named)


@click.group()
def uptime() -> None:
    """Look at a deployment's health from outside.

    URL is the whole address, such as https://voice.example.com/api/health; without it HEALTH_URL is looked at.
    """


@uptime.command()
@_url
@_latency
@_days
@_as_json
def check(url: str, latency: float, certificate_days: float, as_json: bool) -> None:
    """Look once. Exit 0 when it is up, 1 when it fell short, 2 when it could not be judged."""
    verdict = judge(look(look_at_url(url)), Budget(latency, certificate_days))
    if as_json:
        click.echo(json.dumps(_shown(url, verdict)))
    else:
        click.echo(
            f"{'up' if verdict.is_up else 'DOWN'}  {url}  {verdict.seconds * 1000:.0f} ms{_certificate(verdict)}"
        )
        for fault in verdict.faults:
            click.echo(f"  {fault}", err=True)
    sys.exit(0 if verdict.is_up else 1)


@uptime.command()
@_url
@_latency
@_days
@_history
@click.option(
    "--interval",
    type=click.FloatRange(0.05, MAX_INTERVAL),
    default=30.0,
    show_default=True,
    help="Seconds between looks.",
)
@click.option("--notify", metavar="URL", help="A gateway's /api/voice/fanout, which is told of each change.")
@click.option(
    "--key-env",
    metavar="NAME",
    default=KEY_VARIABLE,
    show_default=True,
    help="The environment variable with its API key.",
)
@click.option("--count", type=click.IntRange(1), help="Stop after so many looks.")
@_as_json
def watch(
    url: str, latency: float, certificate_days: float, history: Path, interval: float, notify: str | None, key_env: str,
    count: int | None, as_json: bool,
) -> None:  # fmt: skip
    """Keep looking: down after three failed looks in a row, up again after two good ones. Ctrl-C ends it."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    notifier = None
    if notify is not None:
        key = os.environ.get(key_env, "")
        if not key:
            raise ConfigurationError([f"{key_env} is not set: --notify needs the API key of that gateway"])
        notifier = Notifier(look_at_url(notify), key, wait=stop.wait)
    try:
        kept = History(history)
        target, budget, left = look_at_url(url), Budget(latency, certificate_days), count
        watched = Watch(kept.state(target))
        while not stop.is_set() and left != 0:
            verdict = judge(look(target), budget)
            _note(target, verdict, watched, kept, notifier, _teller(as_json))
            left = None if left is None else left - 1
            if left != 0:
                stop.wait(interval)
    except (sqlite3.Error, OSError) as error:
        raise ConfigurationError([f"the history {history} can't be written: {error}"]) from error
    sys.exit(0 if watched.state is State.UP else 1)


@uptime.command()
@_history
@click.option("--days", type=click.FloatRange(0.001, 90), default=7.0, show_default=True, help="How far to look back.")
@_as_json
def report(history: Path, days: float, as_json: bool) -> None:
    """A table of what was seen: availability, latency, and each outage."""
    if not history.exists():
        raise ConfigurationError([f"there is no history {history}: `voxgate uptime watch` writes it"])
    try:
        summaries = History(history).summaries(time.time() - days * 86_400)
    except sqlite3.Error as error:
        raise ConfigurationError([f"the history {history} can't be read: {error}"]) from error
    if as_json:
        for summary in summaries:
            click.echo(json.dumps(_document(summary)))
        return
    click.echo(f"{'available':>9}  {'looks':>6}  {'p50':>7}  {'p95':>7}  target")
    for summary in summaries:
        figures = f"{summary.availability:9.3%}  {summary.looks:6d}  {summary.p50 * 1000:4.0f} ms  {summary.p95 * 1000:4.0f} ms"
        click.echo(f"{figures}  {summary.url}")
        for outage in summary.outages:
            ended = "now" if outage.ended is None else _moment(outage.ended)
            lasted = (outage.ended or time.time()) - outage.began
            click.echo(f"{'':9}  down from {_moment(outage.began)} to {ended}, {lasted:.0f} s: {outage.reason}")


def _note(
    url: str,
    verdict: Verdict,
    watched: Watch,
    kept: History,
    notifier: Notifier | None,
    tell: Callable[[str, Verdict], None],
) -> None:
    at = time.time()
    changed = watched.note(is_up=verdict.is_up)
    try:
        kept.note(url, at, verdict, changed_to=watched.state if changed else None)
    except sqlite3.Error as error:  # locked for long, a full disk: what is seen is told all the same
        click.echo(f"this look is not in the history: {error}", err=True)
    if changed:
        tell(url, verdict)
        if notifier is not None:
            notifier.tell(url, watched.state, "; ".join(verdict.faults), at)


def _teller(as_json: bool) -> Callable[[str, Verdict], None]:
    def tell(url: str, verdict: Verdict) -> None:
        if as_json:
            click.echo(json.dumps(_shown(url, verdict)))
        else:
            state = State.UP if verdict.is_up else State.DOWN
            click.echo(f"{_moment(time.time())}  {state}  {url}  {'; '.join(verdict.faults)}".rstrip())

    return tell


def _shown(url: str, verdict: Verdict) -> dict[str, object]:
    return {
        "url": url,
        "up": verdict.is_up,
        "faults": list(verdict.faults),
        "seconds": round(verdict.seconds, 4),
        "certificateDays": None if verdict.days_left is None else round(verdict.days_left, 1),
    }


def _document(summary: Summary) -> dict[str, object]:
    outages = [{"began": o.began, "ended": o.ended, "reason": o.reason} for o in summary.outages]
    return {
        "url": summary.url,
        "looks": summary.looks,
        "availability": summary.availability,
        "p50": summary.p50,
        "p95": summary.p95,
        "outages": outages,
    }


def _certificate(verdict: Verdict) -> str:
    return "" if verdict.days_left is None else f"  certificate: {verdict.days_left:.0f} days"


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
