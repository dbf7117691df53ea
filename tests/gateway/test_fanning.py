from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path

import pytest

from voxgate_core import ConfigurationError
from voxgate_fanout import new_secret
from voxgate_gateway.fanning import FanoutPlan, plan_fanout, stub_url
from voxgate_gateway.settings import load

OWN = "http://127.0.0.1:8080"
PHP = "https://php.example.com"
ON = {"ALLOW_REMOTE_PHP_FANOUT": "on", "REMOTE_PHP_BASE": PHP}
PROD = {"VOXGATE_ENV": "prod"}
BILLING = """\
[[target]]
name = "billing"
url = "https://billing.example.com/hooks"
events = ["voice.session.*"]
secret_env = "BILLING_SECRET"
"""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def planned(settings: Mapping[str, str], environ: Mapping[str, str] | None = None) -> FanoutPlan:
    return plan_fanout(load(settings), environ or {}, OWN)


def faults(settings: Mapping[str, str], environ: Mapping[str, str] | None = None) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as refused:
        planned(settings, environ)
    return refused.value.faults


def test_without_leave_for_the_php_backend_the_stub_takes_events() -> None:
    for settings in ({}, {"REMOTE_PHP_BASE": PHP}, {**ON, "ALLOW_REMOTE_PHP_FANOUT": "off"}):
        plan = planned(settings)
        (target,) = plan.fixed
        assert (target.name, target.url, target.managed_by) == ("stub", f"{OWN}/api/voice/fanout/stub", "stub")
        assert plan.has_stub
        assert "the local stub takes voice events" in plan.made[0]


def test_with_leave_the_php_backend_takes_them_and_the_stub_does_not() -> None:
    plan = planned(ON)
    (target,) = plan.fixed
    assert (target.name, target.url, target.managed_by) == (
        "remote-php", f"{PHP}/api/voice-chat.php", "environment",
    )  # fmt: skip
    assert target.secrets == ()  # one is made in the shared store
    assert (plan.has_stub, plan.made) == (False, ())


@pytest.mark.parametrize("base", [f"{PHP}/shop", f"{PHP}/shop/"])
@pytest.mark.parametrize("path", ["events.php", "/events.php"])
def test_base_and_path_are_joined_by_one_slash(base: str, path: str) -> None:
    (target,) = planned({**ON, "REMOTE_PHP_BASE": base, "VOXGATE_REMOTE_PHP_PATH": path}).fixed
    assert target.url == f"{PHP}/shop/events.php"


def test_a_secret_that_is_given_is_the_one_that_signs() -> None:
    secret = new_secret()
    plan = planned({**ON, "VOXGATE_REMOTE_PHP_SECRET": secret})
    assert [kept.value for kept in plan.fixed[0].secrets] == [secret]
    assert secret not in repr(plan)


def test_the_stub_can_be_switched_off() -> None:
    plan = planned({"VOXGATE_FANOUT_STUB": "off"})
    assert (plan.fixed, plan.has_stub, plan.made) == ((), False, ())


def test_leave_without_a_backend_is_a_fault() -> None:
    (fault,) = faults({"ALLOW_REMOTE_PHP_FANOUT": "on"})
    assert "REMOTE_PHP_BASE is not set" in fault


def test_prod_speaks_https_to_the_backend_unless_it_is_on_the_same_machine() -> None:
    (fault,) = faults({**ON, **PROD, "REMOTE_PHP_BASE": "http://php.example.com"})
    assert fault.startswith("REMOTE_PHP_BASE: url must begin with https://")
    for base in ("http://127.0.0.1:9000", "http://localhost", "http://[::1]:9000", PHP):
        assert planned({**ON, **PROD, "REMOTE_PHP_BASE": base}).fixed[0].url.startswith(base)
    assert planned({**ON, "REMOTE_PHP_BASE": "http://php.example.com"}).fixed  # in dev


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"REMOTE_PHP_BASE": "ftp://php.example.com"}, "REMOTE_PHP_BASE"),
        ({"REMOTE_PHP_BASE": "php.example.com"}, "REMOTE_PHP_BASE"),
        ({"REMOTE_PHP_BASE": "http://[::1"}, "REMOTE_PHP_BASE"),
        ({"REMOTE_PHP_BASE": "https://u:hunter2@php.example.com"}, "REMOTE_PHP_BASE"),
        ({"VOXGATE_REMOTE_PHP_PATH": "/a#b"}, "VOXGATE_REMOTE_PHP_PATH"),
        ({"VOXGATE_REMOTE_PHP_PATH": "/a b"}, "VOXGATE_REMOTE_PHP_PATH"),
        ({"VOXGATE_REMOTE_PHP_SECRET": "hunter2"}, "VOXGATE_REMOTE_PHP_SECRET"),
    ],
)
def test_what_makes_no_backend_is_named_and_no_secret_is_told(change: dict[str, str], named: str) -> None:
    found = faults({**ON, **change})
    assert found
    assert all(fault.startswith(named) for fault in found)
    assert "hunter2" not in "".join(found)


