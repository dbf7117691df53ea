"""Key rings whose entries name files."""

from pathlib import Path

import pytest

from tests.security.rig import ED_PEM, SECRET
from voxgate_core import ConfigurationError
from voxgate_security import load_keyring


def test_a_pem_file_is_a_key(tmp_path: Path) -> None:
    path = tmp_path / "ed.pem"
    path.write_text(ED_PEM)
    assert load_keyring(f"e:file:{path}").active.algorithm == "EdDSA"


@pytest.mark.parametrize(
    ("content", "word"), [(SECRET.encode(), "PEM"), (b"\xff\xfe", "UnicodeDecodeError"), (None, "FileNotFound")]
)
def test_a_file_that_holds_no_key_is_a_fault(tmp_path: Path, content: bytes | None, word: str) -> None:
    path = tmp_path / "key"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=word):
        load_keyring(f"e:file:{path}")
