"""Conversation items: reading them, keeping them in order, and showing them again. Pure.

Source: the item shapes of the GA Realtime API (``openai.types.realtime.ConversationItem``).
"""

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Literal

from msgspec import Meta, Struct

from voxgate_engine.faults import Fault
from voxgate_engine.limits import MAX_ITEM_AUDIO_BYTES, MAX_ITEM_TEXT_CHARS, MAX_ITEMS

__all__ = ["Item", "ItemInput", "ItemStore", "Part", "PartInput", "item_from_input"]

ROOT = "root"
"""The ``previous_item_id`` that means the beginning."""

_PARTS_OF_ROLE = {
    "user": frozenset(("input_text", "input_audio", "input_image")),
    "system": frozenset(("input_text",)),
    "assistant": frozenset(("output_text",)),
}
_NEEDED_OF_PART = {"input_text": "text", "output_text": "text", "input_audio": "audio", "input_image": "image_url"}
_COMMON_FIELDS = frozenset(("type", "id", "object", "status"))
_FIELDS_OF_TYPE = {
    "message": ("role", "content"),
    "function_call": ("name", "arguments"),
    "function_call_output": ("call_id", "output"),
    "item_reference": ("id",),
}
_OPTIONAL_OF_TYPE = {"function_call": frozenset(("call_id",))}


class PartInput(Struct, forbid_unknown_fields=True, kw_only=True):
    """One content part as a client sends it."""

    type: Literal["input_text", "input_audio", "input_image", "output_text", "output_audio"]
    text: str | None = None
    audio: bytes | None = None
    transcript: str | None = None
    image_url: str | None = None
    detail: Literal["auto", "low", "high"] | None = None


class ItemInput(Struct, forbid_unknown_fields=True, kw_only=True):
    """One item as a client sends it; which fields it needs depends on ``type`` and ``role``."""

    type: Literal["message", "function_call", "function_call_output", "item_reference"]
    id: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    object: Literal["realtime.item"] | None = None
    status: Literal["completed", "incomplete", "in_progress"] | None = None
    role: Literal["user", "assistant", "system"] | None = None
    content: Annotated[list[PartInput], Meta(max_length=64)] | None = None
    name: str | None = None
    call_id: str | None = None
    arguments: str | None = None
    output: str | None = None


@dataclass(slots=True)
class Part:
    """One content part. ``audio`` is in the session's format; ``audio_ms`` stays when the bytes are forgotten."""

    kind: str
    text: str = ""
    transcript: str | None = None
    audio: bytearray = field(default_factory=bytearray)
    audio_ms: int = 0
    image_url: str | None = None
    detail: str | None = None

    def truncate(self, audio_end_ms: int) -> None:
        """Keep the first ``audio_end_ms``; the transcript goes, because nobody knows which words were heard."""
        if self.audio_ms:
            kept = len(self.audio) * audio_end_ms // self.audio_ms
            del self.audio[kept - kept % 2 :]
        self.audio_ms = audio_end_ms
        self.transcript = ""

    def render(self, *, with_audio: bool) -> dict[str, object]:
        """The part as the protocol shows it; audio only where it is asked for."""
        if self.kind in ("input_text", "output_text"):
            return {"type": self.kind, "text": self.text}
        if self.kind == "input_image":
            return {"type": self.kind, "image_url": self.image_url, "detail": self.detail or "auto"}
        shown: dict[str, object] = {"type": self.kind, "transcript": self.transcript}
        if with_audio:
            shown["audio"] = base64.b64encode(self.audio).decode()
        return shown


@dataclass(slots=True)
class Item:
    """One item: a message, a function call, or a function call's output."""

    id: str
    kind: str
    status: str = "completed"
    role: str = ""
    parts: list[Part] = field(default_factory=list)
    name: str = ""
    call_id: str = ""
    arguments: str = ""
    output: str = ""

    def render(self, *, with_audio: bool = False) -> dict[str, object]:
        """The item as the protocol shows it."""
        shown: dict[str, object] = {
            "id": self.id,
            "object": "realtime.item",
            "type": self.kind,
            "status": self.status,
        }
        if self.kind == "message":
            shown |= {"role": self.role, "content": [part.render(with_audio=with_audio) for part in self.parts]}
        elif self.kind == "function_call":
            shown |= {"name": self.name, "call_id": self.call_id, "arguments": self.arguments}
        else:
            shown |= {"call_id": self.call_id, "output": self.output}
        return shown

    @property
    def audio_bytes(self) -> int:
        return sum(len(part.audio) for part in self.parts)

    @property
    def text_chars(self) -> int:
        """Characters the item holds, pictures written as data URLs included."""
        own = len(self.name) + len(self.arguments) + len(self.output)
        return own + sum(len(part.text) + len(part.transcript or "") + len(part.image_url or "") for part in self.parts)

    @property
    def audio_ms(self) -> int:
        return sum(part.audio_ms for part in self.parts)

    def forget_audio(self) -> None:
        for part in self.parts:
            part.audio = bytearray()


