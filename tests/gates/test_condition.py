import contextlib
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgate_gates import ABSENT, Condition, ConditionError
from voxgate_gates.condition import MAX_MATCHED, MAX_RENDERED, Clause, Reference, render

FACTS = {
    "STATUS": 200,
    "TTL": 300,
    "LIMIT": 300,
    "BODY": {"success": True, "error": {"code": "x"}, "null": None},
    "EVENTS": ["a", "b"],
    "PAIR": (1, 2),
    "TEXT": "no-store, private",
    "GONE": ABSENT,
}


@pytest.mark.parametrize(
    "text",
    [
        "[STATUS] == 200",
        "[STATUS] != 401",
        "[TTL] <= 600",
        "[TTL] >= 300",
        "[TTL] < 300.5",
        "[TTL] > 299",
        "[TTL] == [LIMIT]",
        "[BODY].success == true",
        "[BODY].success != 1",
        '[BODY].error.code == "x"',
        "[BODY].null == null",
        "[BODY].null exists",
        '[BODY] contains "error"',
        '[EVENTS].1 == "b"',
        '[EVENTS] contains "a"',
        '[EVENTS] == ["a", "b"]',
        "[PAIR] == [1, 2]",
        "[EVENTS].2 absent",
        "[STATUS].code absent",
        '[TEXT] contains "no-store"',
        '[TEXT] matches "no-.*"',
        '[TEXT] > "a"',
        "[GONE] absent",
        "[GONE] != 3",
        "[MISSING] absent && [STATUS] exists",
    ],
)
def test_a_true_condition_holds(text: str) -> None:
    assert Condition.parse(text).evaluate(FACTS).held


@pytest.mark.parametrize(
    "text",
    [
        "[STATUS] == 401",
        "[STATUS] == true",
        "[BODY].success == 1",
        '[STATUS] < "300"',
        "[BODY].success < 2",
        "[TTL] < 300",
        "[TTL] > 300",
        "[GONE] == null",
        "[GONE] exists",
        "[GONE] < 5",
        "[STATUS] == [GONE]",
        "[STATUS] contains 2",
        "[TEXT] contains 5",
        "[BODY] contains 5",
        '[EVENTS] contains "c"',
        '[TEXT] matches "no-store"',
        '[STATUS] matches "200"',
        "[STATUS] absent",
        "[STATUS] == 200 && [TTL] == 1",
    ],
)
def test_a_false_condition_does_not_hold(text: str) -> None:
    assert not Condition.parse(text).evaluate(FACTS).held


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("", 0),
        ("STATUS == 1", 0),
        ("[status] == 1", 0),
        ("[STATUS]", 8),
        ("[STATUS] is 1", 8),
        ("[STATUS] containsx 1", 8),
        ("[STATUS] == ", 12),
        ("[STATUS] == NaN", 12),
        ("[STATUS] == 1 or [TTL] == 2", 13),
        ("[STATUS] == 1 &&", 16),
        ("[STATUS] matches 3", 18),
        ('[STATUS] matches "("', 20),
    ],
)
def test_an_unreadable_condition_says_where(text: str, position: int) -> None:
    with pytest.raises(ConditionError) as caught:
        Condition.parse(text)
    assert caught.value.position == position
    assert str(position) in str(caught.value)


def test_the_echo_shows_the_condition_and_what_came() -> None:
    evaluation = Condition.parse("[STATUS] == 401").evaluate(FACTS)
    assert str(evaluation) == "[STATUS] == 401, got 200"
    assert evaluation.got == "200"


def test_the_echo_of_several_clauses_names_each_and_the_shortfalls_only_the_broken() -> None:
    evaluation = Condition.parse("[STATUS] == 401 && [TTL] <= [LIMIT] && [STATUS] exists").evaluate(FACTS)
    assert evaluation.got == "[STATUS] is 200, [TTL] is 300 and 300"
    assert evaluation.shortfalls == ("[STATUS] == 401, got 200",)


def test_a_long_value_is_cut() -> None:
    shown = render("x" * 1000)
    assert len(shown) < MAX_RENDERED + 30
    assert "1002 characters" in shown


def test_nothing_is_called_nothing() -> None:
    assert render(ABSENT) == "nothing"


def test_a_text_too_long_to_match_does_not_match() -> None:
    condition = Condition.parse('[TEXT] matches "a*"')
    assert not condition.evaluate({"TEXT": "a" * (MAX_MATCHED + 1)}).held


names = st.from_regex(r"[A-Z][A-Z0-9_]{0,8}", fullmatch=True)
steps = st.lists(st.from_regex(r"[A-Za-z0-9_-]{1,6}", fullmatch=True), max_size=3).map(tuple)
references = st.builds(Reference, names, steps)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
# A list of one upper-case word reads as a reference; written as data it must be told apart by its quotes, and is.
binary = st.builds(
    Clause, references, st.sampled_from(["==", "!=", "<=", ">=", "<", ">", "contains"]), values | references
)
unary = st.builds(Clause, references, st.sampled_from(["exists", "absent"]))
conditions = st.lists(binary | unary, min_size=1, max_size=3).map(lambda made: Condition(tuple(made)))


@given(conditions)
def test_a_condition_reads_back_from_its_own_text(condition: Condition) -> None:
    assert Condition.parse(str(condition)) == condition


@given(st.text())
def test_any_text_is_a_condition_or_a_condition_error(text: str) -> None:
    with contextlib.suppress(ConditionError):
        assert Condition.parse(text).clauses


@given(conditions, st.dictionaries(names, values))
def test_evaluation_never_raises(condition: Condition, facts: dict[str, object]) -> None:
    evaluation = condition.evaluate(facts)
    assert evaluation.held == (not evaluation.shortfalls)


@given(values)
def test_a_value_equals_itself_as_json(value: object) -> None:
    assert Condition.parse(f"[V] == {json.dumps(value)}").evaluate({"V": value}).held


def test_infinity_is_compared_as_a_number() -> None:
    assert Condition.parse("[V] > 5").evaluate({"V": math.inf}).held


@pytest.mark.parametrize("operator", ["<", "<=", ">", ">=", "=="])
def test_what_is_no_number_is_in_no_order_with_one(operator: str) -> None:
    assert not Condition.parse(f"[DRIFT] {operator} 1").evaluate({"DRIFT": math.inf - math.inf}).held
