import pytest

from voxgate_core import Grant, VoxgateError
from voxgate_realtime.limits import RelayLimits
from voxgate_realtime.sessions import Sessions


class Live:
    """A connection that only remembers how it was refused."""

    def __init__(self) -> None:
        self.grant: Grant | None = None
        self.refused_with: list[str] = []

    @property
    def proofs(self) -> tuple[Grant, ...]:
        return () if self.grant is None else (self.grant,)

    def refuse(self, error: VoxgateError) -> None:
        self.refused_with.append(error.code)


def grant(subject: str) -> Grant:
    return Grant(subject, f"s-{subject}", f"j-{subject}", None, frozenset(), 0, 100)


def test_sockets_without_a_credential_are_bounded_on_their_own() -> None:
    sessions: Sessions[Live] = Sessions(RelayLimits(max_sessions=10, max_unauthenticated=2))
    first, second, third = Live(), Live(), Live()
    sessions.enter(first, with_credential=False)
    sessions.enter(second, with_credential=False)
    with pytest.raises(VoxgateError) as refused:
        sessions.enter(third, with_credential=False)
    assert refused.value.kind.close_code == 1013
    sessions.authenticated(first, grant("ada"))
    sessions.enter(Live(), with_credential=False)
    assert (len(sessions), sessions.unauthenticated) == (3, 2)


def test_a_crowd_without_credentials_keeps_nobody_out_who_brings_one() -> None:
    sessions: Sessions[Live] = Sessions(RelayLimits(max_sessions=10, max_unauthenticated=1))
    sessions.enter(Live(), with_credential=False)
    sessions.enter(Live(), with_credential=True)
    assert sessions.unauthenticated == 1


def test_all_sockets_are_bounded_together() -> None:
    sessions: Sessions[Live] = Sessions(RelayLimits(max_sessions=1, max_unauthenticated=1))
    first = Live()
    sessions.enter(first, with_credential=False)
    sessions.authenticated(first, grant("ada"))
    with pytest.raises(VoxgateError):
        sessions.enter(Live(), with_credential=True)


def test_a_revocation_closes_matching_sessions_and_no_other() -> None:
    sessions: Sessions[Live] = Sessions(RelayLimits())
    ada, bob = Live(), Live()
    for live, name in ((ada, "ada"), (bob, "bob")):
        sessions.enter(live, with_credential=False)
        live.grant = grant(name)
        sessions.authenticated(live, live.grant)
    assert sessions.revoke(lambda found: found.subject == "ada") == 1
    assert (ada.refused_with, bob.refused_with) == (["token_revoked"], [])


def test_a_revocation_that_came_while_verifying_still_counts() -> None:
    sessions: Sessions[Live] = Sessions(RelayLimits())
    ada, bob = Live(), Live()
    sessions.enter(ada, with_credential=True)
    sessions.enter(bob, with_credential=True)
    assert sessions.revoke(lambda found: found.subject == "ada") == 0
    with pytest.raises(VoxgateError) as refused:
        sessions.authenticated(ada, grant("ada"))
    assert refused.value.code == "token_revoked"
    sessions.authenticated(bob, grant("bob"))


def test_a_socket_that_left_is_forgotten() -> None:
    sessions: Sessions[Live] = Sessions(RelayLimits())
    live = Live()
    sessions.enter(live, with_credential=False)
    sessions.leave(live)
    sessions.leave(live)
    assert (len(sessions), sessions.unauthenticated, list(sessions)) == (0, 0, [])


def test_refused_sockets_take_no_room_and_only_so_many_may_wait() -> None:
    sessions: Sessions[Live] = Sessions(RelayLimits(max_sessions=1, max_unauthenticated=1))
    first, second, third = Live(), Live(), Live()
    sessions.enter(first, with_credential=True)
    assert sessions.refused(first)
    sessions.enter(second, with_credential=True)
    assert not sessions.refused(second)
    sessions.enter(third, with_credential=True)
    assert set(sessions) == {first, third}
    sessions.leave(first)
    assert sessions.refused(third)
    sessions.leave(third)
    assert len(sessions) == 0
