"""Conditions as data: ``[STATUS] == 401 && [BODY].success == false``.

A condition is one or more clauses joined by ``&&``. A clause is a reference, an operator and an operand. A
reference begins with the bracketed name of a fact, then walks into it: ``[BODY].error.code``, ``[EVENTS].0``. The
operand is JSON or another reference. Operators: ``== != < <= > >=`` compare, ``contains`` looks for a member or a
substring, ``matches`` wants the whole text to fit a regular expression, ``exists`` and ``absent`` take no operand.

A fact that is not there is *absent*: it satisfies ``absent`` and ``!=``, and no other operator.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeAlias

__all__ = [
    "ABSENT",
    "Absent",
    "Clause",
    "Condition",
    "ConditionError",
    "Evaluation",
    "Outcome",
    "Reference",
    "refuse_constant",
    "render",
]

MAX_RENDERED: Final = 240
"""Characters of one value that an echo shows."""

MAX_MATCHED: Final = 8192
"""Characters of a text that ``matches`` looks at; a longer one does not match."""

_REFERENCE = re.compile(r"\[([A-Z][A-Z0-9_]*)\]((?:\.[A-Za-z0-9_-]+)*)")
_UNARY: Final = ("exists", "absent")
_BINARY: Final = ("==", "!=", "<=", ">=", "<", ">", "contains", "matches")
_OPERATOR = re.compile(r"\s*(==|!=|<=|>=|<|>|(?:contains|matches|exists|absent)(?![A-Za-z0-9_]))\s*")
_JOIN = re.compile(r"\s*&&\s*")


def refuse_constant(name: str) -> object:
    """For ``json``'s ``parse_constant``: ``NaN`` and ``Infinity`` are Python's. Raises ``ValueError``."""
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=refuse_constant)


class Absent(Enum):
    """The value of a reference that leads nowhere."""

    ABSENT = "nothing"


ABSENT: Final = Absent.ABSENT

Facts: TypeAlias = Mapping[str, object]


class ConditionError(ValueError):
    """A condition that can't be read. ``text`` is the whole of it, ``position`` the character it failed at."""

    def __init__(self, text: str, position: int, wanted: str) -> None:
        self.text = text
        self.position = position
        self.wanted = wanted
        super().__init__(f"{wanted} expected at character {position} of the condition {text!r}")


@dataclass(frozen=True, slots=True)
class Reference:
    """The name of a fact and the steps into it: mapping keys, header names, or list indexes."""

    name: str
    steps: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "".join((f"[{self.name}]", *(f".{step}" for step in self.steps)))

    def resolve(self, facts: Facts) -> object:
        """The value it leads to, or :data:`ABSENT`."""
        value: object = facts.get(self.name, ABSENT)
        for step in self.steps:
            value = _step_into(value, step)
        return value


@dataclass(frozen=True, slots=True)
class Clause:
    """One comparison. ``operand`` is JSON data or a :class:`Reference`; unary operators leave it ``None``."""

    subject: Reference
    operator: str
    operand: object = None

    def __str__(self) -> str:
        if self.operator in _UNARY:
            return f"{self.subject} {self.operator}"
        operand = str(self.operand) if isinstance(self.operand, Reference) else _dump(self.operand)
        return f"{self.subject} {self.operator} {operand}"

    def evaluate(self, facts: Facts) -> "Outcome":
        """Compare; a comparison that makes no sense (text below a number) is false, never an exception."""
        got = self.subject.resolve(facts)
        operand = self.operand
        shown = render(got)
        if isinstance(operand, Reference):
            operand = operand.resolve(facts)
            shown = f"{shown} and {render(operand)}"
        return Outcome(clause=self, held=_compare(self.operator, got, operand), got=shown)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One clause, whether it held, and the value it saw, rendered."""

    clause: Clause
    held: bool
    got: str

    def __str__(self) -> str:
        return f"{self.clause}, got {self.got}"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Every clause's outcome, in order. ``str`` is the echo: the condition, then what came."""

    outcomes: tuple[Outcome, ...]

    @property
    def held(self) -> bool:
        return all(outcome.held for outcome in self.outcomes)

    @property
    def got(self) -> str:
        """What came: the bare value for one clause, else each value after its reference."""
        if len(self.outcomes) == 1:
            return self.outcomes[0].got
        told = dict.fromkeys(f"{outcome.clause.subject} is {outcome.got}" for outcome in self.outcomes)
        return ", ".join(told)

    @property
    def shortfalls(self) -> tuple[str, ...]:
        """The echo of every clause that did not hold."""
        return tuple(str(outcome) for outcome in self.outcomes if not outcome.held)

    def __str__(self) -> str:
        return "; ".join(str(outcome) for outcome in self.outcomes)


