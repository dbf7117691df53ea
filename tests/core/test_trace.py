import re
import string
from contextvars import copy_context

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from voxgate_core import Trace, current_trace, new_trace, parse_traceparent, trace_from_headers

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT_ID = "00f067aa0ba902b7"
VALID = f"00-{TRACE_ID}-{PARENT_ID}-01"

SPECIFIED = re.compile(
    r"""(?P<version> [0-9a-f]{2} ) -
        (?P<trace>   (?!0{32}) [0-9a-f]{32} ) -
        (?P<parent>  (?!0{16}) [0-9a-f]{16} ) -
        (?P<flags>   [0-9a-f]{2} )
        (?P<rest>    (?: - .* )? )""",
    re.VERBOSE | re.DOTALL,
)


def specified(value: str) -> tuple[str, str, int] | None:
    """Trace id, parent id and sampled bit, by a second reading of W3C Trace Context sections 3.2.2 and 4.

    Nothing may follow the flags in version 00; in a later version only a dash may, and ff is never valid.
    """
    match = SPECIFIED.fullmatch(value)
    if match is None or match["version"] == "ff" or (match["version"] == "00" and match["rest"]):
        return None
    return match["trace"], match["parent"], int(match["flags"], 16) % 2


def hex_text(low: int, high: int) -> st.SearchStrategy[str]:
    return st.text(alphabet="0123456789abcdef", min_size=low, max_size=high)


ALMOST_VALID = st.builds(
    "-".join,
    st.tuples(
        st.one_of(st.sampled_from(["00", "01", "cc", "fe", "ff", "FF", "0", "000", ""]), hex_text(2, 2)),
        st.one_of(st.sampled_from([TRACE_ID, TRACE_ID.upper(), "0" * 32, "0" * 31 + "1"]), hex_text(31, 33)),
        st.one_of(st.sampled_from([PARENT_ID, PARENT_ID.upper(), "0" * 16, "0" * 15 + "1"]), hex_text(15, 17)),
        st.one_of(st.sampled_from(["00", "01", "02", "03", "ff", "1", "0A", "01 ", "01-", "01-x", "01.x"]), hex_text(1, 3)),
    ),
)  # fmt: skip


@given(st.one_of(ALMOST_VALID, st.text(alphabet=string.hexdigits + "-xé", max_size=60), st.text(max_size=60)))
@example(VALID)
@example(f"ff-{TRACE_ID}-{PARENT_ID}-01")
@example(f"cc-{TRACE_ID}-{PARENT_ID}-01-what-the-future-will-be-like")
@example(f"cc-{TRACE_ID}-{PARENT_ID}-01.what")
@example(f"00-{TRACE_ID}-{PARENT_ID}-01-")
def test_the_parser_agrees_with_a_second_reading_of_the_specification(value: str) -> None:
    trace = parse_traceparent(value)
    read = None if trace is None else (trace.trace_id, trace.parent_id, trace.flags)
    assert read == specified(value)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "-",
        "---",
        VALID.upper(),
        f" {VALID}",
        f"{VALID} ",
        f"{VALID}-00",
        f"00-{TRACE_ID}-{PARENT_ID}",
        f"ff-{TRACE_ID}-{PARENT_ID}-01",
        f"00-{'0' * 32}-{PARENT_ID}-01",
        f"00-{TRACE_ID}-{'0' * 16}-01",
        f"00-{TRACE_ID[:-1]}g-{PARENT_ID}-01",
        f"00-{TRACE_ID[:-1]}-{PARENT_ID}-01",
        f"00-{TRACE_ID[:-1]}\N{ARABIC-INDIC DIGIT ONE}-{PARENT_ID}-01",
        f"00-{TRACE_ID}-{PARENT_ID}-1_",
        f"{VALID},{VALID}",
        f"01-{TRACE_ID}-{PARENT_ID}-01x",
        f"01-{TRACE_ID}-{PARENT_ID}-0",
    ],
)
def test_an_invalid_traceparent_is_not_continued(value: str) -> None:
    assert parse_traceparent(value) is None


@pytest.mark.parametrize("rest", ["", "-", "-x", "-01-02", "-\N{SNOWMAN}"])
def test_a_future_version_is_read_by_its_first_four_fields(rest: str) -> None:
    trace = parse_traceparent(f"01-{TRACE_ID}-{PARENT_ID}-01{rest}")
    assert trace is not None
    assert (trace.trace_id, trace.parent_id, trace.flags) == (TRACE_ID, PARENT_ID, 1)


@pytest.mark.parametrize(("flags", "kept"), [("00", 0), ("01", 1), ("02", 0), ("03", 1), ("fe", 0), ("ff", 1)])
def test_only_the_sampled_flag_is_kept(flags: str, kept: int) -> None:
    trace = parse_traceparent(f"00-{TRACE_ID}-{PARENT_ID}-{flags}")
    assert trace is not None
    assert trace.flags == kept


def test_our_own_span_becomes_the_parent_of_the_next_hop() -> None:
    inbound = parse_traceparent(VALID)
    assert inbound is not None
    assert inbound.span_id != PARENT_ID
    outbound = parse_traceparent(inbound.traceparent)
    assert outbound is not None
    assert (outbound.trace_id, outbound.parent_id, outbound.flags) == (TRACE_ID, inbound.span_id, 1)


def test_a_new_trace_is_a_valid_unsampled_root() -> None:
    trace = new_trace()
    assert (trace.parent_id, trace.flags) == (None, 0)
    assert specified(trace.traceparent) == (trace.trace_id, trace.span_id, 0)


def test_new_traces_do_not_repeat() -> None:
    assert len({new_trace().trace_id for _ in range(1_000)}) == 1_000


def test_an_inbound_trace_is_continued_when_exactly_one_was_sent() -> None:
    assert trace_from_headers([VALID]).trace_id == TRACE_ID


@pytest.mark.parametrize("headers", [[], ["nonsense"], [VALID, VALID]])
def test_anything_but_one_valid_header_starts_a_trace(headers: list[str]) -> None:
    trace = trace_from_headers(headers)
    assert trace.trace_id != TRACE_ID
    assert trace.parent_id is None


def test_no_trace_is_current_until_one_is_set_and_none_leaks_out_of_its_context() -> None:
    trace = new_trace()

    def serve() -> Trace | None:
        current_trace.set(trace)
        return current_trace.get()

    assert copy_context().run(serve) is trace
    assert current_trace.get() is None
