import shutil
from collections import Counter

import pytest

from tests.gates.saboteurs.spoiling import checks_of
from voxgate_gates import ALL_CHECKS, Verdict, run_checks
from voxgate_gates.php import SHIM, running_shim
from voxgate_gates.saboteurs import Part
from voxgate_gates.saboteurs.data import SABOTEURS
from voxgate_gates.saboteurs.proxy import lying_proxy
from voxgate_gates.saboteurs.selftest import judge
from voxgate_gates.target import Target


def test_every_check_of_the_gate_has_its_saboteur() -> None:
    assert {saboteur.check for saboteur in SABOTEURS} == checks_of("data")


def test_an_endpoint_is_lied_about_in_another_way_in_each_place() -> None:
    of_endpoints = [
        s for s in SABOTEURS if s.part in (Part.PHP, Part.GATEWAY, Part.REMOTE) and s.check != "data.parity"
    ]
    ways = Counter((saboteur.check.split("-", 1)[1], saboteur.name) for saboteur in of_endpoints)
    assert set(ways.values()) == {1}


@pytest.mark.skipif(shutil.which("php") is None, reason="php is not installed: apt-get install php-cli")
async def test_each_lie_about_the_shim_is_caught_by_its_check() -> None:
    lies = [saboteur for saboteur in SABOTEURS if saboteur.part is Part.PHP and saboteur.lie is not None]
    checks = {check.id: check for check in ALL_CHECKS}
    caught = []
    async with running_shim(SHIM) as url:
        honest = Target("http://127.0.0.1:9", php=url)
        for saboteur in lies:
            assert saboteur.lie is not None
            async with lying_proxy(url, saboteur.lie, honest) as lying:
                seen = Target("http://127.0.0.1:9", php=lying)
                caught.append(judge(saboteur, await run_checks(seen, [checks[saboteur.check]], version="test")))
    assert len(caught) == 7
    assert [found.saboteur.id for found in caught if found.by_its_check is not Verdict.FAIL] == []
