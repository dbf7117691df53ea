import dataclasses

import pytest

from voxgate_gates import ALL_CHECKS, Need
from voxgate_gates.saboteurs import ALL_SABOTEURS, Lie, Part, Saboteur, parts_of
from voxgate_gates.saboteurs.messages import Answer, Headers, Request
from voxgate_gates.saboteurs.saboteur import World

AT_LEAST = 60


def test_every_check_has_a_saboteur() -> None:
    without = {check.id for check in ALL_CHECKS} - {saboteur.check for saboteur in ALL_SABOTEURS}
    assert sorted(without) == [], "a new check needs a saboteur: packages/gates/src/voxgate_gates/saboteurs"


def test_there_are_at_least_sixty_and_no_two_are_the_same() -> None:
    ids = [saboteur.id for saboteur in ALL_SABOTEURS]
    assert len(ids) >= AT_LEAST
    assert len(set(ids)) == len(ids)


def test_each_names_checks_that_exist_and_tells_its_story_in_a_sentence() -> None:
    known = {check.id for check in ALL_CHECKS}
    for saboteur in ALL_SABOTEURS:
        assert {saboteur.check, *saboteur.related} <= known, saboteur.id
        assert saboteur.check not in saboteur.related, saboteur.id
        assert saboteur.story.endswith("."), saboteur.id
        assert len(saboteur.related) <= 3, f"{saboteur.id} spoils too much to prove anything about one check"


def test_each_lies_about_a_part_that_its_check_looks_at() -> None:
    checks = {check.id: check for check in ALL_CHECKS}
    assert [s.id for s in ALL_SABOTEURS if s.part not in parts_of(checks[s.check])] == []


def test_a_saboteur_without_means_is_refused() -> None:
    with pytest.raises(ValueError, match="no means"):
        Saboteur(check="security.sample", name="idle", story="Nothing happens.")


def test_a_lie_over_http_is_no_means_against_a_command() -> None:
    with pytest.raises(ValueError, match="no means"):
        Saboteur(check="data.sample", name="wrong-means", story="Nothing happens.", part=Part.COMMAND, lie=Lie())


def test_a_check_that_needs_a_command_alone_looks_at_nothing_else() -> None:
    sample = ALL_CHECKS[0]
    assert parts_of(dataclasses.replace(sample, needs=frozenset({Need.COMMAND}))) == {Part.COMMAND}
    assert parts_of(dataclasses.replace(sample, needs=frozenset({Need.PHP, Need.KEY}))) == {Part.PHP, Part.GATEWAY}
    assert parts_of(dataclasses.replace(sample, needs=frozenset())) == {Part.GATEWAY}


async def test_a_fresh_token_is_asked_for_as_the_first_was_but_for_its_life() -> None:
    asked: list[Request] = []

    async def send(request: Request) -> Answer:
        asked.append(request)
        return Answer(200, Headers([]), b'{"data": {"token": "second"}}')

    world = World("vk_1", "vk_2", "https://a.test", "https://b.test", send)
    first = Request("POST", "/token", Headers([("Authorization", "Bearer vk_1")]), b'{"sub": "ada", "ttl": 1}')
    world.minted["first"] = (first, 0.0)
    assert await world.fresh("first") == "second"
    assert await world.fresh("a stranger's") == "a stranger's"
    assert [request.body for request in asked] == [b'{"sub": "ada"}']
    assert "vk_1" not in repr(world)
