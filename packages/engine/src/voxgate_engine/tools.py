"""Function calls without a model: which tool is forced, and arguments that fit its schema."""

from collections.abc import Mapping, Sequence

import msgspec

from voxgate_engine.faults import Fault
from voxgate_engine.session import FunctionTool, NamedTool, ToolChoice

__all__ = ["forced_tool", "sample_arguments"]

MAX_SCHEMA_DEPTH = 8
"""Nested schemas followed when arguments are made up; below it stands ``null``."""


def forced_tool(tools: Sequence[FunctionTool], choice: ToolChoice) -> FunctionTool | None:
    """The tool a response must call, or ``None`` when it may speak.

    Raises :class:`Fault` when a call is forced that no tool can take.
    """
    if isinstance(choice, NamedTool):
        for tool in tools:
            if tool.name == choice.name:
                return tool
        raise Fault("invalid_value", f"The tool '{choice.name}' is not among the tools.", param="tool_choice")
    if choice != "required":
        return None
    if not tools:
        raise Fault("invalid_value", "The tool choice is 'required', but there are no tools.", param="tool_choice")
    return tools[0]


def sample_arguments(tool: FunctionTool) -> str:
    """Arguments as JSON text: every required property of the tool's schema, with the plainest value."""
    schema = tool.parameters
    value = _sample(schema, MAX_SCHEMA_DEPTH) if isinstance(schema, dict) else {}
    return msgspec.json.encode(value if isinstance(value, dict) else {}).decode()


def _sample(schema: object, depth: int) -> object:
    if not isinstance(schema, Mapping) or depth == 0:
        return None
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    choices = schema.get("enum")
    if isinstance(choices, list) and choices:
        return choices[0]
    kind = schema.get("type")
    if isinstance(kind, list) and kind:
        kind = kind[0]
    properties = schema.get("properties")
    if kind == "object" or isinstance(properties, Mapping):
        required = schema.get("required")
        names = [name for name in required if isinstance(name, str)] if isinstance(required, list) else []
        known = properties if isinstance(properties, Mapping) else {}
        return {name: _sample(known.get(name), depth - 1) for name in names}
    plain: dict[object, object] = {"string": "", "integer": 0, "number": 0, "boolean": False, "array": []}
    return plain.get(kind) if isinstance(kind, str) else None
