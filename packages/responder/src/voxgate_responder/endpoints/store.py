"""Conversations as files, one each, in one directory that the PHP shim can share: same names, content and lock.

A name is an id, so it holds no dot and no slash; a file is written whole under another name and then renamed. These
methods wait for the disk and for the lock: call them in a thread.
"""

import fcntl
import os
import re
import secrets
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from voxgate_core import VoxgateError

__all__ = ["MAX_CONVERSATIONS", "MAX_TURNS", "ConversationFiles", "new_id", "new_turn", "summary"]

MAX_CONVERSATIONS: Final = 10_000
"""Conversations in one directory; a further one is refused."""

MAX_TURNS: Final = 1000
"""Turns in one conversation; a further one is refused."""

TITLE: Final = 60
"""Characters of the first turn that become the title."""

LOCK: Final = ".lock"

_is_id = re.compile(r"[A-Za-z0-9_-]{1,64}").fullmatch


def new_id(now: float) -> str:
    """An id that nobody can guess; ids made here sort by their time. ``now`` is epoch seconds."""
    return f"conv_{int(now * 1000):012x}_{secrets.token_hex(8)}"


def new_turn(role: str, text: str, now: float, *, turn_id: str | None = None, **more: object) -> dict[str, Any]:
    """One turn as it is kept, its ``at`` in whole seconds."""
    return {"id": turn_id or f"turn_{secrets.token_hex(8)}", "role": role, "text": text, "at": int(now), **more}


def summary(conversation: Mapping[str, Any]) -> dict[str, Any]:
    """A conversation as a list shows it."""
    shown = {name: conversation[name] for name in ("id", "title", "createdAt", "updatedAt")}
    return {**shown, "turns": len(conversation["turns"])}


class ConversationFiles:
    """The conversations in ``directory``, which must be there. Raises ``unavailable`` while it cannot be used."""

    def __init__(self, directory: Path, *, max_conversations: int = MAX_CONVERSATIONS) -> None:
        self._directory = directory
        self._max_conversations = max_conversations

    @property
    def works(self) -> bool:
        """Whether conversations can be kept now."""
        return self._directory.is_dir() and os.access(self._directory, os.W_OK)

    def page(self, limit: int, after: str) -> tuple[list[dict[str, Any]], str | None]:
        """Summaries in the order of their ids, ``limit`` at most, and the cursor of the next page."""
        with self._locked(fcntl.LOCK_SH):
            ids = self._ids()
            ids = ids[bisect_right(ids, after) :]
            page = [summary(self._read(conversation_id)) for conversation_id in ids[:limit]]
        return page, ids[limit - 1] if len(ids) > limit else None

    def get(self, conversation_id: str) -> dict[str, Any]:
        """The whole conversation. Raises :class:`VoxgateError` ``not_found``."""
        with self._locked(fcntl.LOCK_SH):
            return self._read(conversation_id)

    def delete(self, conversation_id: str) -> None:
        """Raises :class:`VoxgateError` ``not_found``."""
        with self._locked(fcntl.LOCK_EX):
            self._read(conversation_id)
            self._path(conversation_id).unlink()

    def append(self, conversation_id: str, turns: Sequence[Mapping[str, Any]]) -> None:
        """Add turns, and make the conversation if there is none. A turn whose id is there already is left out.

        Raises :class:`VoxgateError` ``conflict`` when the conversation is full, ``capacity_exceeded`` when the
        directory is.
        """
        with self._locked(fcntl.LOCK_EX):
            path = self._path(conversation_id)
            if path.is_file():
                conversation = self._read(conversation_id)
            elif len(self._ids()) >= self._max_conversations:
                raise VoxgateError("capacity_exceeded", "No more conversations can be kept: delete some")
            else:
                began = turns[0]["at"]
                title = turns[0]["text"][:TITLE]
                conversation = {
                    "id": conversation_id,
                    "title": title,
                    "createdAt": began,
                    "updatedAt": began,
                    "turns": [],
                }
            known = {turn["id"] for turn in conversation["turns"]}
            for turn in turns:
                if turn["id"] not in known:
                    conversation["turns"].append(turn)
                    conversation["updatedAt"] = turn["at"]
            if len(conversation["turns"]) > MAX_TURNS:
                raise VoxgateError("conflict", "The conversation is full: start another")
            self._write(path, conversation)

    def _ids(self) -> list[str]:
        names = (name.removesuffix(".json") for name in os.listdir(self._directory) if name.endswith(".json"))
        return sorted(name for name in names if _is_id(name))

    def _read(self, conversation_id: str) -> dict[str, Any]:
        path = self._path(conversation_id)
        if not path.is_file() or path.is_symlink():
            raise VoxgateError("not_found", "There is no conversation with this id")
        conversation: dict[str, Any] = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
        return conversation

    def _write(self, path: Path, conversation: Mapping[str, Any]) -> None:
        fresh = path.with_name(f".{path.stem}.new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with open(descriptor, "wb") as file:
            file.write(msgspec.json.encode(conversation))
        fresh.replace(path)

    def _path(self, conversation_id: str) -> Path:
        if not _is_id(conversation_id):
            raise ValueError("an id that is no file name reached the store")
        return self._directory / f"{conversation_id}.json"

    @contextmanager
    def _locked(self, kind: int) -> Iterator[None]:
        if not self.works:
            raise VoxgateError("unavailable", "Conversations cannot be kept now")
        with (self._directory / LOCK).open("ab") as lock:
            fcntl.flock(lock, kind)
            yield