def test_a_targets_file_need_not_be_there_unless_it_is_named(tmp_path: Path) -> None:
    assert planned({}).fixed[0].name == "stub"
    for named in ("fanout.toml", str(tmp_path / "other.toml")):
        assert faults({"VOXGATE_FANOUT_FILE": named}) == (f"VOXGATE_FANOUT_FILE: there is no file {named}",)


def test_targets_of_the_default_file_come_before_the_stub(tmp_path: Path) -> None:
    (tmp_path / "fanout.toml").write_text(BILLING, "utf-8")
    secret = new_secret()
    billing, stub = planned({}, {"BILLING_SECRET": secret}).fixed
    assert (billing.name, billing.managed_by, stub.name) == ("billing", "file", "stub")
    assert [kept.value for kept in billing.secrets] == [secret]


def test_a_secret_of_the_file_that_the_environment_lacks_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "fanout.toml").write_text(BILLING, "utf-8")
    (fault,) = faults({})
    assert "BILLING_SECRET is not set" in fault


def test_every_fault_of_the_file_and_of_the_settings_is_listed_at_once(tmp_path: Path) -> None:
    text = f'{BILLING}\n[[target]]\nname = "Bad Name"\nurl = "http://x.example"\nsecret = "hunter2"\n'
    (tmp_path / "fanout.toml").write_text(text, "utf-8")
    listed = "\n".join(
        faults({**PROD, "ALLOW_REMOTE_PHP_FANOUT": "on", "VOXGATE_FANOUT_ALLOW_NETS": "10.0.0.1/8, lots"})
    )
    for part in ("BILLING_SECRET", "name must be", "https://", "whsec_", "REMOTE_PHP_BASE", "10.0.0.1/8", "'lots'"):
        assert part in listed
    assert "hunter2" not in listed


@pytest.mark.parametrize("content", [b"[[target", b"\xff\xfe", None])
def test_a_file_that_cannot_be_read_is_a_fault(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "fanout.toml"
    path.mkdir() if content is None else path.write_bytes(content)
    assert "fanout.toml" in "".join(faults({}))


@pytest.mark.parametrize("name", ["stub", "remote-php"])
@pytest.mark.parametrize("settings", [{}, ON, {"VOXGATE_FANOUT_STUB": "off"}])
def test_the_gateways_own_names_are_taken_however_it_is_set(
    name: str, settings: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "fanout.toml").write_text(BILLING.replace("billing", name), "utf-8")
    (fault,) = faults(settings, {"BILLING_SECRET": new_secret()})
    assert f"the name {name} is the gateway's own" in fault


def test_allowed_networks_and_https_in_prod_are_the_policy() -> None:
    policy = planned({"VOXGATE_FANOUT_ALLOW_NETS": "10.1.0.0/16,::1"}).policy
    assert policy.refusal_of(ip_address("10.1.2.3")) is None
    assert policy.refusal_of(ip_address("::1")) is None
    assert policy.refusal_of(ip_address("127.0.0.1")) == "loopback"
    assert not policy.require_https
    assert planned(PROD).policy.require_https


@pytest.mark.parametrize(
    ("listening", "reached"),
    [
        ("http://127.0.0.1:80", "http://127.0.0.1:80"),
        ("http://10.0.0.7:80", "http://10.0.0.7:80"),
        ("http://[::1]:80", "http://[::1]:80"),
        ("http://0.0.0.0:80", "http://127.0.0.1:80"),
        ("http://[::]:80", "http://[::1]:80"),
    ],
)
def test_a_gateway_that_listens_everywhere_reaches_itself_by_loopback(listening: str, reached: str) -> None:
    assert stub_url(listening) == reached


def test_a_base_that_ends_in_a_query_is_a_fault() -> None:
    (fault,) = faults({**ON, "REMOTE_PHP_BASE": f"{PHP}/?tenant=1"})
    assert fault.startswith("REMOTE_PHP_BASE: ")


def test_a_file_without_an_end_is_not_read_to_its_end() -> None:
    (fault,) = faults({"VOXGATE_FANOUT_FILE": "/dev/zero"})
    assert "larger than" in fault
