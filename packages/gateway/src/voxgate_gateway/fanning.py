"""What the settings say about fan-out: the targets that are fixed, and the addresses that targets may be at."""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final, Literal
from urllib.parse import urlsplit

from voxgate_core import ConfigurationError, Environment
from voxgate_fanout import STUB_PATH, AddressPolicy, Secret, Target, parse_networks, read_targets_file, target_faults
from voxgate_gateway.judging import judged
from voxgate_gateway.settings import Settings

__all__ = ["STUB", "FanoutPlan", "plan_fanout", "stub_url"]

MAX_FILE: Final = 4 * 1024 * 1024
"""Bytes of the file of targets: a thousand of them, and whatever is said about them."""

REMOTE_PHP: Final = "remote-php"
STUB: Final = "stub"

OWN_MACHINE: Final = ("localhost", "127.0.0.1", "::1")
"""Hosts to which prod may speak plain http: what is sent stays on the machine."""

_STAND_IN: Final = "whsec_" + "A" * 43 + "="
"""Judged in the place of a secret that is only made later, in the shared store."""


@dataclass(frozen=True, slots=True)
class FanoutPlan:
    """``made`` says what takes events in the place of what."""

    policy: AddressPolicy
    fixed: tuple[Target, ...]
    has_stub: bool
    made: tuple[str, ...]


def plan_fanout(settings: Settings, environ: Mapping[str, str], own_url: str) -> FanoutPlan:
    """Read the settings. ``environ`` holds the secrets that the targets' file names; ``own_url`` is where we answer.

    Raises :class:`ConfigurationError` with every fault.
    """
    prod = settings.environment is Environment.PROD
    faults: list[str] = []
    networks = judged(faults, lambda: parse_networks(settings.fanout_allow_nets, "VOXGATE_FANOUT_ALLOW_NETS"))
    fixed = list(judged(faults, lambda: _from_file(settings, environ, prod=prod)) or ())
    made: list[str] = []
    if settings.allow_remote_php_fanout:
        target = judged(faults, lambda: _remote_php(settings, prod=prod))
        fixed += [] if target is None else [target]
    elif settings.fanout_stub:
        fixed.append(_fixed(STUB, f"{own_url}{STUB_PATH}", "stub"))
        made.append("ALLOW_REMOTE_PHP_FANOUT is off: the local stub takes voice events")
    if faults or networks is None:
        raise ConfigurationError(faults)
    policy = AddressPolicy(networks, require_https=prod)
    has_stub = settings.fanout_stub and not settings.allow_remote_php_fanout
    return FanoutPlan(policy, tuple(fixed), has_stub, tuple(made))


def stub_url(url: str) -> str:
    """Where this process reaches itself, from the URL of its listening socket."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if not ip_address(host).is_unspecified:
        return url
    loopback = "[::1]" if ":" in host else "127.0.0.1"
    return f"{parts.scheme}://{loopback}:{parts.port}"


def _from_file(settings: Settings, environ: Mapping[str, str], *, prod: bool) -> tuple[Target, ...]:
    path = settings.fanout_file
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE + 1)
        if len(content) > MAX_FILE:
            raise ConfigurationError([f"VOXGATE_FANOUT_FILE: {path} is larger than {MAX_FILE} bytes"])
        text = content.decode()
    except FileNotFoundError:
        if "fanout_file" not in settings.model_fields_set:
            return ()
        raise ConfigurationError([f"VOXGATE_FANOUT_FILE: there is no file {path}"]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError([f"VOXGATE_FANOUT_FILE: {path} can't be read ({type(error).__name__})"]) from None
    targets = read_targets_file(text, environ, prod=prod)
    # Both of them, whichever is in use: a switch that is turned must not make the file faulty.
    own = [target.name for target in targets if target.name in (STUB, REMOTE_PHP)]
    if own:
        raise ConfigurationError([f"{path}: the name {name} is the gateway's own, choose another" for name in own])
    return targets


def _remote_php(settings: Settings, *, prod: bool) -> Target:
    """The PHP backend. Raises :class:`ConfigurationError`."""
    if not settings.remote_php_base:
        raise ConfigurationError(
            ["ALLOW_REMOTE_PHP_FANOUT is on, and REMOTE_PHP_BASE is not set: set it, or turn that off"]
        )
    if "?" in settings.remote_php_base or "#" in settings.remote_php_base:
        raise ConfigurationError(["REMOTE_PHP_BASE: must end before any query: a path is put behind it"])
    base, secret = settings.remote_php_base.rstrip("/"), settings.remote_php_secret.get_secret_value()
    url = f"{base}/{settings.remote_php_path.lstrip('/')}"

    def faults_at(url: str) -> list[str]:
        target = _fixed(REMOTE_PHP, url, "environment", secret or _STAND_IN)
        return target_faults(target, prod=prod and not _is_own_machine(url))

    faults = [f"{_setting_of(fault)}: {fault}" for fault in faults_at(base)]
    faults = faults or [f"VOXGATE_REMOTE_PHP_PATH: {fault}" for fault in faults_at(url)]
    if faults:
        raise ConfigurationError(faults)
    return _fixed(REMOTE_PHP, url, "environment", secret)


def _is_own_machine(url: str) -> bool:
    try:
        return urlsplit(url).hostname in OWN_MACHINE
    except ValueError:
        return False  # which is a fault, and told as one


def _setting_of(fault: str) -> str:
    return "VOXGATE_REMOTE_PHP_SECRET" if fault.startswith("secret") else "REMOTE_PHP_BASE"


def _fixed(name: str, url: str, managed_by: Literal["environment", "stub"], secret: str = "") -> Target:
    secrets = (Secret(secret),) if secret else ()
    return Target(id=name, name=name, url=url, secrets=secrets, managed_by=managed_by, created_at=0.0)
