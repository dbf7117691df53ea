from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from voxgate_core import Grant, Leash
from voxgate_realtime.limits import RelayLimits
from voxgate_realtime.session import TRANSITIONS, Session, State, Trigger


def grant(leash: Leash | None = None) -> Grant:
    return Grant("ada", "s1", "j1", None, frozenset(), 0, 100, leash or Leash())


@given(st.lists(st.sampled_from(Trigger)))
def test_a_session_moves_only_as_the_table_says(triggers: list[Trigger]) -> None:
    session = Session(RelayLimits(), started=0)
    for trigger in triggers:
        before = session.state
        moved = session.advance(trigger)
        assert session.state is TRANSITIONS.get((before, trigger), before)
        assert moved is ((before, trigger) in TRANSITIONS)


def test_every_state_is_reached_and_only_closed_is_final() -> None:
    assert set(TRANSITIONS.values()) | {State.AUTHENTICATING} == set(State)
    assert {state for state, _ in TRANSITIONS} == set(State) - {State.CLOSED}


def test_a_lost_connection_closes_from_any_state_that_has_one() -> None:
    for state in set(State) - {State.CLOSED, State.DETACHED}:
        assert TRANSITIONS[state, Trigger.DISCONNECTED] is State.CLOSED


def test_a_session_without_a_client_comes_back_or_is_over() -> None:
    out_of_it = {trigger: after for (before, trigger), after in TRANSITIONS.items() if before is State.DETACHED}
    assert out_of_it == {Trigger.RESUMED: State.OPEN, Trigger.ENDED: State.CLOSED}


def test_nothing_opens_without_authentication() -> None:
    into_open = {key for key, after in TRANSITIONS.items() if after is State.OPEN}
    assert into_open == {(State.CONNECTING, Trigger.UPSTREAM_READY), (State.DETACHED, Trigger.RESUMED)}
    into_detached = {key for key, after in TRANSITIONS.items() if after is State.DETACHED}
    assert into_detached == {(State.OPEN, Trigger.LOST)}
    into_connecting = {key for key, after in TRANSITIONS.items() if after is State.CONNECTING}
    assert into_connecting == {(State.AUTHENTICATING, Trigger.AUTHENTICATED)}


def test_the_first_reason_to_end_is_the_one_that_counts() -> None:
    session = Session(RelayLimits(), started=0)
    assert session.end(4003, "first")
    assert not session.end(1000, "second")
    assert (session.close_code, session.close_reason) == (4003, "first")


def test_held_messages_come_back_in_order_and_once() -> None:
    session = Session(RelayLimits(), started=0)
    for message in (b"1", b"2", b"3"):
        assert session.hold(message)
    assert session.take_pending() == [b"1", b"2", b"3"]
    assert session.take_pending() == []


def test_there_is_no_more_room_at_either_bound() -> None:
    by_count = Session(RelayLimits(pending_messages=2), started=0)
    assert [by_count.hold(b"x") for _ in range(2)] == [True, False]
    by_bytes = Session(RelayLimits(pending_bytes=10), started=0)
    assert [by_bytes.hold(b"12345") for _ in range(2)] == [True, False]


def test_held_messages_are_dropped_when_the_session_ends() -> None:
    session = Session(RelayLimits(), started=0)
    session.hold(b"x")
    session.end(1000, "")
    assert session.take_pending() == []


def test_a_leash_shortens_a_session_and_never_lengthens_it() -> None:
    for leash, allowed in product((10, 5000), (60.0, 3600.0)):
        session = Session(RelayLimits(session_seconds=allowed), started=0)
        session.grant = grant(Leash(seconds=leash))
        assert session.seconds_allowed == min(leash, allowed)
        assert session.time_is_up().code == ("quota_exceeded" if leash <= allowed else "session_limit")
    unleashed = Session(RelayLimits(session_seconds=60), started=0)
    assert (unleashed.seconds_allowed, unleashed.time_is_up().code) == (60, "session_limit")


def test_a_summary_tells_who_how_long_and_how_much() -> None:
    session = Session(RelayLimits(), started=10.0)
    assert session.summary(20.0) is None
    session.grant = grant()
    session.end(1000, "bye")
    summary = session.summary(20.0, client=(2, 30), upstream=(4, 50))
    assert summary is not None
    assert (summary.session_id, summary.subject, summary.code, summary.reason) == ("s1", "ada", 1000, "bye")
    assert (summary.seconds, summary.client_messages, summary.client_bytes) == (10.0, 2, 30)
    assert (summary.upstream_messages, summary.upstream_bytes) == (4, 50)
