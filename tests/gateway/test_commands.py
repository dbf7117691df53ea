import json
from collections.abc import Mapping

from click.testing import CliRunner, Result

from tests.gateway.rig import ORIGIN, PREVIEW, SECRET, served
from voxgate_core import ConfigurationError
from voxgate_gateway.commands import config, serve, token


def invoke(command: object, *arguments: str, environ: Mapping[str, str] = PREVIEW) -> Result:
    unset = dict.fromkeys(("VOXGATE_ENV", "ALLOWED_ORIGINS", "JWT_SECRET", "VOXGATE_API_KEYS", "VOXGATE_UPSTREAM"))
    return CliRunner().invoke(command, arguments, env={**unset, **environ})  # type: ignore[arg-type]


async def test_a_token_made_without_a_server_is_good_at_one_with_the_same_settings() -> None:
    ended = invoke(token, "--sub", "ada", "--origin", ORIGIN, "--ttl", "60", "--json")
    made = json.loads(ended.stdout)
    assert set(made) == {"token", "expiresAt"}
    async with served() as gateway:
        verifier = gateway.gateway.realtime.context.verifier
        grant = await verifier.verify(made["token"], origin=ORIGIN, single_use=False)
        assert (grant.subject, grant.origin, grant.expires_at) == ("ada", ORIGIN, made["expiresAt"])
        assert grant.expires_at - grant.issued_at == 60


def test_a_token_is_printed_alone_without_json() -> None:
    ended = invoke(token, "--sub", "ada")
    assert ended.exit_code == 0
    assert ended.stdout.count(".") == 2
    assert len(ended.stdout.splitlines()) == 1


def test_a_token_needs_a_key_that_a_server_knows() -> None:
    ended = invoke(token, "--sub", "ada", environ={})
    assert isinstance(ended.exception, ConfigurationError)
    assert "JWT_SECRET" in str(ended.exception)


def test_config_check_tells_a_sound_configuration_from_a_faulty_one() -> None:
    assert invoke(config, "check").stdout == "the configuration is sound\n"
    faulty = {**PREVIEW, "VOXGATE_UPSTREAM": "openai", "JWT_SECRET": "k:short"}
    ended = invoke(config, "check", environ=faulty)
    assert ended.exit_code == 1
    assert "OPENAI_API_KEY" in ended.stderr
    assert "JWT_SECRET" in ended.stderr


def test_config_check_answers_in_json_too() -> None:
    assert json.loads(invoke(config, "check", "--json").stdout) == {"valid": True, "faults": []}
    ended = invoke(config, "check", "--json", environ={"VOXGATE_ENV": "prod"})
    assert ended.exit_code == 1
    assert json.loads(ended.stdout)["valid"] is False


def test_config_show_hides_secrets_in_both_forms() -> None:
    for arguments in (["show"], ["show", "--json"]):
        ended = invoke(config, *arguments)
        assert ended.exit_code == 0
        assert "ALLOWED_ORIGINS" in ended.stdout
        assert SECRET.partition(":")[2] not in ended.stdout


def test_a_descriptor_that_is_no_socket_is_named() -> None:
    ended = invoke(serve, "--fd", "999")
    assert isinstance(ended.exception, ConfigurationError)
    assert "--fd 999" in str(ended.exception)


def test_a_second_worker_is_refused_with_the_reason() -> None:
    ended = invoke(serve, "--workers", "2")
    assert isinstance(ended.exception, ConfigurationError)
    assert "one process" in str(ended.exception)
