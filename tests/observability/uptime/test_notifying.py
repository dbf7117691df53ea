import json
import socket

import pytest

from tests.observability.uptime.serving import running_site
from voxgate_observability.uptime.notifying import ATTEMPTS, PAUSE_SECONDS, Notifier
from voxgate_observability.uptime.watching import State

TARGET = "https://voice.example/api/health"


def test_a_change_is_posted_as_an_event_with_a_key_of_its_own() -> None:
    with running_site((202, b"{}")) as site:
        notifier = Notifier(site.url, "vk_secret", wait=lambda seconds: None)
        assert notifier.tell(TARGET, State.DOWN, "status 503, not 200", 12.5)
        assert notifier.tell(TARGET, State.DOWN, "status 503, not 200", 12.5)
    (headers, body), (again, _) = site.asked
    assert json.loads(body) == {
        "type": "uptime.target.down",
        "subject": TARGET,
        "data": {"url": TARGET, "state": "down", "reason": "status 503, not 200"},
    }
    assert headers["authorization"] == "Bearer vk_secret"
    assert headers["idempotency-key"] == again["idempotency-key"] == "uptime-down-12.500"


@pytest.mark.parametrize("status", [408, 429, 503])
def test_a_gateway_that_stumbles_is_told_again(status: int) -> None:
    waits: list[float] = []
    with running_site((status, b"{}"), (202, b"{}")) as site:
        assert Notifier(site.url, "vk_1", wait=waits.append).tell(TARGET, State.UP, "")
    assert (len(site.asked), waits) == (2, [PAUSE_SECONDS])


@pytest.mark.parametrize("status", [301, 307, 401, 404])
def test_a_refusal_is_not_argued_with_and_a_redirect_is_one(status: int) -> None:
    with running_site((status, b"{}")) as site:
        assert not Notifier(site.url, "vk_1", wait=lambda seconds: None).tell(TARGET, State.UP, "")
    assert len(site.asked) == 1


def test_nobody_there_is_given_up_on_and_the_key_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    waits: list[float] = []
    notifier = Notifier(f"http://127.0.0.1:{port}/", "vk_secret", wait=waits.append)
    assert not notifier.tell(TARGET, State.DOWN, "gone")
    assert len(caplog.records) == ATTEMPTS
    assert len(waits) == ATTEMPTS - 1
    assert "vk_secret" not in caplog.text