@dataclass(frozen=True, slots=True)
class Condition:
    """Clauses that must all hold. ``str`` gives the text that :meth:`parse` reads back to an equal condition."""

    clauses: tuple[Clause, ...]

    @classmethod
    def parse(cls, text: str) -> "Condition":
        """Read the text form. Raises :class:`ConditionError`."""
        clauses = []
        position = len(text) - len(text.lstrip())
        while True:
            clause, position = _parse_clause(text, position)
            clauses.append(clause)
            if not text[position:].strip():
                return cls(tuple(clauses))
            joined = _JOIN.match(text, position)
            if joined is None:
                raise ConditionError(text, position, "'&&' or the end")
            position = joined.end()

    def evaluate(self, facts: Facts) -> Evaluation:
        """Judge the facts; every clause is evaluated, so that one run shows every shortfall."""
        return Evaluation(tuple(clause.evaluate(facts) for clause in self.clauses))

    def __str__(self) -> str:
        return " && ".join(str(clause) for clause in self.clauses)


def render(value: object) -> str:
    """A value as an echo shows it: JSON, on one line, cut at :data:`MAX_RENDERED` characters."""
    if value is ABSENT:
        return "nothing"
    text = _dump(value)
    if len(text) <= MAX_RENDERED:
        return text
    return f"{text[:MAX_RENDERED]}… ({len(text)} characters)"


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(", ", ": "), default=str)


def _parse_clause(text: str, position: int) -> tuple[Clause, int]:
    subject, position = _parse_reference(text, position)
    matched = _OPERATOR.match(text, position)
    if matched is None:
        raise ConditionError(text, position, f"one of {', '.join(_BINARY + _UNARY)}")
    name, position = matched.group(1), matched.end()
    if name in _UNARY:
        return Clause(subject, name), matched.end(1)
    operand: object
    if _REFERENCE.match(text, position):
        operand, position = _parse_reference(text, position)
    else:
        try:
            operand, position = _DECODER.raw_decode(text, position)
        except ValueError as error:
            raise ConditionError(text, position, "a JSON value or a reference") from error
    if name == "matches":
        _check_pattern(text, position, operand)
    return Clause(subject, name, operand), position


def _parse_reference(text: str, position: int) -> tuple[Reference, int]:
    matched = _REFERENCE.match(text, position)
    if matched is None:
        raise ConditionError(text, position, "a reference such as [STATUS]")
    steps = tuple(step for step in matched.group(2).split(".") if step)
    return Reference(matched.group(1), steps), matched.end()


def _check_pattern(text: str, position: int, operand: object) -> None:
    if not isinstance(operand, str):
        raise ConditionError(text, position, "a regular expression in quotes")
    try:
        re.compile(operand)
    except re.error as error:
        raise ConditionError(text, position, f"a valid regular expression ({error})") from error


def _step_into(value: object, step: str) -> object:
    if isinstance(value, Mapping):
        return value.get(step, ABSENT)
    if isinstance(value, list | tuple) and step.isascii() and step.isdigit():
        index = int(step)
        return value[index] if index < len(value) else ABSENT
    return ABSENT


def _order(name: str, difference: int) -> bool:
    match name:
        case "<":
            return difference < 0
        case "<=":
            return difference <= 0
        case ">":
            return difference > 0
        case _:
            return difference >= 0


_ORDERINGS: Final = ("<", "<=", ">", ">=")


def _compare(name: str, got: object, operand: object) -> bool:
    if name == "exists":
        return got is not ABSENT
    if name == "absent":
        return got is ABSENT
    if name == "!=":
        return not _equal(got, operand)
    if got is ABSENT or operand is ABSENT:
        return False
    if name == "==":
        return _equal(got, operand)
    if name in _ORDERINGS:
        difference = _difference(got, operand)
        return difference is not None and _order(name, difference)
    if name == "contains":
        return _contains(got, operand)
    return isinstance(got, str) and len(got) <= MAX_MATCHED and re.fullmatch(str(operand), got) is not None


def _equal(got: object, operand: object) -> bool:
    # Python holds True == 1; JSON does not, and a gate that takes 1 for true would pass a broken envelope.
    if isinstance(got, bool) != isinstance(operand, bool):
        return False
    if isinstance(got, tuple):
        got = list(got)
    return got == operand


def _difference(got: object, operand: object) -> int | None:
    """-1, 0 or 1 as ``got`` lies below, at or above ``operand``; ``None`` where they have no order."""
    if isinstance(got, bool) or isinstance(operand, bool):
        return None
    if isinstance(got, int | float) and isinstance(operand, int | float):
        # NaN is neither above nor below, and not equal either: a target's `inf - inf` must not pass for on time.
        return None if math.isnan(got) or math.isnan(operand) else (got > operand) - (got < operand)
    if isinstance(got, str) and isinstance(operand, str):
        return (got > operand) - (got < operand)
    return None


def _contains(got: object, operand: object) -> bool:
    if isinstance(got, str):
        return isinstance(operand, str) and operand in got
    if isinstance(got, Mapping):
        return isinstance(operand, str) and operand in got
    if isinstance(got, list | tuple):
        return any(_equal(member, operand) for member in got)
    return False
