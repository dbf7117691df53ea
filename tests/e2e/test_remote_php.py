"""Where voice events go: to the local stub, or with leave to the PHP backend, signed."""

import time

from tests.fanout.receivers import Answer, Receiver
from tests.gateway.rig import BEARER, PREVIEW, Served, served, stubbed
from tests.helpers.envelope import assert_envelope, assert_problem
from voxgate_fanout import decode_event, new_secret, verify

EVENT = {"type": "order.placed", "subject": "o-1", "data": {"number": 1}}


async def post(gateway: Served) -> dict[str, object]:
    answer = await gateway.http.post("/api/voice/fanout", json=EVENT, headers=BEARER)
    data: dict[str, object] = assert_envelope(answer, 202)["data"]
    return data


async def test_without_leave_the_stub_gets_events_and_the_backend_none() -> None:
    async with Receiver() as php, served({**PREVIEW, "REMOTE_PHP_BASE": php.url_of("127.0.0.1", "")}) as gateway:
        data = await post(gateway)
        assert (data["targets"], data["stub"]) == (["stub"], True)
        received = await stubbed(gateway.http, str(data["eventId"]))
        assert (received["type"], received["deliveries"], received["signature"]) == ("order.placed", 1, "valid")
        assert php.received == []


async def test_with_leave_the_backend_gets_them_signed_at_its_path_and_there_is_no_stub() -> None:
    secret = new_secret()
    async with Receiver() as php:
        environ = {
            **PREVIEW,
            "ALLOW_REMOTE_PHP_FANOUT": "on",
            "REMOTE_PHP_BASE": php.url_of("127.0.0.1", "/shop/"),
            "VOXGATE_REMOTE_PHP_PATH": "/api/events.php",
            "VOXGATE_REMOTE_PHP_SECRET": secret,
        }
        async with served(environ) as gateway:
            data = await post(gateway)
            assert (data["targets"], data["stub"]) == (["remote-php"], False)
            await php.has_received(1)
            assert_problem(
                await gateway.http.get(f"/api/voice/fanout/stub/{data['eventId']}", headers=BEARER), 404, "not_found"
            )
        (request,) = php.received
        assert (request.method, request.path) == ("POST", "/shop/api/events.php")
        assert request.headers["user-agent"] == "voxgate/0.2.0rc2"
        assert verify(request.headers, request.body, [secret], time.time()) == data["eventId"]
        event = decode_event(request.body)
        assert (event.type, event.subject, event.data) == ("order.placed", "o-1", {"number": 1})


async def test_without_a_secret_one_is_made_that_stays_and_can_be_rotated() -> None:
    async with (
        Receiver() as php,
        served({**PREVIEW, "ALLOW_REMOTE_PHP_FANOUT": "on", "REMOTE_PHP_BASE": php.url_of("127.0.0.1", "")}) as gateway,
    ):
        rotated = await gateway.http.post("/api/voice/fanout/targets/remote-php/rotate-secret", headers=BEARER)
        secret = assert_envelope(rotated)["data"]["signingSecret"]
        data = await post(gateway)
        await php.has_received(1)
        (request,) = php.received
        assert len(request.headers["webhook-signature"].split(" ")) == 2  # the one before signs on for a day
        assert verify(request.headers, request.body, [secret], time.time()) == data["eventId"]


async def test_a_backend_that_is_gone_for_good_is_switched_off_and_told_in_the_list() -> None:
    async with (
        Receiver(default=Answer(410)) as php,
        served({**PREVIEW, "ALLOW_REMOTE_PHP_FANOUT": "on", "REMOTE_PHP_BASE": php.url_of("127.0.0.1", "")}) as gateway,
    ):
        await post(gateway)
        await php.has_received(1)
        disabled = None
        while disabled is None:
            answer = assert_envelope(await gateway.http.get("/api/voice/fanout/targets", headers=BEARER))
            disabled = answer["data"]["targets"][0]["disabled"]
        assert "410" in disabled
