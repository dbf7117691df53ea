from pathlib import Path

import pytest

from tests.gates.saboteurs.spoiling import checks_of
from voxgate_gates.saboteurs.docs import SABOTEURS


def test_every_check_of_the_gate_has_its_saboteur() -> None:
    assert {saboteur.check for saboteur in SABOTEURS} == checks_of("docs")


def test_a_saboteur_with_nothing_to_edit_says_so(tmp_path: Path) -> None:
    (tmp_path / "CHANGELOG.md").write_text("nothing here")
    saboteur = next(saboteur for saboteur in SABOTEURS if saboteur.check == "docs.changelog-entry")
    assert saboteur.edit is not None
    with pytest.raises(AssertionError, match="does not hold"):
        saboteur.edit(tmp_path)
