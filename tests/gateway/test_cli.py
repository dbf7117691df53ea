import subprocess
import sys
from types import ModuleType
from typing import Any

import click
import pytest

import voxgate_gateway
from voxgate_core import ConfigurationError, VoxgateError
from voxgate_gateway.cli import build_cli, main
from voxgate_gateway.workers import WorkersFailed

EXPECTED = {"config", "engine", "fanout", "keys", "serve", "token"}
"""Commands of the gateway and of what it depends on; others may be installed beside it."""


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "voxgate_gateway", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environ, timeout=60, check=False)


def test_a_command_that_needs_no_gateway_imports_none() -> None:
    code = "import sys; from voxgate_gateway.cli import main; main(['--version'])"
    watched = f"import atexit, sys; atexit.register(lambda: print('fastapi' in sys.modules)); {code}"
    for arguments, imported in ((watched, "False"), (watched.replace("'--version'", "'config', '--help'"), "True")):
        ran = subprocess.run([sys.executable, "-c", arguments], capture_output=True, text=True, timeout=60, check=False)
        assert (ran.returncode, ran.stdout.splitlines()[-1]) == (0, imported), ran.stderr


def test_all_that_the_package_names_is_there_and_nothing_else() -> None:
    for name in voxgate_gateway.__all__:
        assert not isinstance(getattr(voxgate_gateway, name), ModuleType)
    with pytest.raises(AttributeError, match="nothing"):
        voxgate_gateway.nothing  # type: ignore[attr-defined]  # noqa: B018


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
    ended = run("serve", "--port", "0", VOXGATE_ENV="prod")
    assert ended.returncode == 2
    assert ended.stdout == ""
    for name in ("JWT_SECRET", "VOXGATE_API_KEYS", "ALLOWED_ORIGINS"):
        assert name in ended.stderr
    assert "Traceback" not in ended.stderr


class Failing(click.Group):
    """A command that fails in a way that the table of exit codes knows."""

    def __init__(self, error: Exception) -> None:
        super().__init__("voxgate")
        self._error = error

    def main(self, *arguments: Any, **options: Any) -> Any:
        raise self._error


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (ConfigurationError(["JWT_SECRET is not set"]), 2, "JWT_SECRET is not set"),
        (WorkersFailed("worker 1/2 ended with status 3", 3), 3, "cannot start: worker 1/2 ended with status 3"),
        (VoxgateError("unavailable", "the store is away"), 1, "voxgate: the store is away"),
        (VoxgateError("invalid_input", details={"sub": "too long"}), 1, 'the schema {"sub": "too long"}'),
    ],
)
def test_what_fails_is_told_in_a_sentence_with_its_exit_status(
    error: Exception, status: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["serve"], cli=Failing(error))
    shown = capsys.readouterr()
    assert (ended.value.code, shown.out) == (status, "")
    assert told in shown.err


def test_a_fault_is_not_called_a_start_where_nothing_was_to_start() -> None:
    ended = run("uptime", "check", "voice.example.com")
    assert ended.returncode == 2
    first, fault = ended.stderr.splitlines()
    assert first == "voxgate can't go on until this is mended:"
    assert fault.startswith("- the health URL must begin with")


def test_an_unknown_command_exits_2() -> None:
    ended = run("nonsense")
    assert ended.returncode == 2
    assert "nonsense" in ended.stderr
