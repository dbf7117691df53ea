from collections.abc import Sequence

import pytest

from voxgate_core import (
    Grant,
    NullObserver,
    OriginGate,
    SessionClosed,
    SessionObserver,
    TokenVerifier,
    VoxgateError,
)

GRANT = Grant("u1", "s1", "j1", None, frozenset(), issued_at=100, expires_at=400)
CLOSED = SessionClosed("s1", "u1", 1000, "", 1.5, 2, 300, 4, 5000)


class OneOrigin:
    def admit(self, origins: Sequence[bytes]) -> str | None:
        if list(origins) != [b"https://app.example"]:
            raise VoxgateError("origin_refused")
        return "https://app.example"


class OneToken:
    async def verify(self, token: str, *, origin: str | None, single_use: bool) -> Grant:
        if token != "good":
            raise VoxgateError("credential_invalid")
        return GRANT


def test_the_null_observer_fits_the_port_and_answers_nothing() -> None:
    observer: SessionObserver = NullObserver()
    observer.opened(GRANT)
    observer.refused(VoxgateError("credential_missing"))
    observer.closed(CLOSED)


def test_a_small_fake_fits_the_origin_port() -> None:
    gate: OriginGate = OneOrigin()
    assert gate.admit([b"https://app.example"]) == "https://app.example"
    with pytest.raises(VoxgateError, match="origin_refused"):
        gate.admit([])


async def test_a_small_fake_fits_the_verifier_port() -> None:
    verifier: TokenVerifier = OneToken()
    assert await verifier.verify("good", origin=None, single_use=True) is GRANT
    with pytest.raises(VoxgateError, match="credential_invalid"):
        await verifier.verify("bad", origin=None, single_use=True)


def test_the_account_of_a_session_names_its_counts() -> None:
    assert (CLOSED.client_messages, CLOSED.client_bytes) == (2, 300)
    assert (CLOSED.upstream_messages, CLOSED.upstream_bytes) == (4, 5000)
