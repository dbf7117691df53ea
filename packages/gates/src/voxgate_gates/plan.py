"""What one run of ``voxgate gates`` will do: the options, else ``gates.toml``, else what is sane. Pure.

An option that is given wins over the file; a key is looked up by the name of its environment variable.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from voxgate_gates.check import Check, Need, select
from voxgate_gates.configuration import Configuration
from voxgate_gates.target import Budgets, Routes, Target, TargetError
from voxgate_gates.waivers import Waiver

__all__ = ["FAR_ENVIRONMENT", "OWN_ENVIRONMENT", "Options", "Plan", "PlanError", "made_plan"]

KEY_VARIABLE: Final = "VOXGATE_GATE_KEY"
ISSUER_KEY_VARIABLE: Final = "VOXGATE_GATE_ISSUER_KEY"
PHP_KEY_VARIABLE: Final = "VOXGATE_GATE_PHP_KEY"

OWN_ENVIRONMENT: Final = "preview"
"""What the started server runs as: the strictest environment that a laptop can be."""

FAR_ENVIRONMENT: Final = "prod"
"""What a given target is held to unless told otherwise."""


NOT_NAMED: Final = "a gates.toml that was only found may not say where a key goes: name the file by --config"


class PlanError(ValueError):
    """Options or settings that do not fit together. ``option`` is the one to change, where it is one."""

    def __init__(self, message: str, option: str | None = None) -> None:
        super().__init__(message)
        self.option = option


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What was given on the command line; ``None`` and empty where nothing was."""

    target: str | None = None
    only: tuple[str, ...] = ()
    profile: str | None = None
    strict: bool = False
    key_env: str | None = None
    issuer_key_env: str | None = None
    origin: str | None = None
    other_origin: str | None = None
    environment: str | None = None
    php_shim: Path | None = None
    php_base: str | None = None
    php_key_env: str | None = None
    names_file: bool = False
    """Whether the file was named, and not merely found: only then may it lead a key to an address of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The checks of a run, and what they judge: ``target``, or a gateway that is started where that is ``None``."""

    checks: tuple[Check, ...]
    environment: str
    is_assumed: bool
    """Whether nobody said which environment it is."""
    strict: bool
    target: Target | None
    routes: Routes
    budgets: Budgets
    shim: Path | None
    remote_php: str | None
    remote_php_key: str | None = field(repr=False)
    waivers: tuple[Waiver, ...]


def made_plan(
    checks: Sequence[Check],
    options: Options,
    configuration: Configuration,
    environment: Mapping[str, str],
    folder: Path = Path(),
) -> Plan:
    """The plan. ``environment`` holds the keys, ``folder`` is where the configuration's file is. Raises :class:`PlanError`."""
    only = options.only or configuration.only
    profile = options.profile or configuration.profile
    try:
        chosen = select(checks, only, readonly=profile == "readonly")
    except LookupError as error:
        gates = dict.fromkeys(check.gate for check in checks)
        raise PlanError(f"{error.args[0]}; gates are {', '.join(gates)}, and --list shows the checks") from error
    remote_php = _base(options.php_base or configuration.php_base)
    if remote_php is None:  # such a backend is judged where one is named, or one of these checks is
        chosen = tuple(check for check in chosen if Need.REMOTE_PHP not in check.needs or check.id in only)
    url = options.target or configuration.url
    named = options.environment or configuration.environment
    held_to = named or (FAR_ENVIRONMENT if url else OWN_ENVIRONMENT)
    if url is None and (options.origin or options.other_origin):
        raise PlanError("--origin and --other-origin go with --target; a started server has its own")

    def key(option: str | None, configured: str | None, usual: str) -> str | None:
        return environment.get(option or configured or usual) or None

    operator_key = key(options.key_env, configuration.key_env, KEY_VARIABLE)
    issuer_key = key(options.issuer_key_env, configuration.issuer_key_env, ISSUER_KEY_VARIABLE)
    php_key = key(options.php_key_env, configuration.php_key_env, PHP_KEY_VARIABLE)
    if not options.names_file:
        if configuration.url and options.target is None and (operator_key or issuer_key):
            raise PlanError(NOT_NAMED, "--target")
        if configuration.php_base and options.php_base is None and php_key:
            raise PlanError(NOT_NAMED, "--php-base")
    target = None
    if url is not None:
        try:
            target = Target(
                url,
                held_to,
                key=operator_key,
                issuer_key=issuer_key,
                origin=options.origin or configuration.origin,
                other_origin=options.other_origin or configuration.other_origin,
            )
        except TargetError as error:
            raise PlanError(str(error), "--target") from error
    configured_shim = folder / configuration.php_shim if configuration.php_shim else None
    return Plan(
        checks=chosen,
        environment=held_to,
        is_assumed=named is None,
        strict=options.strict or configuration.strict,
        target=target,
        routes=configuration.routes,
        budgets=configuration.budgets,
        shim=options.php_shim or configured_shim,
        remote_php=remote_php,
        remote_php_key=php_key,
        waivers=configuration.waivers,
    )


def _base(url: str | None) -> str | None:
    """Held to the rules of a target's URL. Raises :class:`PlanError`."""
    try:
        return None if url is None else Target(url).url
    except TargetError as error:
        raise PlanError(str(error), "--php-base") from error
