import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgate_engine.faults import Fault
from voxgate_engine.session import FunctionTool, NamedTool
from voxgate_engine.tools import MAX_SCHEMA_DEPTH, forced_tool, sample_arguments

TOOLS = [FunctionTool(name="first"), FunctionTool(name="second")]


def arguments(schema: dict[str, Any]) -> Any:
    return json.loads(sample_arguments(FunctionTool(name="f", parameters=schema)))


def test_only_a_forced_tool_is_called() -> None:
    assert forced_tool(TOOLS, "auto") is None
    assert forced_tool(TOOLS, "none") is None
    assert forced_tool(TOOLS, "required") is TOOLS[0]
    assert forced_tool(TOOLS, NamedTool(name="second")) is TOOLS[1]


@pytest.mark.parametrize("choice", ["required", NamedTool(name="first")])
def test_a_force_without_a_tool_is_refused(choice: Any) -> None:
    with pytest.raises(Fault):
        forced_tool([], choice)


def test_required_properties_get_the_plainest_value() -> None:
    schema = {
        "type": "object",
        "properties": {
            "text": {"type": "string"}, "count": {"type": "integer"}, "yes": {"type": "boolean"},
            "list": {"type": "array"}, "maybe": {"type": ["number", "null"]}, "kind": {"enum": ["b", "a"]},
            "fixed": {"const": 7}, "usual": {"type": "string", "default": "here"}, "left out": {"type": "string"},
            "inner": {"properties": {"deep": {"type": "string"}}, "required": ["deep"]}, "odd": {"type": "what"},
        },
        "required": ["text", "count", "yes", "list", "maybe", "kind", "fixed", "usual", "inner", "odd", "unheard of"],
    }  # fmt: skip
    assert arguments(schema) == {
        "text": "", "count": 0, "yes": False, "list": [], "maybe": 0, "kind": "b", "fixed": 7, "usual": "here",
        "inner": {"deep": ""}, "odd": None, "unheard of": None,
    }  # fmt: skip


@pytest.mark.parametrize("schema", [{}, {"type": "string"}, {"type": "object"}, {"type": "object", "required": "all"}])
def test_a_schema_that_asks_for_nothing_gets_nothing(schema: dict[str, Any]) -> None:
    assert arguments(schema) == {}


def test_a_tool_without_a_schema_gets_nothing() -> None:
    assert sample_arguments(TOOLS[0]) == "{}"


def test_a_deep_schema_ends() -> None:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(MAX_SCHEMA_DEPTH * 3):
        schema = {"type": "object", "properties": {"in": schema}, "required": ["in"]}
    assert sample_arguments(FunctionTool(name="f", parameters=schema)).count("in") == MAX_SCHEMA_DEPTH


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-10, 10) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "properties", "required", "enum", "default", "a"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["type", "properties", "required", "enum", "const"]), json_values))
def test_any_schema_gives_an_object(schema: dict[str, Any]) -> None:
    assert isinstance(arguments(schema), dict)
