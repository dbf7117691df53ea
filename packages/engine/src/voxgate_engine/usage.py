"""Token counts for ``response.done``: plausible, additive, and the same for the same words."""

from collections.abc import Iterable
from dataclasses import dataclass

from voxgate_engine.items import Item

__all__ = ["Tokens", "audio_tokens", "rate_limit_rows", "text_tokens", "tokens_of", "usage_of"]

CHARS_PER_TOKEN = 4
INPUT_AUDIO_TOKEN_MS = 100
"""Milliseconds of a user's audio in one token, as the API counts them."""

OUTPUT_AUDIO_TOKEN_MS = 50
"""Milliseconds of an assistant's audio in one token, as the API counts them."""

IMAGE_TOKENS = 85

RATE_LIMIT_REQUESTS = 10_000
RATE_LIMIT_TOKENS = 1_000_000
RATE_LIMIT_RESET_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens by modality."""

    text: int = 0
    audio: int = 0
    image: int = 0

    def __add__(self, other: "Tokens") -> "Tokens":
        return Tokens(self.text + other.text, self.audio + other.audio, self.image + other.image)

    @property
    def total(self) -> int:
        return self.text + self.audio + self.image

    def at_most(self, other: "Tokens") -> "Tokens":
        """The smaller of both, modality by modality."""
        return Tokens(min(self.text, other.text), min(self.audio, other.audio), min(self.image, other.image))


def text_tokens(text: str) -> int:
    """Tokens of a text, at least one unless it is empty."""
    return -(-len(text) // CHARS_PER_TOKEN)


def audio_tokens(milliseconds: int, token_ms: int) -> int:
    """Tokens of that much audio, a started one counted whole."""
    return -(-milliseconds // token_ms)


def tokens_of(items: Iterable[Item]) -> Tokens:
    """What items cost as context."""
    total = Tokens()
    for item in items:
        text = text_tokens(item.name + item.arguments + item.output)
        audio = image = 0
        token_ms = OUTPUT_AUDIO_TOKEN_MS if item.role == "assistant" else INPUT_AUDIO_TOKEN_MS
        for part in item.parts:
            # An assistant's words are context as text and as audio; a user's transcript is read by nobody.
            text += text_tokens(part.text or (part.transcript or "" if part.kind == "output_audio" else ""))
            audio += audio_tokens(part.audio_ms, token_ms)
            image += IMAGE_TOKENS if part.kind == "input_image" else 0
        total += Tokens(text, audio, image)
    return total


def usage_of(given: Tokens, cached: Tokens, produced: Tokens) -> dict[str, object]:
    """The ``usage`` object of one response."""
    return {
        "total_tokens": given.total + produced.total,
        "input_tokens": given.total,
        "output_tokens": produced.total,
        "input_token_details": {
            "text_tokens": given.text,
            "audio_tokens": given.audio,
            "image_tokens": given.image,
            "cached_tokens": cached.total,
            "cached_tokens_details": {
                "text_tokens": cached.text,
                "audio_tokens": cached.audio,
                "image_tokens": cached.image,
            },
        },
        "output_token_details": {"text_tokens": produced.text, "audio_tokens": produced.audio},
    }


def rate_limit_rows(requests: int, tokens: int) -> list[tuple[str, int, int, float]]:
    """Rows of ``rate_limits.updated`` after that many responses, the last of them with so many input tokens.

    The limits are for show: the engine refuses nobody by them.
    """
    return [
        ("requests", RATE_LIMIT_REQUESTS, max(0, RATE_LIMIT_REQUESTS - requests), RATE_LIMIT_RESET_SECONDS),
        ("tokens", RATE_LIMIT_TOKENS, max(0, RATE_LIMIT_TOKENS - tokens), RATE_LIMIT_RESET_SECONDS),
    ]
