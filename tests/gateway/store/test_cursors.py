"""Cursors: each place comes back, and nothing else is taken for one."""

import base64
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgate_core import VoxgateError
from voxgate_gateway.store.cursors import MAX_CURSOR, read_cursor, write_cursor

names = st.text("abcXYZ019-_.", min_size=0, max_size=64)


@given(st.floats(0, 1e12), names)
def test_a_place_comes_back(at: float, name: str) -> None:
    cursor = write_cursor((at, name))
    assert len(cursor) <= MAX_CURSOR
    assert read_cursor(cursor) == (at, name)


def encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "not a cursor",
        "\u00e9",
        "A" * (MAX_CURSOR + 1),
        *map(
            encoded,
            [
                "{}", "[]", "[1.0]", '[1.0,"a",2]', '[1,"a"]', '[1.0, "a"]', '["1.0","a"]', "[1.0,2]", '[true,"a"]',
                '[NaN,"a"]', '[Infinity,"a"]', '[1e999,"a"]', '[1.0,"\\u0000"]', f'[1.0,"{"a" * 300}"]', "[" * 200,
            ],
        ),
        write_cursor((1.0, "a")) + "=",
    ],
)  # fmt: skip
def test_anything_else_is_refused(cursor: str) -> None:
    with pytest.raises(VoxgateError) as refused:
        read_cursor(cursor)
    assert refused.value.code == "invalid_input"


@given(st.text(max_size=100))
def test_no_text_raises_anything_else(cursor: str) -> None:
    with contextlib.suppress(VoxgateError):
        read_cursor(cursor)
