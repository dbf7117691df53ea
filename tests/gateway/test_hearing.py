import pytest
from starlette.types import Message, Receive, Scope, Send

from voxgate_core import VoxgateError
from voxgate_gateway.hearing import hear_out
from voxgate_responder import REFUSAL_KEY

START: Message = {"type": "http.response.start", "status": 403, "headers": []}
BODY: Message = {"type": "http.response.body", "body": b""}


async def nothing() -> Message:
    raise NotImplementedError


async def test_an_answer_is_heard_once_and_passed_on() -> None:
    heard: list[tuple[int, str]] = []
    sent: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope[REFUSAL_KEY] = VoxgateError("origin_refused")
        await send(START)
        await send(BODY)

    async def send(message: Message) -> None:
        sent.append(message)

    def hear(status: int, refusal: VoxgateError | None) -> None:
        heard.append((status, "" if refusal is None else refusal.code))

    await hear_out(app, {}, nothing, send, hear)
    assert (heard, sent) == ([(403, "origin_refused")], [START, BODY])


async def test_a_refusal_that_is_raised_is_heard_and_goes_on_its_way() -> None:
    heard: list[tuple[int, VoxgateError | None]] = []
    error = VoxgateError("token_expired")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise error

    async def send(message: Message) -> None:
        raise NotImplementedError

    with pytest.raises(VoxgateError) as raised:
        await hear_out(app, {}, nothing, send, lambda status, refusal: heard.append((status, refusal)))
    assert raised.value is error
    assert heard == [(401, error)]
