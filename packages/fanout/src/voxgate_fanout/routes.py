"""The HTTP routes of fan-out: post an event, operate targets and dead letters, and the local stub.

Every request goes the same way: origin, caller and role, then the query and the body. Refusals are raised as
:class:`VoxgateError`; somebody else renders them, and FastAPI's own about a query.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from typing import Annotated, Final, TypeVar

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Request, Response
from msgspec import Meta, Struct

from voxgate_core import (
    Answer,
    CallerGate,
    DeadLetter,
    DeadQuery,
    VoxgateError,
    header_values,
    is_json_type,
    read_bounded,
    read_json,
)
from voxgate_fanout.admission import Admission
from voxgate_fanout.event import MAX_EVENT
from voxgate_fanout.idempotency import check_key
from voxgate_fanout.registry import Registry
from voxgate_fanout.service import Fanout
from voxgate_fanout.stub import Stub
from voxgate_fanout.targets import Target, new_target, shown

__all__ = ["MAX_COMMAND", "MAX_PAGE", "MAX_REPLAY", "STUB_PATH", "create_router"]

PATH: Final = "/api/voice/fanout"
STUB_PATH: Final = f"{PATH}/stub"
"""Where the local stub receives."""

STUB: Final = "stub"
"""The name of the target behind which the local stub stands."""

MAX_COMMAND: Final = 16 * 1024
"""Bytes of an operator's request."""

MAX_REPLAY: Final = 500
"""Dead letters one request looks through to replay; the answer says where the next one goes on."""

MAX_PAGE: Final = 1000
"""Dead letters of one page."""

AT_ONCE: Final = 50
"""Dead letters read from the store at a time: each is in memory with its body, a quarter of a megabyte at most."""

MAX_FAULT: Final = 200
"""Characters of what is said of a body: it may repeat the name of a member that should not be there."""

JSON: Final = "application/json"
WEBHOOK_HEADERS: Final = ("webhook-id", "webhook-timestamp", "webhook-signature")

T = TypeVar("T", bound=Struct)
Respond = Callable[[Answer], Response]
Name = Annotated[str, Meta(min_length=1, max_length=64)]
EventId = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_-]{1,64}\Z")]
Ref = Annotated[str, Meta(pattern=r"\A[0-9]{1,18}\Z")]
Line = Annotated[str, Meta(pattern=r"\A[^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]{1,200}\Z")]
"""Text that an operator's terminal may print."""

_NO_STORE: Final = {"Cache-Control": "no-store"}


class TargetBody(Struct, forbid_unknown_fields=True, frozen=True, rename="camel"):
    """The body of ``POST …/targets``: a new target. ``timeout`` is seconds, ``rate`` deliveries per second."""

    name: str
    url: str
    events: Annotated[list[str], Meta(min_length=1)] = msgspec.field(default_factory=lambda: ["*"])
    secret: str | None = None
    timeout: float = 15.0
    rate: float | None = None
    concurrency: int = 8
    order_by: str | None = None


class ReplayBody(Struct, forbid_unknown_fields=True, frozen=True):
    """The body of ``POST …/replay``: one of the first three at least; all that are given must hold.

    ``since`` and ``until`` are epoch seconds of the death, ``after`` the ref of the letter that was looked at last.
    """

    id: EventId | None = None
    target: Name | None = None
    since: float | None = None
    until: float | None = None
    after: Ref | None = None


class ReasonBody(Struct, forbid_unknown_fields=True, frozen=True):
    """The body of ``POST …/disable``."""

    reason: Line = "an operator disabled it"


class NothingBody(Struct, forbid_unknown_fields=True, frozen=True):
    """The body of a request that has none."""


