import pytest

from tests.gates.saboteurs.spoiling import checks_of, spoiled
from voxgate_gates.saboteurs import Saboteur
from voxgate_gates.saboteurs.build import SABOTEURS


def test_every_fan_out_check_has_its_saboteur() -> None:
    wanted = {check for check in checks_of("build") if check.startswith("build.fanout-")}
    assert {saboteur.check for saboteur in SABOTEURS} == wanted


@pytest.mark.parametrize("saboteur", SABOTEURS, ids=lambda saboteur: saboteur.id)
async def test_each_is_caught_by_its_check(saboteur: Saboteur) -> None:
    assert (await spoiled(saboteur)).is_caught


async def test_a_lost_event_disturbs_the_one_check_that_waits_for_it_too() -> None:
    void = next(saboteur for saboteur in SABOTEURS if saboteur.check == "build.fanout-delivered")
    caught = await spoiled(void, "build.fanout-idempotent", "build.fanout-accepted")
    assert caught.unrelated == ()
    assert void.related == {"build.fanout-idempotent"}
