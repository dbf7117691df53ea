"""Outcomes: what a status means, and how long a target may make the gateway wait."""

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from voxgate_fanout.outcome import MAX_REASON, MAX_RETRY_AFTER, Outcome, OutcomeKind, failed, judge

NOW = 784_111_777.0
"""Sun, 06 Nov 1994 08:49:37 GMT, the date in the examples of RFC 9110."""


def pause(text: str, *, name: str = "Retry-After", status: int = 503, now: float = NOW) -> float | None:
    return judge(status, {"content-type": "text/plain", name: text}, now=now, seconds=0.1).retry_after


def kind(status: int) -> OutcomeKind:
    return judge(status, {}, now=NOW, seconds=0.1).kind


@given(st.integers(0, 999))
def test_only_2xx_delivers_and_only_410_ends(status: int) -> None:
    if 200 <= status <= 299:
        assert kind(status) is OutcomeKind.DELIVERED
    elif status == 410:
        assert kind(status) is OutcomeKind.GONE
    else:
        assert kind(status) is OutcomeKind.RETRY


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
def test_a_redirect_is_a_failure_that_says_so(status: int) -> None:
    outcome = judge(status, {"location": "http://169.254.169.254/"}, now=NOW, seconds=0.1)
    assert outcome == Outcome(OutcomeKind.RETRY, status, f"HTTP {status}: redirects are not followed", None, 0.1)


def test_an_outcome_tells_its_status_and_time_and_nothing_else_of_the_answer() -> None:
    outcome = judge(500, {"x-error": "password=hunter2"}, now=NOW, seconds=1.5)
    assert outcome == Outcome(OutcomeKind.RETRY, 500, "HTTP 500", None, 1.5)


def test_a_failure_without_an_answer_is_tried_again_and_told_in_one_short_line() -> None:
    assert failed("connection refused", 0.2) == Outcome(OutcomeKind.RETRY, None, "connection refused", None, 0.2)
    assert failed("a\r\nb\x00c\u2028d", 0.0).reason == "a b c d"
    assert len(failed("x" * 10_000, 0.0).reason) == MAX_REASON


@pytest.mark.parametrize("name", ["Retry-After", "retry-after", "RETRY-AFTER"])
@pytest.mark.parametrize("status", [301, 429, 500, 503])
def test_a_pause_is_heard_with_every_status_that_is_tried_again(status: int, name: str) -> None:
    assert pause("120", name=name, status=status) == 120.0


@pytest.mark.parametrize("status", [200, 204, 410])
def test_a_pause_means_nothing_where_nothing_is_tried_again(status: int) -> None:
    assert pause("120", status=status) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        (" 7 ", 7.0),
        ("007", 7.0),
        ("86400", 86_400.0),
        ("86401", MAX_RETRY_AFTER),
        ("9" * 5000, MAX_RETRY_AFTER),
        ("0" * 5000 + "5", 5.0),
        ("Sun, 06 Nov 1994 08:50:37 GMT", 60.0),
        ("Sunday, 06-Nov-94 08:50:37 GMT", 60.0),
        ("Sun Nov  6 08:50:37 1994", 60.0),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 0.0),
        ("Sun, 06 Nov 1994 08:00:00 GMT", 0.0),
        ("Tue, 08 Nov 1994 08:49:37 GMT", MAX_RETRY_AFTER),
        ("Fri, 31 Dec 9999 23:59:59 GMT", MAX_RETRY_AFTER),
    ],
    ids=lambda value: str(value)[:32],
)
def test_a_pause_is_seconds_or_a_date_and_never_longer_than_a_day(text: str, seconds: float) -> None:
    assert pause(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-1",
        "+1",
        "1.5",
        "1e3",
        "0x10",
        "١٢",
        "soon",
        "Tomorrow, at noon",
        "nan",
        "inf",
        "120, 60",
        "Sun, 32 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:61:00 GMT",
        "1994-11-06T08:49:37Z",
    ],
)
def test_garbage_is_no_pause(text: str) -> None:
    assert pause(text) is None


@given(st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1)).map(lambda moment: moment.replace(microsecond=0)))
def test_any_http_date_is_read_as_the_seconds_that_are_left(moment: datetime) -> None:
    left = moment.replace(tzinfo=UTC).timestamp() - NOW
    text = format_datetime(moment.replace(tzinfo=UTC), usegmt=True)
    assert pause(text) == min(max(left, 0.0), MAX_RETRY_AFTER)


HTTPISH = st.lists(
    st.sampled_from(["Sun,", "Sunday,", "Sun", "06", "6", "Nov", "1994", "94", "9" * 12, "08:49:37", "08:49", "::", ":",
                     "GMT", "-", "+", "+9999", "-0000", "06-Nov-94", "am", "0", "UTC", "+0000000000000000000001"]),
    max_size=9,
).map(" ".join)  # fmt: skip


@given(st.text() | HTTPISH | HTTPISH.map(lambda text: f"Sun, {text}"))
@example("Sun, 06 Nov 1994 08:49:37 +99999999999999")
def test_whatever_a_target_sends_the_pause_stays_within_its_bounds(text: str) -> None:
    seconds = pause(text)
    assert seconds is None or 0.0 <= seconds <= MAX_RETRY_AFTER
