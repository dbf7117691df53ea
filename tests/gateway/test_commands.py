import json
from collections.abc import Mapping
from pathlib import Path

from click.testing import CliRunner, Result

from tests.gateway.processes import ran
from tests.gateway.rig import OPERATOR_KEY, ORIGIN, PREVIEW, SECRET, served
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
    assert invoke(config, "check").stdout == "voxgate serve would start with this configuration\n"
    faulty = {**PREVIEW, "VOXGATE_UPSTREAM": "openai", "JWT_SECRET": "k:short"}
    ended = invoke(config, "check", environ=faulty)
    assert ended.exit_code == 1
    assert "OPENAI_API_KEY" in ended.stderr
    assert "JWT_SECRET" in ended.stderr


def test_config_check_answers_in_json_too() -> None:
    sound = json.loads(invoke(config, "check", "--json").stdout)
    assert (sound["valid"], sound["faults"]) == (True, [])
    slip = json.loads(invoke(config, "check", "--json", environ={**PREVIEW, "VOXGATE_UPSTREEM": "openai"}).stdout)
    assert [note for note in slip["notes"] if "is VOXGATE_UPSTREAM meant?" in note]
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


def test_config_check_lists_the_faults_of_fanout_with_the_others(tmp_path: Path) -> None:
    file = tmp_path / "fanout.toml"
    file.write_text('[[target]]\nname = "stub"\nurl = "nowhere"\nsecret_env = "NO_SUCH_SECRET"\n', "utf-8")
    faulty = {
        **PREVIEW,
        "JWT_SECRET": "k:short",
        "VOXGATE_FANOUT_FILE": str(file),
        "VOXGATE_FANOUT_ALLOW_NETS": "lots",
        "ALLOW_REMOTE_PHP_FANOUT": "on",
        "VOXGATE_NATS_SYNC": "now and then",
        "VOXGATE_NATS_USER": "ada",
    }
    ended = invoke(config, "check", "--json", environ=faulty)
    listed = "\n".join(json.loads(ended.stdout)["faults"])
    for part in (
        "JWT_SECRET", "url must begin", "NO_SUCH_SECRET", "VOXGATE_FANOUT_ALLOW_NETS", "REMOTE_PHP_BASE",
        "VOXGATE_NATS_SYNC", "VOXGATE_NATS_PASSWORD",
    ):  # fmt: skip
        assert part in listed


def test_config_show_hides_the_secrets_of_the_backplane_and_of_fanout() -> None:
    secrets = {
        "VOXGATE_NATS_URL": "nats://ada:pa55word-in-url@nats.example",
        "VOXGATE_NATS_PASSWORD": "pa55word-alone",
        "VOXGATE_REMOTE_PHP_SECRET": "whsec_pa55word",
        "REMOTE_PHP_BASE": "https://ada:pa55word@php.example",
    }
    for arguments in (["show"], ["show", "--json"]):
        ended = invoke(config, *arguments, environ={**PREVIEW, **secrets})
        assert ended.exit_code == 0
        assert "nats.example" in ended.stdout
        assert "pa55word" not in ended.stdout


async def test_fanout_commands_find_the_gateway_of_their_data_directory() -> None:
    async with served() as gateway:
        status, out, err = await ran(gateway.data_dir, "fanout", "targets", "list", "--json", environ={})
        assert (status, err) == (0, "")
        assert [target["name"] for target in json.loads(out)["targets"]] == ["stub"]
        status, out, _ = await ran(gateway.data_dir, "fanout", "targets", "list", environ={})
        assert status == 0
        assert gateway.url in out
        status, out, _ = await ran(gateway.data_dir, "fanout", "targets", "test", "stub", "--json", environ={})
        assert (status, json.loads(out)["outcome"]) == (0, "delivered")


async def test_fanout_commands_reach_any_gateway_by_url_and_key(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    listing = ("targets", "list", "--json")
    async with served() as gateway:
        key = {"VOXGATE_KEY": OPERATOR_KEY}
        status, out, _ = await ran(elsewhere, "fanout", "--url", gateway.url, *listing, environ=key)
        assert (status, json.loads(out)["targets"][0]["name"]) == (0, "stub")
        status, _, err = await ran(elsewhere, "fanout", "--url", gateway.url, *listing, environ={})
        assert status == 2
        assert "VOXGATE_KEY" in err
        wrong = {"VOXGATE_KEY": f"vk_{'x' * 43}"}
        status, _, err = await ran(elsewhere, "fanout", "--url", gateway.url, *listing, environ=wrong)
        assert (status, err.startswith("refused: ")) == (1, True)
    status, _, err = await ran(elsewhere, "fanout", *listing, environ={})
    assert status == 2
    assert "voxgate serve" in err
