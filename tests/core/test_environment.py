import pytest

from voxgate_core import Environment


@pytest.mark.parametrize(("environment", "seconds"), [("dev", 600), ("preview", 300), ("prod", 300)])
def test_a_token_lives_ten_minutes_in_dev_and_five_elsewhere(environment: str, seconds: int) -> None:
    assert Environment(environment).token_ttl == seconds


@pytest.mark.parametrize("environment", Environment)
def test_only_prod_refuses_loopback_and_wildcard_origins(environment: Environment) -> None:
    lenient = environment is not Environment.PROD
    assert environment.allows_loopback_origins is lenient
    assert environment.allows_wildcard_origins is lenient


@pytest.mark.parametrize("name", ["", "PROD", "production", "staging", " dev"])
def test_an_unknown_environment_is_refused_rather_than_guessed(name: str) -> None:
    with pytest.raises(ValueError, match="is not a valid Environment"):
        Environment(name)


def test_an_environment_reads_as_its_plain_name() -> None:
    assert [str(environment) for environment in Environment] == ["dev", "preview", "prod"]