def item_from_input(given: ItemInput, item_id: str, *, path: str = "item") -> Item:
    """The item a client described. Raises :class:`Fault`; ``path`` names the item in its ``param``."""
    needed = _FIELDS_OF_TYPE[given.type]
    for name in needed:
        if getattr(given, name) is None:
            raise Fault(
                "missing_required_parameter", f"Missing required parameter: '{path}.{name}'.", param=f"{path}.{name}"
            )
    allowed = _COMMON_FIELDS.union(needed, _OPTIONAL_OF_TYPE.get(given.type, ()))
    for name in given.__struct_fields__:
        if name not in allowed and getattr(given, name) is not None:
            raise Fault("unknown_parameter", f"Unknown parameter: '{path}.{name}'.", param=f"{path}.{name}")
    item = Item(
        id=item_id,
        kind=given.type,
        status=given.status or "completed",
        role=given.role or "",
        name=given.name or "",
        call_id=given.call_id or "",
        arguments=given.arguments or "",
        output=given.output or "",
    )
    if given.type == "message":
        item.parts = [
            _part_from_input(part, given.role or "", f"{path}.content[{index}]")
            for index, part in enumerate(given.content or ())
        ]
    return item


def _part_from_input(given: PartInput, role: str, path: str) -> Part:
    if given.type not in _PARTS_OF_ROLE[role]:
        raise Fault(
            "invalid_value", f"A {role} message can't hold a part of type '{given.type}'.", param=f"{path}.type"
        )
    needed = _NEEDED_OF_PART[given.type]
    if getattr(given, needed) is None:
        raise Fault(
            "missing_required_parameter", f"Missing required parameter: '{path}.{needed}'.", param=f"{path}.{needed}"
        )
    return Part(
        kind=given.type,
        text=given.text or "",
        transcript=given.transcript,
        audio=bytearray(given.audio or b""),
        image_url=given.image_url,
        detail=given.detail,
    )


class ItemStore:
    """The conversation's items in order, within bounds of number, of text and of audio."""

    def __init__(
        self,
        *,
        max_items: int = MAX_ITEMS,
        max_audio_bytes: int = MAX_ITEM_AUDIO_BYTES,
        max_text_chars: int = MAX_ITEM_TEXT_CHARS,
    ) -> None:
        self._max_items = max_items
        self._max_text_chars = max_text_chars
        self._max_audio_bytes = max_audio_bytes
        self._items: dict[str, Item] = {}
        self._order: list[str] = []

    def __len__(self) -> int:
        return len(self._order)

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._items

    def __iter__(self) -> Iterator[Item]:
        return (self._items[item_id] for item_id in self._order)

    def require_room(self) -> None:
        """Raises :class:`Fault` when one more item would be too many."""
        if len(self._order) >= self._max_items:
            raise Fault("conversation_full", f"The conversation already holds {self._max_items} items.")

    def require_text_room(self, item: Item) -> None:
        """Raises :class:`Fault` when a client's item brings more text than the conversation may hold.

        The model's own items are not judged by it: they are short, and a response that began must not fail.
        """
        if item.text_chars + sum(other.text_chars for other in self) > self._max_text_chars:
            raise Fault("conversation_full", f"The conversation can't hold over {self._max_text_chars} characters.")

    def get(self, item_id: str) -> Item | None:
        return self._items.get(item_id)

    def holds_call(self, call_id: str) -> bool:
        """Whether a function call of this id is here, for its output to answer."""
        return any(item.kind == "function_call" and item.call_id == call_id for item in self)

    def previous_of(self, item_id: str) -> str | None:
        """The id before ``item_id``, which must be here."""
        index = self._order.index(item_id)
        return self._order[index - 1] if index else None

    def add(self, item: Item, *, after: str | None = None) -> str | None:
        """Put an item in, at the end or behind ``after`` (:data:`ROOT` is the beginning); its predecessor's id.

        Raises :class:`Fault` for an id that is taken, a predecessor that is not here, or a full conversation.
        """
        if item.id in self._items:
            raise Fault("item_create_duplicate_id", f"An item with id '{item.id}' already exists.", param="item.id")
        if after is not None and after != ROOT and after not in self._items:
            raise Fault(
                "item_create_invalid_previous_item_id",
                f"The item with id '{after}' does not exist.",
                param="previous_item_id",
            )
        self.require_room()
        index = len(self._order) if after is None else 0 if after == ROOT else self._order.index(after) + 1
        self._order.insert(index, item.id)
        self._items[item.id] = item
        self.keep_audio_bound()
        return self.previous_of(item.id)

    def remove(self, item_id: str) -> None:
        """Take an item out; it must be here."""
        del self._items[item_id]
        self._order.remove(item_id)

    def keep_audio_bound(self) -> None:
        """Let the oldest items forget their audio until the rest fits."""
        held = sum(item.audio_bytes for item in self)
        for item in self:
            if held <= self._max_audio_bytes:
                return
            held -= item.audio_bytes
            item.forget_audio()
