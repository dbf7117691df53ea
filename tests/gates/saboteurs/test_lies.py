import pytest

from voxgate_gates.saboteurs.lies import (
    ROUTES,
    answers_instead,
    asks_otherwise,
    closes_with,
    drops_event,
    event_lie,
    http_lie,
    json_lie,
    made,
    to,
    with_key,
    without_header,
    without_key,
)
from voxgate_gates.saboteurs.messages import Answer, Frame, Headers, Request
from voxgate_gates.saboteurs.saboteur import Exchange, World


async def nobody(request: Request) -> Answer:
    raise OSError("nothing behind this")


def exchange(target: str = ROUTES.token, method: str = "POST", *lines: tuple[str, str]) -> Exchange:
    world = World("vk_1", "vk_2", "https://a.test", "https://b.test", nobody)
    return Exchange(Request(method, target, Headers(list(lines))), world)


def test_a_place_is_a_path_and_perhaps_a_method() -> None:
    here = to(ROUTES.token, "POST")
    assert here(exchange(f"{ROUTES.token}?a=b"))
    assert not here(exchange(method="GET"))
    assert not here(exchange("/elsewhere"))
    assert not here(exchange(ROUTES.token, "POST", ("Upgrade", "websocket")))


def test_a_credential_is_there_or_not() -> None:
    here, key = to(ROUTES.token), ("Authorization", "Bearer vk_1")
    assert with_key(here)(exchange(ROUTES.token, "POST", key))
    assert not with_key(here)(exchange())
    assert without_key(here)(exchange())
    assert not without_key(here)(exchange(ROUTES.token, "POST", key))


async def test_a_request_is_changed_where_it_is_meant_and_nowhere_else() -> None:
    lie = asks_otherwise(to(ROUTES.token), lambda exchange: setattr(exchange.request, "method", "PUT"))
    meant, other = exchange(), exchange("/elsewhere")
    assert lie.request is not None
    assert await lie.request(meant) is None
    assert await lie.request(other) is None
    assert (meant.request.method, other.request.method) == ("PUT", "POST")


async def test_an_answer_out_of_nothing_keeps_the_target_out_of_it() -> None:
    lie = answers_instead(to(ROUTES.token), lambda exchange: made(405, {"success": False}))
    assert lie.request is not None
    answer = await lie.request(exchange())
    assert answer is not None
    assert (answer.status, answer.json()) == (405, {"success": False})
    assert await lie.request(exchange("/elsewhere")) is None


@pytest.mark.parametrize(("status", "left"), [(200, ""), (404, "nosniff")])
def test_a_header_is_taken_from_answers_of_one_status(status: int, left: str) -> None:
    lie = http_lie(to(ROUTES.token), without_header("x-content-type-options"), status=200)
    answer = Answer(status, Headers([("X-Content-Type-Options", "nosniff")]))
    assert lie.answer is not None
    lie.answer(exchange(), answer)
    assert answer.headers.get("x-content-type-options") == left


def test_a_member_is_taken_from_a_body() -> None:
    lie = json_lie(to(ROUTES.token), lambda body: body.pop("token"))
    answer = made(200, {"token": "t", "success": True})
    assert lie.answer is not None
    lie.answer(exchange(), answer)
    assert answer.json() == {"success": True}


async def test_a_close_code_is_told_otherwise_with_the_same_reason() -> None:
    change = closes_with(1008, 4001).to_client
    assert change is not None
    assert list(await change(exchange(), Frame.close(4001, "why"))) == [Frame.close(1008, "why")]
    assert list(await change(exchange(), Frame.close(1000, ""))) == [Frame.close(1000, "")]


async def test_events_are_dropped_or_added_and_the_rest_passes() -> None:
    first, second = Frame.text({"type": "a"}), Frame.text({"type": "b"})
    assert list(await drops_event("a")(exchange(), first)) == []
    assert list(await drops_event("a")(exchange(), second)) == [second]
    twice = event_lie(lambda exchange, event: [event, event])
    assert list(await twice(exchange(), first)) == [first, first]
    binary = Frame(0x82, b"x")
    assert list(await twice(exchange(), binary)) == [binary]