def create_router(
    fanout: Fanout, gate: CallerGate, respond: Respond, *, stub: Stub | None, admission: Admission
) -> APIRouter:
    """The routes; ``respond`` renders what they answer. Without a ``stub`` its routes are not there."""
    router = APIRouter(tags=["fan-out"])

    async def operator(request: Request) -> None:
        await gate.admit(request.scope["headers"], operator=True)

    # FastAPI asks these before it looks at a query: who may not call learns nothing of what a route takes.
    operators = APIRouter(dependencies=[Depends(operator)])

    @router.post(PATH, summary="Post a voice event", response_class=Response)
    async def post(request: Request) -> Response:
        headers = request.scope["headers"]
        caller = await gate.admit(headers)
        key = check_key(header_values(headers, b"idempotency-key"))
        _check_type(headers)
        admission.spend(caller)
        try:
            accepted = await fanout.post(await read_bounded(request.stream(), MAX_EVENT), caller=caller, key=key)
        except VoxgateError as error:
            if error.code == "invalid_input":
                raise VoxgateError("bad_request", "the body is not an event", details=error.details) from None
            raise
        to_stub = stub is not None and STUB in accepted.targets
        data = {"eventId": accepted.event_id, "targets": list(accepted.targets), "stub": to_stub}
        replayed = {"Idempotency-Replayed": "true"} if accepted.replayed else {}
        return respond(Answer(data, status=202, headers=replayed))

    if stub is not None:
        _add_stub_routes(router, operators, stub, respond)
    _add_target_routes(operators, fanout, respond)
    _add_dead_routes(operators, fanout, respond)
    router.include_router(operators)
    return router


def _add_target_routes(router: APIRouter, fanout: Fanout, respond: Respond) -> None:
    registry = fanout.registry

    @router.get(f"{PATH}/targets", summary="Where events go", response_class=Response)
    async def list_targets() -> Response:
        targets = sorted(registry, key=lambda target: target.name)
        rows = [{**_shown(registry, target), **fanout.standing(target.id)} for target in targets]
        return respond(Answer({"targets": rows}))

    @router.post(f"{PATH}/targets", summary="Add a target", response_class=Response)
    async def add(request: Request) -> Response:
        body = await _command(request, TargetBody)
        target = new_target(
            name=body.name,
            url=body.url,
            now=fanout.clock.now(),
            secret=body.secret,
            events=tuple(body.events),
            timeout=body.timeout,
            rate=body.rate,
            concurrency=body.concurrency,
            order_by=body.order_by,
        )
        await registry.add(target)
        # The one time that a secret made here is told; who brought one along knows it.
        told = {} if body.secret is not None else {"signingSecret": target.secrets[0].value}
        return respond(Answer({**_shown(registry, target), **told}, status=201, headers=_NO_STORE))

    @router.delete(f"{PATH}/targets/{{name}}", summary="Remove a target", response_class=Response)
    async def remove(name: str) -> Response:
        await registry.find(name)
        target = await fanout.remove(name)
        return respond(Answer({"removed": target.name, "id": target.id}))

    @router.post(f"{PATH}/targets/{{name}}/disable", summary="Send nothing for now", response_class=Response)
    async def disable(request: Request, name: str) -> Response:
        body = await _command(request, ReasonBody)
        target = await registry.find(name)
        await registry.disable(target.id, body.reason)
        return respond(Answer(_shown(registry, target)))

    @router.post(f"{PATH}/targets/{{name}}/enable", summary="Send again", response_class=Response)
    async def enable(request: Request, name: str) -> Response:
        await _command(request, NothingBody)
        target = await registry.find(name)
        await registry.enable(target.id)
        return respond(Answer(_shown(registry, target)))

    @router.post(f"{PATH}/targets/{{name}}/test", summary="Deliver a test event now", response_class=Response)
    async def test(request: Request, name: str) -> Response:
        await _command(request, NothingBody)
        await registry.find(name)
        outcome = await fanout.test(name)
        seconds = round(outcome.seconds, 3)
        data = {"outcome": outcome.kind.value, "status": outcome.status, "reason": outcome.reason, "seconds": seconds}
        return respond(Answer(data))

    @router.post(f"{PATH}/targets/{{name}}/rotate-secret", summary="Give a new secret", response_class=Response)
    async def rotate_secret(request: Request, name: str) -> Response:
        await _command(request, NothingBody)
        await registry.find(name)
        target, secret = await registry.rotate_secret(name)
        return respond(Answer({**_shown(registry, target), "signingSecret": secret}, headers=_NO_STORE))


