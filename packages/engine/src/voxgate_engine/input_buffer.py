"""The input audio buffer: bytes in the session's format, addressed by sample since the session began."""

from dataclasses import dataclass

from voxgate_engine.faults import Fault
from voxgate_engine.limits import IDLE_AUDIO_MS, MAX_BUFFER_BYTES, MIN_COMMIT_MS
from voxgate_engine.session import ServerVad, TurnDetection, silence_ms
from voxgate_engine.vad import EnergyVad, SpeechStarted, SpeechStopped
from voxgate_engine.voices import G711_RATE, PCM_RATE, alaw_from_pcm, pcm_from_alaw, pcm_from_ulaw, ulaw_from_pcm

__all__ = ["Codec", "InputBuffer", "codec_of", "vad_for"]


@dataclass(frozen=True, slots=True)
class Codec:
    """An audio format: samples a second, bytes a sample, and its name on the wire."""

    name: str
    rate: int
    width: int

    def decode(self, data: bytes) -> bytes:
        """PCM16 at the codec's own rate; ``data`` holds whole samples."""
        if self.name == "audio/pcmu":
            return pcm_from_ulaw(data)
        return pcm_from_alaw(data) if self.name == "audio/pcma" else data

    def encode(self, pcm: bytes) -> bytes:
        """From PCM16 at the codec's own rate."""
        if self.name == "audio/pcmu":
            return ulaw_from_pcm(pcm)
        return alaw_from_pcm(pcm) if self.name == "audio/pcma" else pcm

    def milliseconds(self, data_length: int) -> int:
        """How long that many bytes play, rounded down."""
        return data_length * 1000 // (self.width * self.rate)


_CODECS = {
    "audio/pcm": Codec("audio/pcm", PCM_RATE, 2),
    "audio/pcmu": Codec("audio/pcmu", G711_RATE, 1),
    "audio/pcma": Codec("audio/pcma", G711_RATE, 1),
}


def codec_of(name: str) -> Codec:
    """The codec of a format's ``type``. Raises ``KeyError`` for one the protocol does not have."""
    return _CODECS[name]


class InputBuffer:
    """Audio that no item holds yet. Samples are counted over the whole session, as ``audio_start_ms`` is."""

    def __init__(self, codec: Codec) -> None:
        self.codec = codec
        self._data = bytearray()
        self._start = 0
        self._half = b""

    @property
    def start(self) -> int:
        """The first sample held."""
        return self._start

    @property
    def end(self) -> int:
        """Just past the last whole sample held."""
        return self._start + len(self._data) // self.codec.width

    @property
    def milliseconds(self) -> int:
        return self.codec.milliseconds(len(self._data))

    def ms_at(self, sample: int) -> int:
        """Milliseconds from the session's first audio to ``sample``."""
        return sample * 1000 // self.codec.rate

    def has_room_for(self, size: int) -> bool:
        return len(self._data) + size <= MAX_BUFFER_BYTES

    def require_commit(self) -> None:
        """Raises :class:`Fault` while the buffer is too short to become an item."""
        if self.milliseconds < MIN_COMMIT_MS:
            raise Fault(
                "input_audio_buffer_commit_empty",
                f"The input audio buffer is too small to commit: it holds {self.milliseconds}ms of audio, "
                f"and {MIN_COMMIT_MS}ms are needed.",
            )

    def append(self, data: bytes) -> bytes:
        """Take audio; the whole samples it completed. Half a sample waits for its other half."""
        data = self._half + data
        whole = len(data) - len(data) % self.codec.width
        self._half = data[whole:]
        fresh = data[:whole]
        self._data += fresh
        return fresh

    def drop_before(self, sample: int) -> None:
        """Forget what is older than ``sample``."""
        count = min(max(0, sample - self._start), self.end - self._start)
        del self._data[: count * self.codec.width]
        self._start += count

    def drop_idle(self) -> None:
        """Forget all but the last :data:`IDLE_AUDIO_MS`, while nobody speaks."""
        self.drop_before(self.end - IDLE_AUDIO_MS * self.codec.rate // 1000)

    def take_until(self, sample: int) -> bytes:
        """Hand over what is older than ``sample``."""
        taken = bytes(self._data[: max(0, sample - self._start) * self.codec.width])
        self.drop_before(sample)
        return taken

    def clear(self) -> bytes:
        """Hand over everything, half a sample excepted, and hold nothing."""
        self._half = b""
        return self.take_until(self.end)

    def recode(self, codec: Codec) -> None:
        """Go on in another format: held audio is forgotten, the session's clock keeps its milliseconds."""
        self.clear()
        self._start = self._start * codec.rate // self.codec.rate
        self.codec = codec

    def hear(self, vad: EnergyVad, fresh: bytes) -> list[SpeechStarted | SpeechStopped]:
        """Let ``vad`` listen to samples that :meth:`append` just completed."""
        return vad.receive(self.codec.decode(fresh))


def vad_for(detection: TurnDetection | None, buffer: InputBuffer) -> EnergyVad | None:
    """The detector a session asks for, listening from the buffer's end on; ``None`` is push-to-talk."""
    if detection is None:
        return None
    tuned = detection if isinstance(detection, ServerVad) else ServerVad()
    return EnergyVad(
        rate=buffer.codec.rate,
        threshold=tuned.threshold,
        prefix_padding_ms=tuned.prefix_padding_ms,
        silence_duration_ms=silence_ms(detection),
        position=buffer.end,
    )
