from dataclasses import FrozenInstanceError

import pytest

from voxgate_core import Grant, Leash


def grant() -> Grant:
    return Grant(
        subject="u1",
        session_id="s1",
        token_id="j1",
        origin=None,
        scope=frozenset({"realtime"}),
        issued_at=100,
        expires_at=400,
    )


def test_a_grant_without_a_leash_leaves_every_limit_to_the_deployment() -> None:
    leash = grant().leash
    assert leash == Leash()
    assert (leash.seconds, leash.tokens, leash.spend, dict(leash.session)) == (None, None, None, {})


def test_a_leash_of_zero_is_a_limit_and_not_its_absence() -> None:
    assert Leash(seconds=0) != Leash()


def test_a_grant_cannot_be_widened_after_verification() -> None:
    with pytest.raises(FrozenInstanceError):
        grant().expires_at = 9_999  # type: ignore[misc]  # the refusal is the point
    with pytest.raises(FrozenInstanceError):
        grant().leash.seconds = 9_999  # type: ignore[misc]  # the refusal is the point
