import pytest

from tests.gates.saboteurs.spoiling import checks_of, spoiled
from voxgate_gates.saboteurs import Saboteur
from voxgate_gates.saboteurs.security import SABOTEURS


def test_every_check_of_the_gate_has_its_saboteur() -> None:
    assert {saboteur.check for saboteur in SABOTEURS} == checks_of("security")


@pytest.mark.parametrize("saboteur", SABOTEURS, ids=lambda saboteur: saboteur.id)
async def test_each_is_caught_by_its_check(saboteur: Saboteur) -> None:
    assert (await spoiled(saboteur)).is_caught


async def test_a_key_that_is_echoed_does_not_disturb_the_headers_check() -> None:
    echo = next(saboteur for saboteur in SABOTEURS if saboteur.check == "security.secrets-never-echoed")
    assert (await spoiled(echo, "security.security-headers", "security.missing-route-404")).unrelated == ()
