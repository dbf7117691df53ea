"""The targets of a deployment, the same on every node: kept in the shared store, held in memory, watched for changes.

In the store a target lies under its name, so that one write makes it and no two share a name; beside it lie a pointer
from its id to that name, and how it fares. Memory follows the store's changes in their order. What is read or written
here in between counts only if nothing was heard meanwhile: else it may be the older of the two, and is read again.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Final

import msgspec

from voxgate_core import Clock, KeyValue, VoxgateError
from voxgate_fanout.addresses import AddressPolicy, url_faults
from voxgate_fanout.schedule import failing_too_long
from voxgate_fanout.signing import new_secret
from voxgate_fanout.targets import (
    MAX_TARGETS,
    Secret,
    Target,
    TargetState,
    is_target_name,
    matches,
    rotate,
    target_faults,
)

__all__ = ["OVERLAP_SECONDS", "Registry"]

OVERLAP_SECONDS: Final = 86_400.0
"""How long the old secret goes on signing beside the new one after a rotation."""

MAX_TYPES: Final = 1024
"""Event types whose targets are remembered; past it all are forgotten at once and found again as they come."""

MAX_ATTEMPTS: Final = 8
"""Times a change is written, or everything read, anew when another change comes at the same moment."""

REWATCH_SECONDS: Final = 1.0
"""Pause before watching again after the store failed."""

ALL: Final = "fanout."
TARGETS: Final = "fanout.target."
"""By name: the target; or, expired already, the id of one that was removed."""
IDS: Final = "fanout.id."
"""By id: the name. Written before its target and deleted after it: a pointer that is left over leads nowhere."""
STATES: Final = "fanout.state."
"""By id, also of targets that are not kept here."""
SECRETS: Final = "fanout.secret."
"""By id: the secrets of those targets of the environment that came without."""

HEALTHY: Final = TargetState()

logger = logging.getLogger("voxgate.fanout")

_read_kept = msgspec.json.Decoder(Target | str).decode
_read_state = msgspec.json.Decoder(TargetState).decode
_read_secrets = msgspec.json.Decoder(tuple[Secret, ...]).decode
_write = msgspec.json.Encoder().encode


class Registry:
    """Targets by id. ``fixed`` ones come from a file or the environment: they can be disabled here, not removed.

    A fixed target without secrets is given one that every node shares, and it can be rotated here; the secrets of the
    others are changed where they were set. ``changed`` is called on the event loop with the id of every target that
    came, went or changed.
    """

    def __init__(
        self,
        store: KeyValue,
        clock: Clock,
        *,
        prod: bool,
        policy: AddressPolicy | None = None,
        fixed: Iterable[Target] = (),
        changed: Callable[[str], None] = lambda _: None,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._clock = clock
        self._prod = prod
        self._policy = policy
        self._fixed = {target.id: target for target in fixed}
        self._fixed_ids = {target.name: target.id for target in self._fixed.values()}
        self._changed = changed
        self._pause = pause
        self._targets: dict[str, Target] = {}
        self._kept_ids: dict[str, str] = {}
        self._states: dict[str, TargetState] = {}
        self._matching: dict[str, tuple[Target, ...]] = {}
        self._news = 0  # counts what was taken into memory

    # -- reading ---------------------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Target]:
        return iter(tuple(self._targets.values()))

    def get(self, target_id: str) -> Target | None:
        """A target as this node knows it."""
        return self._targets.get(target_id)

    def state(self, target_id: str) -> TargetState:
        """How it fares."""
        return self._states.get(target_id, HEALTHY)

    def named(self, name: str) -> Target:
        """The target of that name, as this node knows it. Raises :class:`VoxgateError` ``not_found``.

        Of a fixed target and one that had its name before, the latter: so it can be removed.
        """
        target_id = self._kept_ids.get(name) or self._fixed_ids.get(name)
        if target_id is None or target_id not in self._targets:
            raise VoxgateError("not_found", f"there is no target {name[:64]!r}")
        return self._targets[target_id]

    async def find(self, name: str) -> Target:
        """As :meth:`named`, also for a target that this node may not have heard of yet. Raises ``unavailable`` too."""
        if name not in self._kept_ids and name not in self._fixed_ids and is_target_name(name):
            await self._fetch(TARGETS + name)
        return self.named(name)

    async def look_up(self, target_id: str) -> Target | None:
        """A target that this node may not have heard of yet. Raises :class:`VoxgateError` ``unavailable``."""
        if target_id not in self._targets:
            pointer = await self._store.get(IDS + target_id)
            if pointer is None:
                return None
            await self._fetch(STATES + target_id)
            await self._fetch(TARGETS + pointer.value.decode())
        return self._targets.get(target_id)

    def matching(self, event_type: str) -> tuple[Target, ...]:
        """The enabled targets that want events of this type."""
        found = self._matching.get(event_type)
        if found is None:
            if len(self._matching) >= MAX_TYPES:
                self._matching.clear()
            found = tuple(
                target
                for target in self._targets.values()
                if self.state(target.id).disabled is None and matches(target, event_type)
            )
            self._matching[event_type] = found
        return found

    # -- changing --------------------------------------------------------------------------------------------------

    async def add(self, target: Target) -> None:
        """Keep a new target.

        Raises :class:`VoxgateError` ``invalid_input`` with its faults, ``conflict`` for a name that is taken or one
        target too many, ``unavailable``.
        """
        faults = target_faults(target, prod=self._prod)
        if not faults and self._policy is not None:
            faults = url_faults(target.url, self._policy)
        if faults:
            raise VoxgateError("invalid_input", "the target is not valid", details={"faults": faults})
        if len(self._targets) >= MAX_TARGETS:
            raise VoxgateError("conflict", f"there are {MAX_TARGETS} targets already, as many as there may be")
        key, value = TARGETS + target.name, _write(target)
        taken = target.name in self._fixed_ids or target.name in self._kept_ids
        if not taken:
            await self._store.put(IDS + target.id, target.name.encode())
            news = self._news
            taken = not await self._store.put_if_absent(key, value)
            if not taken:
                await self._settle(key, value, news)
                return
            await self._store.delete(IDS + target.id)
        raise VoxgateError("conflict", f"there is a target named {target.name!r} already")

    async def remove(self, name: str) -> Target:
        """Forget a target; the one that was. Raises as :meth:`rotate_secret`."""
        target = self.named(name)
        if target.id in self._fixed:
            raise VoxgateError("conflict", f"{name} is managed by the {target.managed_by}: take it out there")

        def bury(kept: bytes | None) -> bytes:
            _still_kept(target, kept)
            return _write(target.id)

        # It is written over, expired already, rather than deleted: that happens only to the target that was meant.
        await self._change(TARGETS + name, bury, ttl=0.0)
        try:
            await self._store.delete(STATES + target.id)
            await self._store.delete(IDS + target.id)
        except VoxgateError as error:
            logger.warning(
                "what was noted of a removed target could not be deleted; it may stay", extra={"code": error.code}
            )
        return target

    async def rotate_secret(self, name: str, *, overlap: float = OVERLAP_SECONDS) -> tuple[Target, str]:
        """Give a target a new secret; the old one signs beside it for ``overlap`` seconds. The target and the secret.

        Raises :class:`VoxgateError` ``not_found``, ``conflict`` for a target whose secret is set elsewhere,
        ``unavailable``.
        """
        target = self.named(name)
        secret, now = new_secret(), self._clock.now()
        fixed = self._fixed.get(target.id)
        if fixed is not None and fixed.secrets:
            raise VoxgateError("conflict", f"{name} has its secret from the {fixed.managed_by}: change it there")

        def renew(kept: bytes | None) -> bytes:
            return _write(rotate(_still_kept(target, kept), secret, now, overlap))

        def renew_shared(kept: bytes | None) -> bytes:
            secrets = target.secrets if kept is None else _read_secrets(kept)
            return _write(rotate(msgspec.structs.replace(target, secrets=secrets), secret, now, overlap).secrets)

        if fixed is None:
            await self._change(TARGETS + name, renew)
        else:
            await self._change(SECRETS + target.id, renew_shared)
        return self._targets.get(target.id, target), secret

    async def disable(self, target_id: str, reason: str) -> bool:
        """Send nothing to it until it is enabled; whether that is new. If it is not, the first reason stays.

        Raises :class:`VoxgateError` ``not_found``, ``unavailable``.
        """
        now = self._clock.now()

        def disabled(state: TargetState) -> TargetState:
            if state.disabled is not None:
                return state
            return msgspec.structs.replace(state, disabled=reason, disabled_at=now)

        return await self._set_state(target_id, disabled)

    async def enable(self, target_id: str) -> None:
        """Forget what was held against it. Raises :class:`VoxgateError` ``not_found``, ``unavailable``."""
        await self._set_state(target_id, lambda _: HEALTHY)

    async def note(self, target_id: str, *, ok: bool) -> bool:
        """Remember when it began to fail, or that it no longer does; whether it has failed for too long by now.

        Writes only when that changes. Raises :class:`VoxgateError` ``unavailable``.
        """
        now = self._clock.now()

        def failing(state: TargetState) -> TargetState:
            since = None if ok else now if state.failing_since is None else state.failing_since
            return msgspec.structs.replace(state, failing_since=since)

        known_to_fail = self.state(target_id).failing_since is not None
        if ok == known_to_fail and target_id in self._targets:
            await self._set_state(target_id, failing)
        return not ok and failing_too_long(self.state(target_id).failing_since, now)

    # -- keeping up ------------------------------------------------------------------------------------------------

    async def load(self) -> None:
        """Read everything. Raises :class:`VoxgateError` ``unavailable``."""
        for _ in range(MAX_ATTEMPTS):
            news = self._news
            entries = await self._store.scan(ALL)
            secrets = {target.id: await self._shared_secrets(target) for target in self._fixed.values()}
            if news == self._news:  # else a target added here meanwhile would be gone for a moment
                break
        known = [TARGETS + name for name in self._kept_ids] + [STATES + target_id for target_id in self._states]
        for key in known:
            if key not in entries:
                self._take(key, None)
        for key, entry in entries.items():
            self._take(key, entry.value)
        for target in self._fixed.values():
            self._take_target(msgspec.structs.replace(target, secrets=secrets[target.id]))
        for name in self._kept_ids.keys() & self._fixed_ids.keys():
            logger.warning("a target was added that has the name of a fixed one; remove it", extra={"target": name})

    async def watch(self) -> None:
        """Keep up with what other nodes change, until cancelled."""
        while True:
            try:
                async with self._store.watch(ALL) as changes:
                    await self.load()
                    async for change in changes:
                        if change.missed:
                            await self.load()
                        else:
                            self._take(change.key, change.value)
            except VoxgateError as error:
                logger.warning("the watch on targets broke; watching again", extra={"code": error.code})
            await self._pause(REWATCH_SECONDS)

    async def _shared_secrets(self, target: Target) -> tuple[Secret, ...]:
        """The secrets of a fixed target. Those that are made here are made once, and are the same on every node."""
        if target.secrets:
            return target.secrets
        key = SECRETS + target.id
        entry = await self._store.get(key)
        if entry is None:
            await self._store.put_if_absent(key, _write((Secret(new_secret()),)))
            entry = await self._store.get(key)
        if entry is None:
            raise VoxgateError("unavailable", "a secret that was just made can't be read")
        return _read_secrets(entry.value)

    async def _set_state(self, target_id: str, change: Callable[[TargetState], TargetState]) -> bool:
        if target_id not in self._targets:
            raise VoxgateError("not_found", "this target was removed")

        def write(kept: bytes | None) -> bytes | None:
            before = HEALTHY if kept is None else _read_state(kept)
            after = change(before)
            return None if after == before else _write(after)

        return await self._change(STATES + target_id, write)

    async def _change(
        self, key: str, change: Callable[[bytes | None], bytes | None], *, ttl: float | None = None
    ) -> bool:
        """Write what ``change`` makes of the value, here and in the store; whether there was anything to write."""
        for _ in range(MAX_ATTEMPTS):
            news = self._news
            entry = await self._store.get(key)
            value = None if entry is None else entry.value
            new = change(value)
            if new is None:
                await self._settle(key, value, news)
                return False
            if entry is None:
                written = await self._store.put_if_absent(key, new, ttl=ttl)
            else:
                written = await self._store.compare_and_set(key, new, revision=entry.revision, ttl=ttl)
            if written:
                await self._settle(key, new, news)
                return True
        raise VoxgateError("unavailable", "too many changes of one target at once; try again")

    async def _fetch(self, key: str) -> None:
        await self._settle(key, None, -1)

    async def _settle(self, key: str, value: bytes | None, news: int) -> None:
        """Take a value, found or written when ``news`` was the count; with news since then, the one in the store."""
        while news != self._news:
            news = self._news
            entry = await self._store.get(key)
            value = None if entry is None else entry.value
        self._take(key, value)

    # -- memory ----------------------------------------------------------------------------------------------------

    def _take(self, key: str, value: bytes | None) -> None:
        self._news += 1
        try:
            if key.startswith(TARGETS):
                self._take_kept(key[len(TARGETS) :], None if value is None else _read_kept(value))
            elif key.startswith(STATES):
                self._take_state(key[len(STATES) :], HEALTHY if value is None else _read_state(value))
            elif key.startswith(SECRETS) and value is not None:
                fixed = self._fixed.get(key[len(SECRETS) :])
                if fixed is not None and not fixed.secrets:
                    self._take_target(msgspec.structs.replace(fixed, secrets=_read_secrets(value)))
        except msgspec.MsgspecError:
            logger.error("what the store holds of a target can't be read; it does not count", extra={"key": key})

    def _take_kept(self, name: str, kept: Target | str | None) -> None:
        known = self._kept_ids.get(name)
        if known is not None and (kept is None or kept == known or isinstance(kept, Target) and kept.id != known):
            del self._kept_ids[name]
            del self._targets[known]
            self._states.pop(known, None)
            self._tell(known)
        if isinstance(kept, Target):
            self._kept_ids[name] = kept.id
            self._take_target(kept)

    def _take_target(self, target: Target) -> None:
        if self._targets.get(target.id) != target:
            self._targets[target.id] = target
            self._tell(target.id)

    def _take_state(self, target_id: str, state: TargetState) -> None:
        if self.state(target_id) == state:
            return
        if state == HEALTHY:
            del self._states[target_id]
        else:
            self._states[target_id] = state
        self._tell(target_id)

    def _tell(self, target_id: str) -> None:
        self._matching.clear()
        self._changed(target_id)


def _still_kept(target: Target, value: bytes | None) -> Target:
    """The target as the store has it. Raises :class:`VoxgateError` ``not_found`` for another one or none."""
    kept = None if value is None else _read_kept(value)
    if not isinstance(kept, Target) or kept.id != target.id:
        raise VoxgateError("not_found", f"the target {target.name!r} was removed")
    return kept
