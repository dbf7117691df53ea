"""What a check is: data about one promise, and one function that goes and looks. Pure: no I/O here.

The function returns facts; the check's condition judges them. So a page, a saboteur or a report can be made from
the check alone, and no check can pass by forgetting to compare.
"""

import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final, TypeAlias

from voxgate_gates.condition import Condition

if TYPE_CHECKING:
    from voxgate_gates.probe import Probe

__all__ = ["Check", "Need", "Run", "Severity", "Suite", "select"]

DEFAULT_TIMEOUT: Final = 10.0
"""Seconds a check may take unless it asks for more."""

DOCS_ROOT: Final = "docs/gates"
"""Where each check's page stands; the anchor in reports is this, a slash and the check's id."""

_SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")

Run: TypeAlias = Callable[["Probe"], Awaitable[Mapping[str, object]]]
"""Looks at the target and returns facts by name, in capitals: what a condition's references resolve to."""


class Severity(StrEnum):
    """How bad a broken promise is. Every shortfall fails the gate; this orders the repairs."""

    CRITICAL = "critical"  # somebody gets in who must not, or a secret gets out
    MAJOR = "major"  # a client can't work, or can't tell what went wrong
    MINOR = "minor"  # operators or tools are misled


class Need(StrEnum):
    """What a check can't do without; a target that lacks it makes the check SKIPPED, never PASS."""

    KEY = "an API key"
    ISSUER = "an API key with the issuer role only"
    ORIGIN = "an allowed origin"
    OTHER_ORIGIN = "a second allowed origin"
    PHP = "the PHP shim"
    REMOTE_PHP = "a PHP base (--php-base)"
    COMMAND = "the voxgate command of a gateway that the gates started"
    PROJECT = "the project's own folder (--project)"
    COVERAGE = "a run of the tests on these very sources (`nox -s tests`)"
    SITE = "mkdocs and mkdocs-material beside the gates (`nox -s gates` installs them)"


@dataclass(frozen=True, slots=True)
class Check:
    """One promise and how it is proven.

    ``promise`` is one sentence; ``advice`` is one sentence on what to do when it is broken; ``seconds`` bounds the
    run and ``slow`` asks the runner to start it early. ``safe_on_production`` means: nothing is changed that lasts,
    nothing is paid for, and nobody is paged.
    """

    id: str
    gate: str
    promise: str
    condition: Condition
    run: Run = field(repr=False, compare=False)
    advice: str
    severity: Severity = Severity.MAJOR
    safe_on_production: bool = True
    needs: frozenset[Need] = frozenset()
    seconds: float = DEFAULT_TIMEOUT
    slow: bool = False

    @property
    def docs(self) -> str:
        """The anchor of the check's own page."""
        return f"{DOCS_ROOT}/{self.id}"


class Suite:
    """The checks of one gate, in the order they were written. Iterating yields :class:`Check`."""

    def __init__(self, gate: str) -> None:
        if not _SLUG.fullmatch(gate):
            raise ValueError(f"a gate's name is lower-case words joined by hyphens, not {gate!r}")
        self.gate = gate
        self._checks: dict[str, Check] = {}

    def check(
        self,
        name: str,
        *,
        promise: str,
        condition: str,
        advice: str,
        severity: Severity = Severity.MAJOR,
        safe_on_production: bool = True,
        needs: Iterable[Need] = (),
        seconds: float = DEFAULT_TIMEOUT,
        slow: bool = False,
    ) -> Callable[[Run], Check]:
        """Register the decorated function as the check ``<gate>.<name>``; the name becomes the :class:`Check`.

        Raises ``ValueError`` for a bad or taken name, and :class:`ConditionError` for a condition that can't be
        read: both at import, so that no run begins with a broken check.
        """
        if not _SLUG.fullmatch(name):
            raise ValueError(f"a check's name is lower-case words joined by hyphens, not {name!r}")
        check_id = f"{self.gate}.{name}"
        if check_id in self._checks:
            raise ValueError(f"there are two checks {check_id}")
        parsed = Condition.parse(condition)

        def register(run: Run) -> Check:
            made = Check(
                id=check_id,
                gate=self.gate,
                promise=promise,
                condition=parsed,
                run=run,
                advice=advice,
                severity=severity,
                safe_on_production=safe_on_production,
                needs=frozenset(needs),
                seconds=seconds,
                slow=slow,
            )
            self._checks[check_id] = made
            return made

        return register

    def __iter__(self) -> Iterator[Check]:
        return iter(self._checks.values())

    def __len__(self) -> int:
        return len(self._checks)


def select(checks: Iterable[Check], only: Iterable[str] = (), *, readonly: bool = False) -> tuple[Check, ...]:
    """The checks whose gate or id is named in ``only`` (all when it is empty), safe ones alone when ``readonly``.

    Raises ``LookupError`` naming every word that is neither a gate nor a check.
    """
    everything = tuple(checks)
    wanted = frozenset(only)
    unknown = wanted - {check.gate for check in everything} - {check.id for check in everything}
    if unknown:
        raise LookupError(f"no such gate or check: {', '.join(sorted(unknown))}")
    return tuple(
        check
        for check in everything
        if (not wanted or check.gate in wanted or check.id in wanted) and (check.safe_on_production or not readonly)
    )
