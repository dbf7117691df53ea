import pytest

from tests.gates.saboteurs.spoiling import checks_of, spoiled
from voxgate_gates.saboteurs import Saboteur
from voxgate_gates.saboteurs.realtime import SABOTEURS


def test_every_check_of_the_gate_has_its_saboteur() -> None:
    assert {saboteur.check for saboteur in SABOTEURS} == checks_of("realtime")


@pytest.mark.parametrize("saboteur", SABOTEURS, ids=lambda saboteur: saboteur.id)
async def test_each_is_caught_by_its_check(saboteur: Saboteur) -> None:
    assert (await spoiled(saboteur)).is_caught


async def test_a_deaf_relay_is_not_taken_for_a_fault_of_push_to_talk() -> None:
    deaf = next(saboteur for saboteur in SABOTEURS if saboteur.check == "realtime.turn-by-vad")
    assert (await spoiled(deaf, "realtime.turn-by-push-to-talk")).unrelated == ()
