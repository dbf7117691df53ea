from collections.abc import Sequence

import pytest

from voxgate_engine.admission import MAX_MODEL_CHARS, Refusal, admit, choose_subprotocol, model_of, speaks_beta

KEY = "sk-engine"


def verdict(
    target: str = "/v1/realtime",
    authorizations: Sequence[str] = (),
    api_keys: Sequence[str] = (),
    key: str | None = None,
    sessions: int = 0,
) -> int | None:
    refusal = admit(
        target,
        authorizations=authorizations,
        api_keys=api_keys,
        required_key=key,
        sessions=sessions,
        max_sessions=2,
    )
    return None if refusal is None else refusal.status


@pytest.mark.parametrize("path", ["/realtime", "/v1/realtime", "/openai/v1/realtime", "/v1/realtime?model=x"])
def test_any_path_that_ends_in_realtime_is_served(path: str) -> None:
    assert verdict(path) is None


@pytest.mark.parametrize("path", ["/", "/v1/realtime/", "/v1/realtimes", "/v1/Realtime", "/v1?x=/realtime", "*", "//["])
def test_any_other_path_is_not_there(path: str) -> None:
    assert verdict(path) == 404


@pytest.mark.parametrize(
    ("authorizations", "api_keys"),
    [((f"Bearer {KEY}",), ()), ((f"bearer  {KEY}",), ()), ((), (KEY,)), (("Basic eA==",), (KEY,))],
)
def test_the_key_opens_in_either_header(authorizations: Sequence[str], api_keys: Sequence[str]) -> None:
    assert verdict(authorizations=authorizations, api_keys=api_keys, key=KEY) is None


@pytest.mark.parametrize(
    ("authorizations", "api_keys"),
    [
        ((), ()),
        (("Bearer wrong",), ()),
        ((KEY,), ()),
        ((f"Basic {KEY}",), ()),
        ((), ("wrong",)),
        (("Bearer é\udcff",), ()),
        ((f"Bearer {KEY}", "Bearer wrong"), ()),
        ((f"Bearer {KEY}",), ("wrong",)),
    ],
)
def test_anything_but_the_one_key_is_refused(authorizations: Sequence[str], api_keys: Sequence[str]) -> None:
    assert verdict(authorizations=authorizations, api_keys=api_keys, key=KEY) == 401


def test_without_a_key_anybody_may_come() -> None:
    assert verdict(authorizations=["Bearer whatever"]) is None


def test_a_full_engine_says_so() -> None:
    assert verdict(sessions=1) is None
    assert verdict(sessions=2) == 503


@pytest.mark.parametrize(
    ("target", "model"),
    [
        ("/realtime", "gpt-realtime-2.1"),
        ("/realtime?other=1", "gpt-realtime-2.1"),
        ("/realtime?model=gpt-realtime", "gpt-realtime"),
        ("/realtime?model=a&model=b", None),
        ("/realtime?model=" + "x" * (MAX_MODEL_CHARS + 1), None),
        ("/realtime?" + "a=1&" * 100, None),
    ],
)
def test_the_model_comes_from_the_query(target: str, model: str | None) -> None:
    assert model_of(target) == model
    assert verdict(target) == (400 if model is None else None)


def test_only_realtime_is_echoed() -> None:
    assert choose_subprotocol(["openai-insecure-api-key.sk", "realtime"]) == "realtime"
    assert choose_subprotocol(["openai-insecure-api-key.sk"]) is None


def test_the_beta_is_known_by_header_and_by_subprotocol() -> None:
    assert speaks_beta(["realtime", "openai-beta.realtime-v1"], [])
    assert speaks_beta([], ["assistants=v2, realtime=v1"])
    assert not speaks_beta(["realtime"], ["assistants=v2"])


def test_a_refusal_is_in_the_shape_of_the_api() -> None:
    body = Refusal(401, "invalid_request_error", "invalid_api_key", "No.").body
    assert body == {
        "error": {"message": "No.", "type": "invalid_request_error", "param": None, "code": "invalid_api_key"}
    }
