import pytest

from voxgate_core import ConfigurationError, VoxgateError
from voxgate_realtime.upstreams import DEFAULT_MODEL, MAX_MODEL, Upstream, azure, compatible, openai


def test_openai_is_greeted_with_the_key_and_the_model_a_client_asked_for() -> None:
    upstream = openai("sk-test")
    assert upstream.url_for("gpt-realtime") == "wss://api.openai.com/v1/realtime?model=gpt-realtime"
    assert upstream.url_for(None).endswith(f"?model={DEFAULT_MODEL}")
    assert upstream.headers == (("Authorization", "Bearer sk-test"),)


def test_azure_is_reached_on_its_ga_path_with_an_api_key_header() -> None:
    upstream = azure("https://res.openai.azure.com/", "k", deployment="voice")
    assert upstream.url_for(None) == "wss://res.openai.azure.com/openai/v1/realtime?model=voice"
    assert upstream.headers == (("api-key", "k"),)


@pytest.mark.parametrize("url", ["wss://models.example.com/v1/realtime", "ws://127.0.0.1:9/v1/realtime"])
def test_any_compatible_server_is_reached_by_its_url(url: str) -> None:
    assert compatible(url, model="m").url_for(None) == f"{url}?model=m"
    assert compatible(url).headers == ()
    assert compatible(url, api_key="k").headers == (("Authorization", "Bearer k"),)


@pytest.mark.parametrize(
    "url",
    [
        "http://x/",
        "x",
        "wss://",
        "wss://u:p@x/",
        "wss://x/?api-key=k",
        "wss://x/#f",
        "ws://user@x",
        "ws://[bad",
        "wss://h:99999/",
        "ws://x:0/",
    ],
)
def test_a_url_that_cannot_be_dialled_is_a_configuration_fault(url: str) -> None:
    with pytest.raises(ConfigurationError):
        compatible(url)


def test_a_key_is_not_sent_unencrypted_to_another_machine() -> None:
    with pytest.raises(ConfigurationError, match="unencrypted"):
        compatible("ws://models.example.com/", api_key="k")


def test_every_fault_of_an_azure_setting_is_listed() -> None:
    with pytest.raises(ConfigurationError) as refused:
        azure("http://x", "", deployment="d")
    assert len(refused.value.faults) == 2


@pytest.mark.parametrize("endpoint", ["https://[bad", "https://", "https://h:99999", "https://u:p@h"])
def test_an_azure_endpoint_that_cannot_be_dialled_is_a_configuration_fault(endpoint: str) -> None:
    with pytest.raises(ConfigurationError, match="AZURE_OPENAI_ENDPOINT"):
        azure(endpoint, "k", deployment="d")


def test_openai_without_a_key_says_which_variable_is_missing() -> None:
    with pytest.raises(ConfigurationError, match="OPENAI_API_KEY"):
        openai("")


@pytest.mark.parametrize(
    "model", ["", "a b", "a&x=1", "a?b", "ä", "a\r\nb", "m" * (MAX_MODEL + 1), "%2e", "m#f"]
)  # fmt: skip
def test_a_model_name_cannot_reach_beyond_its_parameter(model: str) -> None:
    with pytest.raises(VoxgateError) as refused:
        Upstream("x", "wss://x/y").url_for(model)
    assert refused.value.kind.close_code == 4008


def test_a_list_of_models_holds_clients_to_it() -> None:
    upstream = Upstream("x", "wss://x/y", model="default", models=frozenset({"small"}))
    assert upstream.url_for("small").endswith("=small")
    assert upstream.url_for("default").endswith("=default")
    with pytest.raises(VoxgateError):
        upstream.url_for("large")


def test_a_key_does_not_show_in_a_repr() -> None:
    assert "sk-test" not in repr(openai("sk-test"))
