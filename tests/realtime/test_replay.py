"""A ring gives back everything after an event, in order, or says that it can't."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgate_realtime.limits import RelayLimits
from voxgate_realtime.replay import ReplayBudget, ReplayRing, keeping


def event(number: int | str, padding: int = 0) -> bytes:
    return json.dumps({"type": "x", "event_id": f"event_{number}", "pad": "p" * padding}).encode()


def ring(limits: RelayLimits | None = None, budget: ReplayBudget | None = None) -> ReplayRing:
    limits = limits or RelayLimits()
    return ReplayRing(limits, budget or ReplayBudget(limits))


def test_what_came_after_the_last_event_is_given_back_in_order() -> None:
    held = ring()
    for number in range(5):
        held.append(event(number))
    assert held.since("event_2") == [event(3), event(4)]
    assert held.since("event_4") == []
    assert held.since(None) == [event(number) for number in range(5)]
    assert held.since("event_9") is None


def test_a_ring_that_lost_its_first_message_can_serve_nobody_who_saw_none() -> None:
    held = ring(RelayLimits(resume_messages=2))
    for number in range(3):
        held.append(event(number))
    assert held.since(None) is None
    assert held.since("event_0") is None
    assert held.since("event_1") == [event(2)]


def test_an_id_that_came_twice_means_its_first_use() -> None:
    held = ring()
    for number in (1, 2, 1, 3):
        held.append(event(number))
    assert held.since("event_1") == [event(2), event(1), event(3)]


@pytest.mark.parametrize("odd", [b'{"type":"x"}', b'{"type":"x","event_id":7}', b"[" * 100_000, b"\xff"])
def test_messages_without_an_id_are_given_back_and_never_found(odd: bytes) -> None:
    held = ring()
    for message in (event(1), odd, event(2)):
        held.append(message)
    assert held.since("event_1") == [odd, event(2)]
    assert held.since("7") is None


def test_a_message_larger_than_the_ring_empties_it() -> None:
    held = ring(RelayLimits(resume_bytes=100))
    held.append(event(1))
    held.append(event(2, padding=100))
    assert (len(held), held.since("event_1"), held.since("event_2")) == (0, None, None)


def test_rings_share_a_budget_and_give_it_back() -> None:
    size = len(event(1))
    limits = RelayLimits(resume_total_bytes=8 * size)
    budget = ReplayBudget(limits)
    one, other = ring(limits, budget), ring(limits, budget)
    one.append(event(1))
    for number in range(2, 10):
        other.append(event(number))
    assert one.since(None) == [event(1)]
    assert other.since("event_7") == [event(8), event(9)]
    assert other.since("event_5") is None
    assert (budget.left, other.is_whole) == (4 * size, False)
    one.clear()
    other.clear()
    assert (budget.left, one.since(None)) == (8 * size, None)


def test_sessions_that_come_late_get_their_share_of_a_full_budget() -> None:
    size = len(event(1, padding=1000))
    limits = RelayLimits(resume_total_bytes=64 * size)
    budget = ReplayBudget(limits)
    early = [ring(limits, budget) for _ in range(2)]
    for number in range(40):
        for held in early:
            held.append(event(number % 10, padding=1000))
    late = ring(limits, budget)
    for number in range(10):
        late.append(event(number, padding=1000))
    assert late.since(None) == [event(number, padding=1000) for number in range(10)]
    assert budget.left >= 0


@given(
    st.lists(st.integers(0, 60), max_size=60),
    st.integers(0, 500),
    st.integers(1, 20),
    st.integers(0, 800),
)
def test_no_bound_is_passed_and_no_gap_arises(paddings: list[int], most: int, count: int, total: int) -> None:
    limits = RelayLimits(resume_bytes=most, resume_messages=count, resume_total_bytes=total)
    budget = ReplayBudget(limits)
    held = ring(limits, budget)
    sent = [event(number, padding) for number, padding in enumerate(paddings)]
    for message in sent:
        held.append(message)
        used = total - budget.left
        assert used <= min(most, total)
        assert len(held) <= count
    kept = sent[len(sent) - len(held) :]
    assert total - budget.left == sum(map(len, kept))
    assert held.unseen == sum(map(len, sent))
    for number in range(len(sent)):
        expected = sent[number + 1 :] if number >= len(sent) - len(held) else None
        assert held.since(f"event_{number}") == expected
    assert held.since(None) == (sent if len(held) == len(sent) else None)


def test_what_is_sent_is_kept_first() -> None:
    held, order = ring(), []
    send = keeping(held, lambda kind, message: order.append((kind, message, len(held))))
    send("text", event(1))
    assert order == [("text", event(1), 1)]
