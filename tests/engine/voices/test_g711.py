from array import array

import pytest

from voxgate_engine.voices.g711 import alaw_from_pcm, pcm_from_alaw, pcm_from_ulaw, ulaw_from_pcm


def pcm(*samples: int) -> bytes:
    return array("h", samples).tobytes()


def test_mu_law_matches_the_published_values() -> None:
    assert pcm_from_ulaw(bytes([0x00, 0x80, 0xFF, 0x7F])) == pcm(-32_124, 32_124, 0, 0)
    assert ulaw_from_pcm(pcm(0, 32_767, -32_768)) == bytes([0xFF, 0x80, 0x00])


def test_a_law_matches_the_published_values() -> None:
    assert pcm_from_alaw(bytes([0xD5, 0x55, 0xAA, 0x2A])) == pcm(8, -8, 32_256, -32_256)
    assert alaw_from_pcm(pcm(0, -1, 32_767, -32_768)) == bytes([0xD5, 0x55, 0xAA, 0x2A])


def test_every_a_law_code_survives_a_round_trip() -> None:
    codes = bytes(range(256))
    assert alaw_from_pcm(pcm_from_alaw(codes)) == codes


def test_every_mu_law_code_but_negative_zero_survives_a_round_trip() -> None:
    codes = bytes(code for code in range(256) if code != 0x7F)
    assert ulaw_from_pcm(pcm_from_ulaw(codes)) == codes


@pytest.mark.parametrize(
    ("encode", "decode"), [(ulaw_from_pcm, pcm_from_ulaw), (alaw_from_pcm, pcm_from_alaw)], ids=["mu-law", "A-law"]
)
def test_companding_errs_by_a_small_part_of_the_sample(encode: object, decode: object) -> None:
    assert callable(encode)
    assert callable(decode)
    samples = list(range(-32_000, 32_001, 97))
    heard = array("h")
    heard.frombytes(decode(encode(pcm(*samples))))
    for sample, after in zip(samples, heard, strict=True):
        assert abs(sample - after) <= max(16, abs(sample) // 16)


def test_half_a_sample_is_refused() -> None:
    with pytest.raises(ValueError, match="multiple of item size"):
        ulaw_from_pcm(b"\x00")
