"""The in-memory store against a model so simple that it can be believed."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from voxgate_core import Change, Entry, ManualClock, MemoryKeyValue, VoxgateError
from voxgate_core.keyvalue import WATCH_QUEUE

MAX_ENTRIES = 4
WATCHED = "a/"

KEY_NAMES = ("a/1", "a/2", "a/3", "b/1", "b/2", "a")
KEYS = st.sampled_from(KEY_NAMES)
VALUES = st.binary(max_size=2)
TTLS = st.none() | st.integers(-1, 20) | st.sampled_from([0.5, 1e9])

T = TypeVar("T")


@dataclass
class Held:
    value: bytes
    revision: int
    until: float | None


class StoreMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.clock = ManualClock()
        self.store = MemoryKeyValue(self.clock, max_entries=MAX_ENTRIES)
        self.watch = self.store.watch(WATCHED)
        self.changes = self.run(self.watch.__aenter__())
        self.model: dict[str, Held] = {}
        self.expected: list[Change] = []
        self.last_revision = 0
        self.old_revisions: list[int] = [0]

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def live(self) -> dict[str, Held]:
        now = self.clock.now()
        return {key: held for key, held in self.model.items() if held.until is None or held.until > now}

    def has_room(self, key: str) -> bool:
        live = self.live()
        return key in live or len(live) < MAX_ENTRIES

    def hold(self, key: str, value: bytes, ttl: float | None) -> None:
        entry = self.run(self.store.get(key))
        revision = entry.revision if entry is not None else self.last_revision + 1
        assert revision > self.last_revision
        self.last_revision = revision
        self.old_revisions.append(revision)
        self.model[key] = Held(value, revision, None if ttl is None else self.clock.now() + ttl)
        self.expect(Change(key, value))

    def expect(self, change: Change) -> None:
        if change.key.startswith(WATCHED):
            self.expected.append(change)

    @rule(key=KEYS, value=VALUES, ttl=TTLS)
    def put(self, key: str, value: bytes, ttl: float | None) -> None:
        if self.has_room(key):
            revision = self.run(self.store.put(key, value, ttl=ttl))
            self.hold(key, value, ttl)
            assert revision == self.last_revision
        else:
            with pytest.raises(VoxgateError, match="unavailable"):
                self.run(self.store.put(key, value, ttl=ttl))

    @rule(key=KEYS, value=VALUES, ttl=TTLS)
    def put_if_absent(self, key: str, value: bytes, ttl: float | None) -> None:
        if key in self.live():
            assert not self.run(self.store.put_if_absent(key, value, ttl=ttl))
        elif self.has_room(key):
            assert self.run(self.store.put_if_absent(key, value, ttl=ttl))
            self.hold(key, value, ttl)
        else:
            with pytest.raises(VoxgateError, match="unavailable"):
                self.run(self.store.put_if_absent(key, value, ttl=ttl))

    @rule(key=KEYS, value=VALUES, ttl=TTLS)
    def compare_and_set_with_the_right_revision(self, key: str, value: bytes, ttl: float | None) -> None:
        held = self.live().get(key)
        revision = held.revision if held is not None else self.last_revision
        assert self.run(self.store.compare_and_set(key, value, revision=revision, ttl=ttl)) is (held is not None)
        if held is not None:
            self.hold(key, value, ttl)

    @rule(key=KEYS, value=VALUES, data=st.data())
    def compare_and_set_with_any_revision(self, key: str, value: bytes, data: st.DataObject) -> None:
        revision = data.draw(st.sampled_from(self.old_revisions))
        held = self.live().get(key)
        fits = held is not None and held.revision == revision
        assert self.run(self.store.compare_and_set(key, value, revision=revision)) is fits
        if fits:
            self.hold(key, value, None)

    @rule(key=KEYS)
    def delete(self, key: str) -> None:
        was_live = key in self.live()
        assert self.run(self.store.delete(key)) is was_live
        if was_live:
            del self.model[key]
            self.expect(Change(key, None))

    @rule(seconds=st.sampled_from([0.0, 0.5, 1.0, 7.0, 25.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(seconds=st.integers(0, 30))
    def the_wall_clock_is_stepped_forward(self, seconds: int) -> None:
        self.clock.set_now(self.clock.now() + seconds)

    @rule(count=st.integers(1, 20))
    def the_watcher_catches_up(self, count: int) -> None:
        self.check_watched(self.expected[:count])
        del self.expected[:count]

    def check_watched(self, expected: list[Change]) -> None:
        assert len(self.expected) < WATCH_QUEUE
        for change in expected:
            assert self.run(asyncio.wait_for(anext(self.changes), 10.0)) == change

    @rule(key=KEYS)
    def get(self, key: str) -> None:
        """A rule and not an invariant: a read drops what has expired, and writes must manage without."""
        held = self.live().get(key)
        entry = None if held is None else Entry(held.value, held.revision, held.until)
        assert self.run(self.store.get(key)) == entry

    @rule(prefix=st.sampled_from(("", "a", "a/", "b/", "c")))
    def scan(self, prefix: str) -> None:
        assert self.run(self.store.scan(prefix)) == {
            key: Entry(held.value, held.revision, held.until)
            for key, held in self.live().items()
            if key.startswith(prefix)
        }

    @invariant()
    def the_store_stays_within_its_bound(self) -> None:
        assert len(self.store) <= MAX_ENTRIES

    def teardown(self) -> None:
        self.check_watched(self.expected)
        for key in KEY_NAMES:
            self.get(key)
        for key in self.live():
            self.run(self.store.delete(key))
            if key.startswith(WATCHED):
                self.check_watched([Change(key, None)])
        self.run(self.store.put("a/last", b""))
        self.check_watched([Change("a/last", b"")])
        self.run(self.watch.__aexit__(None, None, None))
        self.runner.close()


StoreMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
test_the_store_never_differs_from_its_model = StoreMachine.TestCase