def _add_dead_routes(router: APIRouter, fanout: Fanout, respond: Respond) -> None:
    @router.get(f"{PATH}/dead", summary="Dead letters", response_class=Response)
    async def dead(
        target: Annotated[str | None, Query(min_length=1, max_length=64, description="of this target")] = None,
        event_id: Annotated[
            str | None, Query(alias="id", pattern="^[A-Za-z0-9_-]{1,64}$", description="of this event")
        ] = None,
        since: Annotated[float | None, Query(allow_inf_nan=False, description="died then or later: epoch s")] = None,
        after: Annotated[
            str | None, Query(pattern="^[0-9]{1,18}$", description="behind this ref: the `after` of a page")
        ] = None,
        limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 100,
    ) -> Response:
        lane = None if target is None else (await fanout.registry.find(target)).id
        letters = _letters(fanout, DeadQuery(lane, event_id, since, after, limit))
        rows = [_row(fanout.registry, letter) async for letter in letters]
        return respond(Answer({"dead": rows, "after": rows[-1]["ref"] if len(rows) == limit else None}))

    @router.post(f"{PATH}/replay", summary="Deliver dead letters anew", response_class=Response)
    async def replay(request: Request) -> Response:
        body = await _command(request, ReplayBody)
        if body.id is None and body.target is None and body.since is None:
            raise VoxgateError("invalid_input", details={"body": "name at least one of id, target and since"})
        lane = None if body.target is None else (await fanout.registry.find(body.target)).id
        # What dies again meanwhile is left for another time: else a target that wants nothing would never be done.
        until = fanout.clock.now() if body.until is None else body.until
        replayed: list[str] = []
        orphaned, seen, last = 0, 0, None
        async for letter in _letters(fanout, DeadQuery(lane, body.id, body.since, body.after, MAX_REPLAY)):
            seen, last = seen + 1, letter.ref
            if letter.died_at > until:
                continue
            try:
                await fanout.replay(letter)
                replayed.append(letter.id)
            except VoxgateError as error:
                if error.code != "not_found":
                    raise
                orphaned += 1
        after = last if seen == MAX_REPLAY else None
        return respond(Answer({"replayed": replayed, "withoutTarget": orphaned, "until": until, "after": after}))


def _add_stub_routes(router: APIRouter, operators: APIRouter, stub: Stub, respond: Respond) -> None:
    @router.post(STUB_PATH, summary="The local stub receives a signed event", response_class=Response)
    async def receive(request: Request) -> Response:
        # No key: the signature says who calls.
        given = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.scope["headers"]]
        headers = dict(given)
        if any(len([name for name, _ in given if name == known]) > 1 for known in WEBHOOK_HEADERS):
            raise VoxgateError("credential_invalid", "the signature does not hold: a webhook header came twice")
        received = await stub.receive(headers, await read_bounded(request.stream(), MAX_EVENT))
        return respond(Answer({"eventId": received.event_id, "deliveries": received.deliveries}))

    @operators.get(f"{STUB_PATH}/{{event_id}}", summary="What the local stub received", response_class=Response)
    async def received(event_id: Annotated[str, Path(pattern="^[A-Za-z0-9_-]{1,64}$")]) -> Response:
        found = await stub.received(event_id)
        return respond(Answer({**msgspec.to_builtins(found), "signature": "valid"}))


def _shown(registry: Registry, target: Target) -> Mapping[str, object]:
    return shown(target, registry.state(target.id))


async def _letters(fanout: Fanout, query: DeadQuery) -> AsyncIterator[DeadLetter]:
    """Dead letters in their order, ``query.limit`` at most, without holding them all in memory."""
    left, after = query.limit, query.after
    while left:
        wanted = min(left, AT_ONCE)
        letters = await fanout.dead(replace(query, after=after, limit=wanted))
        for letter in letters:
            yield letter
        if len(letters) < wanted:
            return
        left, after = left - wanted, letters[-1].ref


def _row(registry: Registry, letter: DeadLetter) -> dict[str, object]:
    target = registry.get(letter.lane)
    return {
        "id": letter.id,
        "target": None if target is None else target.name,
        "targetId": letter.lane,
        "reason": letter.reason,
        "attempts": letter.attempts,
        "acceptedAt": letter.accepted_at,
        "diedAt": letter.died_at,
        "bytes": len(letter.body),
        "ref": letter.ref,
    }


def _check_type(headers: list[tuple[bytes, bytes]]) -> None:
    if not is_json_type(header_values(headers, b"content-type")):
        raise VoxgateError("unsupported_media_type", f"the body must be {JSON}")


async def _command(request: Request, shape: type[T]) -> T:
    """An operator's body; an empty one is an empty object. Raises :class:`VoxgateError` as the token routes do."""
    body = await read_bounded(request.stream(), MAX_COMMAND)
    if body:
        _check_type(request.scope["headers"])
    value = read_json(body or b"{}")
    try:
        return msgspec.convert(value, type=shape)
    except msgspec.ValidationError as error:
        raise VoxgateError("invalid_input", details={"body": str(error)[:MAX_FAULT]}) from None
