import pytest

from tests.gates.saboteurs.spoiling import checks_of, spoiled
from voxgate_gates.saboteurs import Saboteur
from voxgate_gates.saboteurs.build import SABOTEURS

OVER_HTTP = [saboteur for saboteur in SABOTEURS if saboteur.lie is not None]
"""The others start gateways of their own: the tests of their checks let them lie."""


def test_every_check_of_the_gate_has_its_saboteur() -> None:
    assert {saboteur.check for saboteur in SABOTEURS} == checks_of("build")


@pytest.mark.parametrize("saboteur", OVER_HTTP, ids=lambda saboteur: saboteur.id)
async def test_each_is_caught_by_its_check(saboteur: Saboteur) -> None:
    assert (await spoiled(saboteur)).is_caught


async def test_a_lost_event_disturbs_the_one_check_that_waits_for_it_too() -> None:
    void = next(saboteur for saboteur in SABOTEURS if saboteur.check == "build.fanout-delivered")
    caught = await spoiled(void, "build.fanout-idempotent", "build.fanout-accepted")
    assert caught.unrelated == ()
    assert void.related == {"build.fanout-idempotent"}
