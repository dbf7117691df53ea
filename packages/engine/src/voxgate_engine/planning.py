"""From a session and a ``response.create`` to the plan of one response. Pure."""

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from voxgate_engine.faults import Fault
from voxgate_engine.generation import Plan
from voxgate_engine.input_buffer import codec_of
from voxgate_engine.items import Item, ItemStore, item_from_input
from voxgate_engine.protocol import ResponseParams
from voxgate_engine.session import SessionConfig, Voice
from voxgate_engine.settings import EngineSettings
from voxgate_engine.tools import forced_tool, sample_arguments
from voxgate_engine.usage import Tokens, text_tokens, tokens_of
from voxgate_engine.voices import Script

__all__ = ["Planner", "refuse_voice_change"]


def refuse_voice_change() -> Fault:
    """The refusal of another voice once audio was heard."""
    return Fault("cannot_update_voice", "Cannot update a conversation's voice if assistant audio is present.")


@dataclass(slots=True)
class Planner:
    """Plans responses for one session, and remembers what its last response had in its context."""

    settings: EngineSettings
    conversation_id: str
    new_id: Callable[[str], str]
    replies: Script
    seen: Tokens = Tokens()

    def plan(
        self, session: SessionConfig, items: ItemStore, params: ResponseParams, *, voice_locked: bool
    ) -> Plan:  # fmt: skip
        """Raises :class:`Fault` for parameters that name what is not there or can't be."""
        out_of_band = self._is_out_of_band(params.conversation)
        if not out_of_band:
            items.require_room()
        given = self._context(session, items, params)
        output = session.audio.output
        wanted = params.audio.output if params.audio is not None and params.audio.output is not None else None
        audio_format = wanted.format if wanted is not None and wanted.format is not None else output.format
        voice: Voice = wanted.voice if wanted is not None and wanted.voice is not None else output.voice
        if voice_locked and voice != output.voice:
            raise refuse_voice_change()
        tools = session.tools if params.tools is None else params.tools
        choice = session.tool_choice if params.tool_choice is None else params.tool_choice
        tool = forced_tool(tools, choice)
        modality = (params.output_modalities or session.output_modalities)[0]
        shown = msgspec.to_builtins(audio_format)
        return Plan(
            response_id=self.new_id("resp"),
            item_id=self.new_id("item"),
            conversation_id=None if out_of_band else self.conversation_id,
            modality=modality,
            codec=codec_of(shown["type"]),
            audio_shown={"format": shown, "voice": voice if isinstance(voice, str) else voice.id},
            max_output_tokens=params.max_output_tokens or session.max_output_tokens,
            pace=self.settings.pace,
            delay=self.settings.first_audio_ms / 1000,
            text=self.replies.take() if tool is None else "",
            speed=output.speed,
            tool_name=None if tool is None else tool.name,
            call_id="" if tool is None else self.new_id("call"),
            arguments="" if tool is None else sample_arguments(tool),
            metadata=params.metadata,
            given=given,
            cached=self.seen.at_most(given),
        )

    def _is_out_of_band(self, conversation: str | None) -> bool:
        if conversation == "none":
            return True
        if conversation not in (None, "auto", self.conversation_id):
            raise Fault(
                "invalid_value",
                "The conversation must be 'auto' or 'none'.",
                param="response.conversation",
            )
        return False

    def _context(self, session: SessionConfig, items: ItemStore, params: ResponseParams) -> Tokens:
        instructions = session.instructions if params.instructions is None else params.instructions
        tools = session.tools if params.tools is None else params.tools
        fixed = text_tokens(instructions) + text_tokens(msgspec.json.encode(tools).decode() if tools else "")
        given = items if params.input is None else self._given_items(items, params)
        return Tokens(text=fixed) + tokens_of(given)

    def _given_items(self, items: ItemStore, params: ResponseParams) -> list[Item]:
        found: list[Item] = []
        for index, entry in enumerate(params.input or ()):
            path = f"response.input[{index}]"
            item = item_from_input(entry, entry.id or "", path=path)
            if item.kind == "item_reference":
                referred = items.get(item.id)
                if referred is None:
                    raise Fault("invalid_value", f"The item with id '{item.id}' does not exist.", param=f"{path}.id")
                item = referred
            found.append(item)
        return found
