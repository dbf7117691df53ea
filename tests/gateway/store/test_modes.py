"""How much is kept: a token can lower what its deployment keeps, and never raise it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgate_gateway.store.modes import StoreMode, mode_for

modes = st.sampled_from(StoreMode)


def test_modes_go_from_nothing_to_everything() -> None:
    assert sorted(StoreMode, key=lambda mode: mode.rank) == ["off", "metadata", "redacted", "full"]


@pytest.mark.parametrize(
    ("deployment", "scope", "mode"),
    [
        ("full", {"realtime"}, "full"),
        ("full", {"realtime", "store:redacted"}, "redacted"),
        ("full", {"store:metadata", "store:redacted"}, "metadata"),
        ("redacted", {"store:full"}, "redacted"),
        ("off", {"store:full"}, "off"),
        ("full", {"store:off"}, "off"),
    ],
)
def test_the_least_of_deployment_and_token_counts(deployment: str, scope: set[str], mode: str) -> None:
    assert mode_for(StoreMode(deployment), scope) == mode


@pytest.mark.parametrize("word", ["store:", "store:all", "store:FULL", "store:full:x"])
def test_a_mode_that_is_none_keeps_nothing(word: str) -> None:
    assert mode_for(StoreMode.FULL, {"realtime", word}) is StoreMode.OFF


@given(modes, st.sets(st.one_of(modes.map(lambda mode: f"store:{mode}"), st.text(max_size=20))))
def test_no_scope_ever_raises_the_mode(deployment: StoreMode, scope: set[str]) -> None:
    assert mode_for(deployment, scope).rank <= deployment.rank
