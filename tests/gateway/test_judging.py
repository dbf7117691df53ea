from voxgate_core import ConfigurationError
from voxgate_gateway.judging import judged


def refuse() -> int:
    raise ConfigurationError(["one", "two"])


def test_faults_are_collected_and_what_is_sound_is_handed_on() -> None:
    faults = ["zero"]
    assert judged(faults, lambda: 7) == 7
    assert judged(faults, refuse) is None
    assert faults == ["zero", "one", "two"]
