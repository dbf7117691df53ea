"""Quotas over a moving window, exact to the second, in a store that is bounded."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.security.rig import NOW
from voxgate_core import ConfigurationError, ManualClock, MemoryKeyValue, VoxgateError
from voxgate_security import IssuanceQuotas, client_network
from voxgate_security.quotas import PREFIX
from voxgate_security.windows import MAX_RECORD


def made(per_subject: str, per_address: str, clock: ManualClock, store: MemoryKeyValue | None = None) -> IssuanceQuotas:
    store = MemoryKeyValue(clock) if store is None else store
    return IssuanceQuotas(per_subject, per_address, store=store, clock=clock)


async def refusal(quotas: IssuanceQuotas, subject: str = "alice", address: str = "192.0.2.1") -> VoxgateError:
    with pytest.raises(VoxgateError) as caught:
        await quotas.spend(subject=subject, address=address)
    assert caught.value.code == "quota_exceeded"
    return caught.value


async def test_the_answer_says_what_is_left() -> None:
    clock = ManualClock()
    quotas = made("3/minute", "10/hour", clock)
    headers = await quotas.spend(subject="alice", address="192.0.2.1")
    assert headers == {
        "RateLimit-Policy": '"subject";q=3;w=60, "address";q=10;w=3600',
        "RateLimit": '"subject";r=2;t=60, "address";r=9;t=3600',
    }
    clock.advance(20.5)
    headers = await quotas.spend(subject="alice", address="192.0.2.1")
    assert headers["RateLimit"] == '"subject";r=1;t=40, "address";r=8;t=3580'


async def test_a_subject_over_its_quota_waits_exactly_until_its_oldest_token_leaves_the_window() -> None:
    clock = ManualClock()
    quotas = made("2/minute", "100/minute", clock)
    await quotas.spend(subject="alice", address="192.0.2.1")
    clock.advance(10)
    await quotas.spend(subject="alice", address="192.0.2.1")
    clock.advance(7.5)
    error = await refusal(quotas)
    assert error.retry_after == 42.5
    assert error.headers["RateLimit"] == '"subject";r=0;t=43, "address";r=98;t=43'
    clock.advance(42.25)
    assert (await refusal(quotas)).retry_after == 0.25
    clock.advance(0.25)
    await quotas.spend(subject="alice", address="192.0.2.1")
    assert (await refusal(quotas)).retry_after == 10


async def test_an_address_is_counted_over_all_its_subjects() -> None:
    quotas = made("10/minute", "2/minute", ManualClock())
    await quotas.spend(subject="alice", address="192.0.2.1")
    await quotas.spend(subject="bob", address="192.0.2.1")
    assert (await refusal(quotas, "carol")).retry_after == 60
    await quotas.spend(subject="carol", address="192.0.2.2")


async def test_a_refused_request_is_charged_to_nobody() -> None:
    quotas = made("1/minute", "2/minute", ManualClock())
    await quotas.spend(subject="alice", address="192.0.2.1")
    for _ in range(5):
        await refusal(quotas)
    headers = await quotas.spend(subject="bob", address="192.0.2.1")
    assert headers["RateLimit"] == '"subject";r=0;t=60, "address";r=0;t=60'


async def test_when_both_are_used_up_the_longer_wait_counts() -> None:
    quotas = made("1/minute", "1/hour", ManualClock())
    await quotas.spend(subject="alice", address="192.0.2.1")
    assert (await refusal(quotas)).retry_after == 3600


async def test_neighbours_in_one_ipv6_site_share_a_quota() -> None:
    quotas = made("10/minute", "1/minute", ManualClock())
    await quotas.spend(subject="alice", address="2001:db8:1:2::1")
    await refusal(quotas, "bob", "2001:db8:1:2:ffff::9")
    await quotas.spend(subject="bob", address="2001:db8:1:3::1")


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "unknown"),
        ("", "unknown"),
        (None, "unknown"),
    ],
)
def test_what_an_address_is_counted_as(address: str | None, network: str) -> None:
    assert client_network(address) == network


async def test_a_store_that_is_full_refuses_and_forgets_nobody() -> None:
    clock = ManualClock()
    store = MemoryKeyValue(clock, max_entries=21)
    quotas = made("2/hour", "1000000/hour", clock, store)
    for number in range(20):
        await quotas.spend(subject=f"s{number}", address="192.0.2.1")
        clock.advance(1)
    with pytest.raises(VoxgateError, match="unavailable"):
        await quotas.spend(subject="s20", address="192.0.2.1")
    await quotas.spend(subject="s0", address="192.0.2.1")
    await refusal(quotas, "s0")
    assert len(store) == 21
    clock.advance(3600 - 19)
    await quotas.spend(subject="s20", address="192.0.2.1")


async def test_what_cannot_be_charged_to_the_address_is_not_charged_to_the_subject() -> None:
    clock = ManualClock()
    quotas = made("2/hour", "2/hour", clock, MemoryKeyValue(clock, max_entries=2))
    await quotas.spend(subject="alice", address="192.0.2.1")
    for _ in range(3):
        with pytest.raises(VoxgateError, match="unavailable"):
            await quotas.spend(subject="alice", address="192.0.2.2")
    headers = await quotas.spend(subject="alice", address="192.0.2.1")
    assert headers["RateLimit"].startswith('"subject";r=0')


async def test_records_expire_one_window_after_the_last_hit() -> None:
    clock = ManualClock(NOW)
    store = MemoryKeyValue(clock)
    quotas = made("5/minute", "5/hour", clock, store)
    await quotas.spend(subject="alice", address="192.0.2.1")
    clock.advance(50)
    await quotas.spend(subject="alice", address="192.0.2.1")
    expiries = sorted(entry.expires_at or 0 for entry in (await store.scan(PREFIX)).values())
    assert expiries == [NOW + 50 + 60, NOW + 50 + 3600]


async def test_records_are_small_and_their_keys_hold_no_subject() -> None:
    clock = ManualClock()
    store = MemoryKeyValue(clock)
    quotas = made("60/minute", "100000/hour", clock, store)
    for number in range(300):
        await quotas.spend(subject=f"alice{number % 6} > all\ud800", address="192.0.2.1")
        clock.advance(0.7)
    entries = await store.scan("")
    assert all(key.startswith(PREFIX) and key.isascii() and " " not in key for key in entries)
    assert not any("alice" in key or "192" in key for key in entries)
    assert max(len(entry.value) for entry in entries.values()) <= MAX_RECORD


async def test_a_quota_that_is_changed_counts_from_nothing() -> None:
    clock = ManualClock()
    store = MemoryKeyValue(clock)
    await made("1/minute", "9/minute", clock, store).spend(subject="alice", address="192.0.2.1")
    changed = made("1/hour", "9/minute", clock, store)
    headers = await changed.spend(subject="alice", address="192.0.2.1")
    assert headers["RateLimit"] == '"subject";r=0;t=3600, "address";r=7;t=60'


async def test_windows_that_have_passed_take_no_memory() -> None:
    clock = ManualClock()
    quotas = made("5/minute", "5/minute", clock)
    for _ in range(5):
        await quotas.spend(subject="alice", address="192.0.2.1")
    clock.advance(60)
    headers = await quotas.spend(subject="alice", address="192.0.2.1")
    assert headers["RateLimit"] == '"subject";r=4;t=60, "address";r=4;t=60'


@pytest.mark.parametrize("text", ["", "many", "0/minute", "5/fortnight", "5", "-1/minute"])
def test_a_quota_that_cannot_be_read_is_a_fault(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        IssuanceQuotas(text, text, store=MemoryKeyValue())
    assert len(caught.value.faults) == 2


async def test_the_defaults_work_on_the_system_clock() -> None:
    quotas = IssuanceQuotas(store=MemoryKeyValue())
    assert "q=60;w=60" in (await quotas.spend(subject="alice", address=None))["RateLimit-Policy"]


class Plain:
    """What quotas are to do, written down as simply as it can be said."""

    def __init__(self, subject: tuple[int, int], address: tuple[int, int]) -> None:
        self.limits = {"subject": subject, "address": address}
        self.moments: dict[tuple[str, str], list[float]] = {}

    def spend(self, subject: str, address: str, now: float) -> tuple[float | None, str]:
        """How long to wait, or ``None`` when it is let through; and the ``RateLimit`` field."""
        who = {"subject": subject, "address": address}
        waits = []
        for name, (hits, seconds) in self.limits.items():
            kept = [moment for moment in self.moments.get((name, who[name]), []) if moment > now - seconds]
            self.moments[name, who[name]] = kept
            if len(kept) >= hits:
                waits.append(kept[0] + seconds - now)
        members = []
        for name, (hits, seconds) in self.limits.items():
            kept = self.moments[name, who[name]]
            if not waits:
                kept.append(now)
            reset = kept[0] + seconds - now if kept else float(seconds)
            members.append(f'"{name}";r={hits - len(kept)};t={-int(-reset // 1)}')
        return (max(waits) if waits else None), ", ".join(members)


limits = st.tuples(st.integers(1, 4), st.integers(1, 12))


@given(
    limits,
    limits,
    st.lists(
        st.tuples(
            st.integers(0, 20), st.sampled_from("abc"), st.sampled_from(["192.0.2.1", "192.0.2.2"]), st.booleans()
        ),
        max_size=40,
    ),
)
def test_small_quotas_do_what_a_plain_model_does_on_whichever_node(
    subject: tuple[int, int], address: tuple[int, int], asked: list[tuple[int, str, str, bool]]
) -> None:
    clock = ManualClock(NOW)
    store, plain = MemoryKeyValue(clock), Plain(subject, address)
    texts = [f"{hits} per {seconds} seconds" for hits, seconds in (subject, address)]
    nodes = [made(texts[0], texts[1], clock, store) for _ in range(2)]
    with asyncio.Runner() as runner:
        for quarters, who, where, second in asked:
            clock.advance(quarters / 4)
            wait, field = plain.spend(who, where, clock.now())
            work = nodes[second].spend(subject=who, address=where)
            if wait is None:
                assert runner.run(work)["RateLimit"] == field
                continue
            with pytest.raises(VoxgateError, match="quota_exceeded") as caught:
                runner.run(work)
            assert (caught.value.retry_after, caught.value.headers["RateLimit"]) == (wait, field)
