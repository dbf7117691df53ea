import pytest

from voxgate_core import Trace, VoxgateError
from voxgate_responder.endpoints.call import Call, Refused
from voxgate_responder.endpoints.table import ENDPOINTS


def call(name: str, content_type: str) -> Call:
    return Call(ENDPOINTS[name], "POST", "", {"content-type": content_type}, b"", Trace("a" * 32, "b" * 16))


@pytest.mark.parametrize("given", ["application/json", "Application/JSON; charset=utf-8", " application/json ;x"])
def test_a_content_type_counts_without_its_parameters(given: str) -> None:
    assert call("donna_logic", given).content_type == "application/json"


def test_an_event_is_one_only_where_events_are_taken() -> None:
    assert call("voice-chat", "application/cloudevents+json").is_event
    assert not call("voice-chat", "application/json").is_event
    assert not call("donna_logic", "application/cloudevents+json").is_event


def test_a_refusal_carries_a_status_of_its_own() -> None:
    refused = Refused(VoxgateError("upstream_failed", "m"), 502)
    assert (str(refused), refused.status) == ("upstream_failed as HTTP 502", 502)
