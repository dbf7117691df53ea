"""Every bound of the engine, in one place."""

__all__ = [
    "IDLE_AUDIO_MS",
    "MAX_BUFFER_BYTES",
    "MAX_EVENTS_PER_STEP",
    "MAX_FRAME_BYTES",
    "MAX_ITEMS",
    "MAX_ITEM_AUDIO_BYTES",
    "MAX_ITEM_TEXT_CHARS",
    "MAX_METADATA_PAIRS",
    "MAX_OUTPUT_TOKENS",
    "MAX_OUT_OF_BAND",
    "MAX_REPLIES",
    "MAX_SESSIONS",
    "MAX_TEXT_CHARS",
    "MAX_TOOLS",
    "MIN_COMMIT_MS",
    "SESSION_SECONDS",
]

MAX_FRAME_BYTES = 16 * 1024 * 1024
"""One WebSocket message: an append of 15 MiB of base64 and its JSON, the protocol's own limit, fits."""

MAX_BUFFER_BYTES = 32 * 1024 * 1024
"""Uncommitted input audio of one session, about eleven minutes of PCM16."""

IDLE_AUDIO_MS = 10_000
"""Silence kept before a turn begins; a microphone left open must not fill the buffer."""

MIN_COMMIT_MS = 100
"""The shortest input buffer that can be committed, as the API has it."""

MAX_ITEMS = 1_024
"""Items one conversation holds; creating one more is refused until the client deletes some."""

MAX_ITEM_AUDIO_BYTES = 32 * 1024 * 1024
"""Audio kept for ``conversation.item.retrieve``; past it the oldest item forgets its audio, never its text."""

MAX_ITEM_TEXT_CHARS = 24 * 1024 * 1024
"""Characters all items of one conversation hold together; one largest message, and half as much again."""

MAX_OUT_OF_BAND = 8
"""Responses with ``conversation: "none"`` that run at once."""

MAX_EVENTS_PER_STEP = 64
"""Response events handed out in one go, so that a client's cancel is read between two bursts."""

MAX_OUTPUT_TOKENS = 4_096
"""The largest ``max_output_tokens`` a client may set, as the API has it."""

MAX_TEXT_CHARS = 8_192
"""One scripted sentence."""

MAX_REPLIES = 1_024
"""Scripted sentences of one list."""

MAX_TOOLS = 128
"""Tools of one session or response."""

MAX_METADATA_PAIRS = 16
"""Pairs of a response's ``metadata``, as the API has it."""

MAX_SESSIONS = 256
"""Sessions one engine serves at once, unless its settings say otherwise."""

SESSION_SECONDS = 3_600.0
"""A session's life, after which the API closes with 1001."""
