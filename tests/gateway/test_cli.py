import subprocess
import sys

import pytest

from voxgate_gateway.cli import build_cli, main

EXPECTED = {"config", "engine", "keys", "serve", "token"}
"""Commands of the gateway and of what it depends on; others may be installed beside it."""


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "voxgate_gateway", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environ, timeout=60, check=False)


def test_commands_come_from_the_packages_that_are_installed() -> None:
    group = build_cli()
    context = group.make_context("voxgate", [], resilient_parsing=True)
    assert set(group.list_commands(context)) >= EXPECTED
    for name in EXPECTED:
        command = group.get_command(context, name)
        assert command is not None
        assert command.get_short_help_str()
    assert group.get_command(context, "nonsense") is None


def test_help_lists_them(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = capsys.readouterr().out
    assert all(name in shown for name in EXPECTED)


def test_the_version_is_the_one_of_all_packages(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    assert "0.2.0rc2" in capsys.readouterr().out


def test_a_configuration_that_cannot_work_exits_2_and_lists_the_faults() -> None:
    ended = run("serve", VOXGATE_ENV="prod")
    assert ended.returncode == 2
    assert ended.stdout == ""
    for name in ("JWT_SECRET", "VOXGATE_API_KEYS", "ALLOWED_ORIGINS"):
        assert name in ended.stderr
    assert "Traceback" not in ended.stderr


def test_an_unknown_command_exits_2() -> None:
    ended = run("nonsense")
    assert ended.returncode == 2
    assert "nonsense" in ended.stderr
