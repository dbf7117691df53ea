"""Makes streams as they are wanted, whether they are there already or not, and reads them page by page."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from nats.aio.msg import Msg
from nats.js.api import StreamConfig
from nats.js.errors import APIError

from voxgate_backplane.client import Connection
from voxgate_backplane.faults import refusals

__all__ = ["Page", "ensure_stream", "moment", "read_page"]

PAGE_BYTES: Final = 4 * 1024 * 1024
"""Bytes of messages after which a page ends, however few they are."""

NOT_THERE: Final = 10059
"""JetStream's error code for a stream that does not exist."""

NAME_IN_USE: Final = 10058
"""JetStream's error code for a stream that another process made, differently, at the same moment."""


@dataclass(frozen=True, slots=True)
class Page:
    """Messages in the order of their sequence, the last of which is ``last``; ``left`` says whether more follow."""

    messages: list[Msg]
    last: int
    left: bool


async def ensure_stream(connection: Connection, config: StreamConfig) -> None:
    """Make the stream, or change it to ``config``. Raises :class:`VoxgateError` ``unavailable``."""
    name, wanted = config.name, config.as_dict()
    with refusals(f"make the stream {name}"):
        try:
            await connection.api(f"STREAM.UPDATE.{name}", wanted)
        except APIError as error:
            if error.err_code != NOT_THERE:
                raise
            try:
                await connection.api(f"STREAM.CREATE.{name}", wanted)
            except APIError as late:
                if late.err_code != NAME_IN_USE:
                    raise
                await connection.api(f"STREAM.UPDATE.{name}", wanted)


async def read_page(
    connection: Connection, stream: str, subject: str, *, after: int = 0, since: float | None = None, limit: int
) -> Page:
    """At most ``limit`` messages whose subject matches, with a sequence past ``after``.

    ``since`` is epoch seconds, and counts instead of ``after``. The stream must allow direct reads; in a cluster any
    replica answers, and may lag by moments. Raises :class:`nats.errors.Error`, ``ValueError`` as :func:`moment` does.

    Source: NATS ADR-31 (direct reads in batches). They leave nothing on the server, as a consumer would.
    """
    question: dict[str, object] = {"next_by_subj": subject, "batch": limit, "max_bytes": PAGE_BYTES}
    if since is None:
        question["seq"] = after + 1
    else:
        question["start_time"] = moment(max(since, 0.0))
    *messages, end = await connection.ask_for_many(f"$JS.API.DIRECT.GET.{stream}", json.dumps(question).encode())
    headers = end.headers or {}
    if headers["Status"] == "404":
        return Page([], after, False)
    if headers["Status"] != "204":
        raise APIError(code=int(headers["Status"]), description=headers.get("Description", ""))
    last = int((messages[-1].headers or {})["Nats-Sequence"]) if messages else after
    return Page(messages, last, bool(messages) and int(headers["Nats-Num-Pending"]) > 0)


def moment(seconds: float) -> str:
    """Epoch seconds as the server reads them (RFC 3339). Raises ``ValueError`` outside of the years 1 to 9999."""
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except (OverflowError, OSError) as error:
        raise ValueError("a moment is given in epoch seconds") from error
