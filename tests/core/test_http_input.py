"""Header lines, the content type, and bodies that end at their bound."""

from collections.abc import AsyncIterator

import pytest

from voxgate_core import VoxgateError
from voxgate_core.http_input import header_values, is_json_type, read_bounded


def test_every_line_of_a_header_counts_and_no_other_header() -> None:
    headers = [(b"origin", b"a"), (b"x-origin", b"b"), (b"origin", b"c"), (b"Origin", b"d")]
    assert header_values(headers, b"origin") == [b"a", b"c"]
    assert header_values(headers, b"host") == []


@pytest.mark.parametrize(
    "line", [b"application/json", b"Application/JSON ; charset=UTF-8", b'application/json;charset="utf-8"; profile=x']
)
def test_json_is_json_in_utf_8(line: bytes) -> None:
    assert is_json_type([line])


@pytest.mark.parametrize(
    "lines",
    [[], [b""], [b"application/json"] * 2, [b"application/json; charset=utf-16"], [b"text/json"], [b"\xff"]],
)
def test_anything_else_is_not(lines: list[bytes]) -> None:
    assert not is_json_type(lines)


async def test_a_body_is_read_to_its_bound_and_no_further() -> None:
    read: list[int] = []

    async def stream() -> AsyncIterator[bytes]:
        for number in range(10):
            read.append(number)
            yield b"ab"

    assert await read_bounded(stream(), 20) == b"ab" * 10
    read.clear()
    with pytest.raises(VoxgateError) as caught:
        await read_bounded(stream(), 5)
    assert (caught.value.code, caught.value.details, read) == ("body_too_large", {"limit": 5}, [0, 1, 2])
