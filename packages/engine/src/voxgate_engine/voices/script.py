"""What the engine says and hears when there is no model: sentences, taken in turn."""

from collections.abc import Sequence

__all__ = ["DEFAULT_REPLIES", "DEFAULT_TRANSCRIPTS", "Script", "split_words"]

DEFAULT_REPLIES = (
    "Hello, I can hear you. How may I help you today?",
    "Thank you, I have made a note of that.",
    "That is a good question. Let me put it in simple words.",
    "All done. Is there anything else on your mind?",
)

DEFAULT_TRANSCRIPTS = (
    "Hello, can you hear me?",
    "Please make a note for tomorrow.",
    "What does that mean?",
    "That is everything, thank you.",
)


class Script:
    """Sentences that repeat for ever, in order."""

    def __init__(self, sentences: Sequence[str]) -> None:
        self._sentences = tuple(sentences)
        self._next = 0

    def take(self) -> str:
        """The next sentence."""
        sentence = self._sentences[self._next % len(self._sentences)]
        self._next += 1
        return sentence


def split_words(text: str) -> tuple[str, ...]:
    """Words that join back to ``text`` when put together: each but the first carries its leading space."""
    words = text.split()
    return tuple(word if index == 0 else f" {word}" for index, word in enumerate(words))
