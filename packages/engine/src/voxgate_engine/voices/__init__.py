"""The base voices: scripted sentences, tones for words, and the codecs of the telephone formats."""

from voxgate_engine.voices.g711 import G711_RATE, alaw_from_pcm, pcm_from_alaw, pcm_from_ulaw, ulaw_from_pcm
from voxgate_engine.voices.script import DEFAULT_REPLIES, DEFAULT_TRANSCRIPTS, Script, split_words
from voxgate_engine.voices.tone import PCM_RATE, word_audio, word_ms

__all__ = [
    "DEFAULT_REPLIES",
    "DEFAULT_TRANSCRIPTS",
    "G711_RATE",
    "PCM_RATE",
    "Script",
    "alaw_from_pcm",
    "pcm_from_alaw",
    "pcm_from_ulaw",
    "split_words",
    "ulaw_from_pcm",
    "word_audio",
    "word_ms",
]
