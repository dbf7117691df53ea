import asyncio
import json
import os
import shlex
import signal
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.gates.fake_gateway import FakeGateway
from tests.gates.samples import FAKE_SERVE, needs_gateway
from voxgate_gates import ALL_CHECKS, Credentials
from voxgate_gates.commands import gates
from voxgate_gates.harness import ORIGIN

FAKE_VOXGATE = Path(__file__).with_name("fake_voxgate.py")
SMALL = Path(__file__).with_name("small_server.py")
QUICK = "security.token-issued-200"
COVERED = "build.coverage-floor"  # judges the last run of the tests, not a gateway


def serving(*lies: str) -> str:
    return shlex.join([sys.executable, str(FAKE_SERVE), *lies])


def run(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(gates, ["--report-dir", str(folder), *arguments], env={"GITHUB_STEP_SUMMARY": ""})


def found_by_id(folder: Path) -> dict[str, str]:
    document = json.loads((folder / "report.json").read_text())
    return {check["id"]: check["verdict"] for gate in document["gates"] for check in gate["checks"]}


def verdicts(folder: Path) -> set[str]:
    return set(found_by_id(folder).values())


@needs_gateway
def test_a_whole_run_holds_and_leaves_its_reports(tmp_path: Path) -> None:
    held = [check for check in ALL_CHECKS if check.gate in ("security", "realtime", "build") and check.id != COVERED]
    only = [word for check in held for word in ("--only", check.id)]
    result = run(tmp_path, "--strict", *only, "--serve-command", serving())
    assert result.exit_code == 0, result.output
    assert f"PASS: {len(held)} held" in result.output
    assert "first audio" in result.output
    assert {path.name for path in tmp_path.iterdir()} == {"report.html", "report.json", "junit.xml", "summary.md"}


def test_a_shortfall_exits_1_and_is_explained(tmp_path: Path) -> None:
    result = run(tmp_path, "--only", QUICK, "--serve-command", serving("no-legacy"))
    assert result.exit_code == 1
    assert "[BODY].token == [BODY].data.token, got nothing and" in result.output
    assert "$VOXGATE_KEY" in result.output


def test_the_data_gate_runs_the_commands_that_are_named_and_says_what_it_lacks(tmp_path: Path) -> None:
    commands = (
        "--serve-command",
        serving(),
        "--voxgate-command",
        shlex.join([sys.executable, str(FAKE_VOXGATE), "--"]),
    )
    result = run(tmp_path, "--only", "data", "--php-shim", str(tmp_path), *commands)
    assert result.exit_code == 0, result.output
    found = found_by_id(tmp_path)
    assert found["data.gateway-health"] == found["data.retention-honest"] == found["data.erase-really-erases"] == "pass"
    assert found["data.php-health"] == found["data.parity"] == "skip"
    assert not any(name.startswith("data.remote") for name in found)
    assert "name the folder with --php-shim" in (tmp_path / "report.json").read_text()
    assert run(tmp_path, "--only", "data.php-health", "--php-shim", str(tmp_path), "--strict", *commands).exit_code == 1


async def test_a_php_base_that_is_named_is_judged_with_its_own_key(tmp_path: Path) -> None:
    made = Credentials()
    async with FakeGateway(made.environment("prod"), lies=frozenset({"php-no-legacy"})) as php:
        command = await asyncio.create_subprocess_exec(
            sys.executable, "-c", "from voxgate_gates.commands import gates; gates()", "--target", "http://127.0.0.1:9",
            "--php-base", php.url, "--only", "data", "--php-shim", str(tmp_path), "--report-dir", str(tmp_path),
            env={**os.environ, "VOXGATE_GATE_PHP_KEY": "key-of-the-php-base"}, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        await command.communicate()
    assert command.returncode == 1
    found = found_by_id(tmp_path)
    assert {verdict for name, verdict in found.items() if name.startswith("data.remote")} == {"fail"}
    assert found["data.retention-honest"] == "skip"
    assert "key-of-the-php-base" not in (tmp_path / "report.json").read_text()


def test_a_check_of_a_php_base_that_is_asked_for_without_one_is_skipped(tmp_path: Path) -> None:
    assert run(tmp_path, "--target", "http://127.0.0.1:9", "--only", "data.remote-health").exit_code == 2
    assert found_by_id(tmp_path) == {"data.remote-health": "skip"}


def test_json_is_the_whole_of_stdout(tmp_path: Path) -> None:
    result = run(tmp_path, "--only", QUICK, "--json", "--env", "dev", "--serve-command", serving())
    assert json.loads(result.stdout) == json.loads((tmp_path / "report.json").read_text())


def test_a_server_that_does_not_start_is_not_judged_and_reported_so(tmp_path: Path) -> None:
    result = run(tmp_path, "--only", "security", "--serve-command", shlex.join([sys.executable, str(SMALL), "dies"]))
    assert result.exit_code == 2
    assert "no luck today" in result.output
    assert verdicts(tmp_path) == {"error"}


def test_the_command_may_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOXGATE_GATE_SERVE", serving())
    assert run(tmp_path, "--only", QUICK).exit_code == 0


def test_a_target_without_credentials_is_skipped_where_it_needs_them(tmp_path: Path) -> None:
    result = run(tmp_path, "--target", "http://127.0.0.1:9", "--only", QUICK)
    assert result.exit_code == 2
    assert verdicts(tmp_path) == {"skip"}
    strict = run(tmp_path, "--target", "http://127.0.0.1:9", "--only", QUICK, "--strict")
    assert strict.exit_code == 1


def test_a_target_out_of_reach_is_not_judged(tmp_path: Path) -> None:
    result = run(tmp_path, "--target", "http://127.0.0.1:9", "--only", "security.missing-route-404")
    assert result.exit_code == 2
    assert "nothing answers at http://127.0.0.1:9" in result.output
    assert "correct --target" in result.output
    assert verdicts(tmp_path) == {"error"}


def test_a_file_that_was_only_found_sends_no_key_to_its_own_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VOXGATE_GATE_KEY", "a-key-of-somebody-else")
    (tmp_path / "gates.toml").write_text('[target]\nurl = "http://127.0.0.1:9"\n')
    found = run(tmp_path, "--only", "security.missing-route-404")
    assert (found.exit_code, "name the file by --config" in " ".join(found.output.split())) == (2, True)
    assert not (tmp_path / "report.json").exists()
    named = run(tmp_path, "--only", "security.missing-route-404", "--config", "gates.toml")
    assert "nothing answers at http://127.0.0.1:9" in named.output


def test_a_url_that_leads_nowhere_is_told_in_the_same_line(tmp_path: Path) -> None:
    result = run(tmp_path, "--target", "http://xn--zzzzzzzzzzzz.\u2603", "--only", "security.missing-route-404")
    assert result.exit_code == 2, result.exception
    assert "correct --target" in result.output
    assert verdicts(tmp_path) == {"error"}


async def test_a_running_target_is_judged_with_a_key_from_the_environment(tmp_path: Path) -> None:
    made = Credentials()
    async with FakeGateway(made.environment("prod")) as gateway:
        command = await asyncio.create_subprocess_exec(
            sys.executable, "-c", "from voxgate_gates.commands import gates; gates()",
            "--target", gateway.url, "--origin", ORIGIN, "--key-env", "MY_KEY", "--only", "security",
            "--profile", "readonly", "--report-dir", str(tmp_path), "--json",
            env={**os.environ, "MY_KEY": made.operator_key}, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, _ = await command.communicate()
    assert command.returncode == 0
    ids = {check["id"]: check["verdict"] for gate in json.loads(out)["gates"] for check in gate["checks"]}
    assert ids[QUICK] == "pass"
    assert ids["security.revoke-issuer-403"] == "skip"
    assert "security.garbage-bytes-400" not in ids
    assert made.operator_key not in out.decode()


@pytest.mark.parametrize(("more", "code"), [((), 1), (("--env", "prod"), 1), (("--env", "dev"), 0)])
async def test_a_gateway_in_dev_is_told_from_a_broken_one(tmp_path: Path, more: tuple[str, ...], code: int) -> None:
    made = Credentials()
    async with FakeGateway(made.environment("dev")) as gateway:
        command = await asyncio.create_subprocess_exec(
            sys.executable, "-c", "from voxgate_gates.commands import gates; gates()",
            "--target", gateway.url, "--origin", ORIGIN, "--only", "security", "--report-dir", str(tmp_path), *more,
            env={**os.environ, "VOXGATE_GATE_KEY": made.operator_key}, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, _ = await command.communicate()
    assert command.returncode == code
    assert (b"judge it with --env dev" in out) is (more == ())


async def test_an_interrupt_still_writes_the_reports(tmp_path: Path) -> None:
    made = Credentials()
    async with FakeGateway(made.environment("prod"), credential_seconds=60) as gateway:
        command = await asyncio.create_subprocess_exec(
            sys.executable, "-c", "from voxgate_gates.commands import gates; gates()", "--target", gateway.url,
            "--origin", ORIGIN, "--only", "realtime.silent-socket-4001", "--report-dir", str(tmp_path),
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        async with asyncio.timeout(60):
            await gateway.upgraded.wait()
            command.send_signal(signal.SIGINT)
            out, _ = await command.communicate()
    assert command.returncode == 2
    assert b"The run was interrupted before 1 of its checks were judged." in out
    assert verdicts(tmp_path) == {"error"}


def test_the_checks_are_listed_for_people_and_for_machines(tmp_path: Path) -> None:
    told = run(tmp_path, "--list", "--only", "realtime").output
    assert "realtime.turn-by-vad\n" in told
    assert "security." not in told
    rows = json.loads(run(tmp_path, "--list", "--json", "--profile", "readonly").output)
    assert all(row["safeOnProduction"] for row in rows)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--only", "nope"], "no such gate or check: nope"),
        (["--target", "ftp://h"], "http:// or https://"),
        (["--target", "http://u:hunter22@h"], "leave user and password out"),
        (["--origin", "https://a.test"], "go with --target"),
        (["--php-base", "http://u:hunter22@h"], "leave user and password out"),
        (["--env", "staging"], "'dev', 'preview', 'prod'"),
    ],
)
def test_a_wrong_option_exits_2_with_a_sentence(arguments: list[str], told: str, tmp_path: Path) -> None:
    result = run(tmp_path, *arguments)
    assert result.exit_code == 2
    assert told in result.output
    assert "hunter22" not in result.output


def test_a_shim_that_does_not_start_is_not_judged_and_reported_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "router.php").touch()
    php = tmp_path / "php"
    php.write_text("#!/bin/sh\necho no luck today >&2\nexit 3\n")
    php.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    arguments = ("--target", "http://127.0.0.1:9", "--only", "data.php-health", "--php-shim", str(tmp_path))
    result = run(tmp_path, *arguments)
    assert result.exit_code == 2
    assert "the gateway to be judged did not start" in result.output
    assert "no luck today" in result.output
    assert verdicts(tmp_path) == {"error"}
