import re
from pathlib import Path

from voxgate_gateway.settings import Settings
from voxgate_gateway.strangers import unknown

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("packages", "php_shim", "docs/examples")


def test_a_variable_that_looks_like_a_setting_and_is_none_is_named() -> None:
    given = {
        "VOXGATE_UPSTREEM": "openai",
        "VOXGATE_GATE_KEY": "k",
        "VOXGATE_KEY": "k",
        "VOXGATE_ENV": "dev",
        "PATH": "/",
    }
    assert unknown(given) == [
        "VOXGATE_UPSTREEM is no setting of voxgate's and changes nothing: is VOXGATE_UPSTREAM meant?"
    ]
    (slip,) = unknown({"VOXGATE_RETENTION_CONFG": "r.toml", "VOXGATE_RETENTION_CONFIG": "r.toml"})
    assert slip.endswith("is VOXGATE_RETENTION_CONFIG meant?")
    assert unknown({"VOXGATE_ZZZ": "1"}) == ["VOXGATE_ZZZ is no setting of voxgate's and changes nothing"]
    assert len(unknown({f"VOXGATE_ZZZ{number}": "" for number in range(500)})) == 10


def test_no_variable_that_anything_of_voxgates_reads_is_taken_for_a_slip() -> None:
    sources = [path for folder in SOURCES for path in (ROOT / folder).rglob("*.*") if path.suffix in (".py", ".php")]
    # Whole literals only: a name inside a sentence is somebody's advice.
    read = {name for path in sources for name in re.findall(r"""["'](VOXGATE_[A-Z_]+[A-Z])["']""", path.read_text())}
    assert len(read) > len(Settings.model_fields) / 2
    assert unknown(dict.fromkeys(read, "x")) == []
