"""Quotas over a moving window, exact to the second, bounded in memory."""

from typing import Any

import pytest

from voxgate_core import ConfigurationError, ManualClock, VoxgateError
from voxgate_security import IssuanceQuotas, client_network


async def refusal(quotas: IssuanceQuotas, subject: str = "alice", address: str = "192.0.2.1") -> VoxgateError:
    with pytest.raises(VoxgateError) as caught:
        await quotas.spend(subject=subject, address=address)
    assert caught.value.code == "quota_exceeded"
    return caught.value


async def test_the_answer_says_what_is_left() -> None:
    clock = ManualClock()
    quotas = IssuanceQuotas("3/minute", "10/hour", clock=clock)
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
    quotas = IssuanceQuotas("2/minute", "100/minute", clock=clock)
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
    quotas = IssuanceQuotas("10/minute", "2/minute", clock=ManualClock())
    await quotas.spend(subject="alice", address="192.0.2.1")
    await quotas.spend(subject="bob", address="192.0.2.1")
    assert (await refusal(quotas, "carol")).retry_after == 60
    await quotas.spend(subject="carol", address="192.0.2.2")


async def test_a_refused_request_is_charged_to_nobody() -> None:
    quotas = IssuanceQuotas("1/minute", "2/minute", clock=ManualClock())
    await quotas.spend(subject="alice", address="192.0.2.1")
    for _ in range(5):
        await refusal(quotas)
    headers = await quotas.spend(subject="bob", address="192.0.2.1")
    assert headers["RateLimit"] == '"subject";r=0;t=60, "address";r=0;t=60'


async def test_when_both_are_used_up_the_longer_wait_counts() -> None:
    quotas = IssuanceQuotas("1/minute", "1/hour", clock=ManualClock())
    await quotas.spend(subject="alice", address="192.0.2.1")
    assert (await refusal(quotas)).retry_after == 3600


async def test_neighbours_in_one_ipv6_site_share_a_quota() -> None:
    quotas = IssuanceQuotas("10/minute", "1/minute", clock=ManualClock())
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


async def test_memory_is_bounded_and_the_longest_idle_is_forgotten() -> None:
    clock = ManualClock()
    quotas = IssuanceQuotas("2/hour", "1000000/hour", clock=clock, max_hits=21)
    for number in range(40):
        await quotas.spend(subject=f"s{number}", address="192.0.2.1")
        clock.advance(1)
    # Only the newest remain: half of the hits are the address's own, which is never idle.
    headers = await quotas.spend(subject="s0", address="192.0.2.9")
    assert '"subject";r=1' in headers["RateLimit"]
    storage: Any = quotas._limiter.storage
    held = sum(len(window) for window in storage._windows.values())
    assert held == storage._hits <= 21


async def test_windows_that_have_passed_take_no_memory() -> None:
    clock = ManualClock()
    quotas = IssuanceQuotas("5/minute", "5/minute", clock=clock)
    for _ in range(5):
        await quotas.spend(subject="alice", address="192.0.2.1")
    clock.advance(60)
    headers = await quotas.spend(subject="alice", address="192.0.2.1")
    assert headers["RateLimit"] == '"subject";r=4;t=60, "address";r=4;t=60'


@pytest.mark.parametrize("text", ["", "many", "0/minute", "5/fortnight", "5", "-1/minute"])
def test_a_quota_that_cannot_be_read_is_a_fault(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        IssuanceQuotas(text, text)
    assert len(caught.value.faults) == 2


async def test_the_defaults_work_on_the_system_clock() -> None:
    assert "q=60;w=60" in (await IssuanceQuotas().spend(subject="alice", address=None))["RateLimit-Policy"]
