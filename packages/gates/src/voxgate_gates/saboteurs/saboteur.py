"""What a saboteur is: one lie, the check that must catch it, and the part of the target that it stands in front of.

A check is worth something only when it can fail. For each one there is a saboteur: it stands between the checks and a
system that keeps its promises, and breaks one. Pure: the proxy (:mod:`.proxy`) and the self-test do the I/O.
"""

import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final, TypeAlias

from voxgate_gates.check import Check, Need
from voxgate_gates.saboteurs.messages import Answer, Frame, Request

__all__ = ["Exchange", "Lie", "Part", "Saboteur", "World", "parts_of"]


class Part(StrEnum):
    """What of a target a saboteur can stand in front of."""

    GATEWAY = "gateway"
    PHP = "php"
    REMOTE = "remote"
    COMMAND = "command"
    PROJECT = "project"


_PART_OF_NEED: Final = {
    Need.PHP: Part.PHP,
    Need.REMOTE_PHP: Part.REMOTE,
    Need.COMMAND: Part.COMMAND,
    Need.PROJECT: Part.PROJECT,
    Need.SITE: Part.PROJECT,
    Need.COVERAGE: Part.PROJECT,
}

_GATEWAY_NEEDS: Final = frozenset({Need.KEY, Need.ISSUER, Need.ORIGIN, Need.OTHER_ORIGIN})


def parts_of(check: Check) -> frozenset[Part]:
    """The parts a check looks at. One that looks at others alone can't be touched by a lie about the gateway."""
    named = {_PART_OF_NEED[need] for need in check.needs if need in _PART_OF_NEED}
    if not named or check.needs & _GATEWAY_NEEDS:
        named.add(Part.GATEWAY)
    return frozenset(named)


@dataclass(slots=True)
class World:
    """What a lie may know of the run it spoils: the keys, the origins, and what it noted itself."""

    key: str = field(repr=False)
    issuer_key: str = field(repr=False)
    origin: str
    other_origin: str
    send: Callable[[Request], Awaitable[Answer]]
    """Asks the honest target. Raises ``OSError`` when it does not answer."""
    minted: dict[str, tuple[Request, float]] = field(default_factory=dict, repr=False)
    """Each token seen, with the request that got it and the monotonic second it came at."""
    notes: dict[str, str] = field(default_factory=dict)

    async def fresh(self, token: str) -> str:
        """Another token for the same claims as one seen, but for its life; the same one for a stranger's."""
        if token not in self.minted:
            return token
        asked, _ = self.minted[token]
        again = asked.copy()
        body = json.loads(again.body)
        body.pop("ttl", None)
        again.body = json.dumps(body).encode()
        again.headers["content-length"] = str(len(again.body))
        answer = await self.send(again)
        return str(answer.json()["data"]["token"])


@dataclass(slots=True)
class Exchange:
    """One request on its way through the proxy; a lie changes ``request`` in place. ``began`` is monotonic seconds."""

    request: Request
    world: World
    began: float = field(default_factory=time.monotonic)


OnRequest: TypeAlias = Callable[[Exchange], Awaitable[Answer | None]]
"""Changes the request before it is sent on, or answers it instead."""

OnAnswer: TypeAlias = Callable[[Exchange, Answer], None]
"""Changes the answer in place before the client gets it; of a WebSocket, the handshake's."""

OnFrame: TypeAlias = Callable[[Exchange, Frame], Awaitable[Sequence[Frame]]]
"""What the other side gets in the place of one frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lie:
    """What a proxy does to what passes. Whatever is ``None`` passes as it is."""

    request: OnRequest | None = None
    answer: OnAnswer | None = None
    to_client: OnFrame | None = None
    to_server: OnFrame | None = None
    nonsense: bytes | None = None
    """Answered to bytes that are not HTTP."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Saboteur:
    """One lie about one part. ``story`` says in a sentence what is broken.

    ``related`` are checks that may fall by the same lie, since they rest on the same promise; no other may.
    ``lie`` is for the parts behind HTTP, ``command`` wraps the `voxgate` command, ``edit`` changes files in a copy of
    the project.
    """

    check: str
    name: str
    story: str
    part: Part = Part.GATEWAY
    related: frozenset[str] = frozenset()
    lie: Lie | None = field(default=None, repr=False)
    command: Callable[[Sequence[str]], tuple[str, ...]] | None = field(default=None, repr=False)
    edit: Callable[[Path], object] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        means: Mapping[Part, object] = {Part.COMMAND: self.command, Part.PROJECT: self.edit}
        if means.get(self.part, self.lie) is None or sum(bool(m) for m in (self.lie, self.command, self.edit)) != 1:
            raise ValueError(f"{self.id} has no means to lie about the {self.part}, or more than one")

    @property
    def id(self) -> str:
        """``<check>/<name>``."""
        return f"{self.check}/{self.name}"
