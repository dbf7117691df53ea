"""`voxgate keys`: what it prints is what the gateway reads."""

import json

import pytest
from click.testing import CliRunner, Result

from tests.security.rig import SECRET
from voxgate_security import ApiKeys, KeyRing, KeyState
from voxgate_security.commands import keys


def run(*arguments: str, secret: str | None = None) -> Result:
    return CliRunner(env={"JWT_SECRET": secret}).invoke(keys, arguments)


def rotated(*arguments: str, secret: str | None = None) -> KeyRing:
    result = run("rotate", "--json", *arguments, secret=secret)
    assert result.exit_code == 0
    body = json.loads(result.stdout)
    ring = KeyRing.parse(body["JWT_SECRET"])
    assert body["active"] == ring.active.kid
    assert body["keys"] == {key.kid: key.state.value for key in ring}
    return ring


@pytest.mark.parametrize("role", ["issuer", "operator"])
def test_a_new_key_opens_in_its_stored_form(role: str) -> None:
    body = json.loads(run("new", "--name", "backend", "--role", role, "--json").stdout)
    assert (body["name"], body["role"]) == ("backend", role)
    found = ApiKeys.parse(body["stored"]).authenticate(body["key"])
    assert found is not None
    assert found.role == role


def test_a_new_key_is_printed_once_for_people() -> None:
    output = run("new", "--name", "backend", "--role", "issuer").stdout
    assert output.count("vk_") == 1
    assert "VOXGATE_API_KEYS" in output


@pytest.mark.parametrize("arguments", [("--name", "a:b", "--role", "issuer"), ("--name", "a", "--role", "root"), ()])
def test_a_key_that_cannot_be_is_refused(arguments: tuple[str, ...]) -> None:
    result = run("new", *arguments)
    assert result.exit_code == 2
    assert "vk_" not in result.output


def test_rotating_nothing_makes_a_ring() -> None:
    assert [key.state for key in rotated()] == [KeyState.ACTIVE]
    assert [key.state for key in rotated(secret="  ")] == [KeyState.ACTIVE]


def test_a_rotation_retires_the_old_key_after_an_overlap() -> None:
    ring = rotated("--overlap", "60", secret=f"old:{SECRET}")
    old = ring.get("old")
    assert ring.active.kid != "old"
    assert old is not None
    assert old.state is KeyState.RETIRED
    assert old.retired_at is not None
    assert old.accepts(old.retired_at)
    assert not old.accepts(old.retired_at + 1)


def test_a_leaked_key_verifies_nothing_any_more() -> None:
    old = rotated("--overlap", "0", secret=f"old:{SECRET}").get("old")
    assert old is not None
    assert not old.accepts(1)


def test_a_prepared_key_becomes_active_with_the_next_rotation() -> None:
    prepared = rotated("--prepare", secret=f"old:{SECRET}")
    (upcoming,) = (key.kid for key in prepared if key.state is KeyState.NEXT)
    assert prepared.active.kid == "old"
    assert rotated(secret=prepared.export()).active.kid == upcoming


def test_people_get_a_line_for_their_environment() -> None:
    result = run("rotate", secret=f"old:{SECRET}")
    (line,) = result.stdout.splitlines()
    assert KeyRing.parse(line.removeprefix("JWT_SECRET=")).active.kid != "old"
    assert "retired old" in result.stderr
    assert SECRET not in result.stderr
    assert "retired" not in run("rotate").stderr


def test_a_ring_that_cannot_be_read_is_refused_without_showing_it() -> None:
    result = run("rotate", secret="a:too-short-secret")
    assert result.exit_code == 2
    assert "32" in result.output
    assert "too-short-secret" not in result.output
