from dataclasses import FrozenInstanceError, replace

import pytest

from voxgate_core import Grant, Leash, session_of_token


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


def test_connections_of_one_token_have_session_ids_of_their_own_that_lead_back_to_it() -> None:
    first, second = grant().for_connection(), grant().for_connection()
    assert first.session_id != second.session_id
    assert {session_of_token(each.session_id) for each in (grant(), first, second)} == {"s1"}
    assert replace(first, session_id="s1") == grant()
