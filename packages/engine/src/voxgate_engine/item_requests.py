"""What clients ask of items: create, retrieve, delete, truncate. Pure; each answers with its server events."""

from collections.abc import Callable

from voxgate_engine import events
from voxgate_engine.events import Event
from voxgate_engine.faults import Fault
from voxgate_engine.input_buffer import Codec
from voxgate_engine.items import Item, ItemStore, item_from_input
from voxgate_engine.protocol import CreateItem, DeleteItem, RetrieveItem, TruncateItem

__all__ = ["create_item", "delete_item", "retrieve_item", "truncate_item"]


def create_item(request: CreateItem, items: ItemStore, codec: Codec, new_id: Callable[[str], str]) -> list[Event]:
    """Add an item; its audio, if any, is in ``codec``. Raises :class:`Fault`."""
    item = item_from_input(request.item, request.item.id or new_id("item"))
    if item.kind == "item_reference":
        raise Fault("invalid_value", "A reference can't be added to a conversation.", param="item.type")
    if item.kind == "function_call_output" and not items.holds_call(item.call_id):
        raise Fault(
            "invalid_tool_call_id", f"Tool call ID '{item.call_id[:64]}' not found in conversation.",
            param="item.call_id",
        )  # fmt: skip
    if item.kind == "function_call" and not item.call_id:
        item.call_id = new_id("call")
    for part in item.parts:
        part.audio_ms = codec.milliseconds(len(part.audio))
    items.require_text_room(item)
    previous = items.add(item, after=request.previous_item_id)
    return [events.item_added(item, previous), events.item_done(item, previous)]


def retrieve_item(request: RetrieveItem, items: ItemStore) -> list[Event]:
    """Show an item, audio included. Raises :class:`Fault` when it is not there."""
    return [events.item_retrieved(_existing(items, request.item_id, "retrieve"))]


def delete_item(request: DeleteItem, items: ItemStore) -> list[Event]:
    """Remove an item. Raises :class:`Fault` when it is not there."""
    items.remove(_existing(items, request.item_id, "delete").id)
    return [events.item_deleted(request.item_id)]


def truncate_item(request: TruncateItem, items: ItemStore) -> list[Event]:
    """Cut an assistant's audio. Raises :class:`Fault` for any other item, or for a cut past its end."""
    item = _existing(items, request.item_id, "truncate")
    if item.role != "assistant":
        raise Fault("invalid_value", "Only an assistant's message can be truncated.", param="item_id")
    if not 0 <= request.content_index < len(item.parts) or item.parts[request.content_index].kind != "output_audio":
        raise Fault("invalid_value", "There is no audio at this content index.", param="content_index")
    part = item.parts[request.content_index]
    if request.audio_end_ms > part.audio_ms:
        raise Fault(
            "invalid_value",
            f"Audio content of {part.audio_ms}ms is already shorter than {request.audio_end_ms}ms.",
            param="audio_end_ms",
        )
    part.truncate(request.audio_end_ms)
    return [events.item_truncated(item.id, request.content_index, request.audio_end_ms)]


def _existing(items: ItemStore, item_id: str, verb: str) -> Item:
    item = items.get(item_id)
    if item is None:
        raise Fault(
            f"item_{verb}_invalid_item_id",
            f"Can't {verb} the item: the item with id '{item_id[:64]}' does not exist.",
            param="item_id",
        )
    return item
