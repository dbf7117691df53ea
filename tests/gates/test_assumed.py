from dataclasses import replace

import pytest

from tests.gates.samples import fake_gateway
from voxgate_gates import ALL_CHECKS, run_checks
from voxgate_gates.assumed import assumption_note

CHECKS = [check for check in ALL_CHECKS if check.id.startswith(("security.token-", "security.missing-"))]


async def noted(*lies: str, environment: str, held_to: str = "prod") -> str:
    """The note about a gateway of one environment that is held to another."""
    async with fake_gateway(*lies, environment=environment) as target:
        target = replace(target, environment=held_to)
        return await assumption_note(await run_checks(target, CHECKS, version="test"), target, CHECKS)


async def test_a_gateway_in_dev_that_is_held_to_prod_is_told_what_to_say() -> None:
    note = await noted(environment="dev")
    assert "fell short of prod" in note
    assert "--env dev" in note


@pytest.mark.parametrize(
    ("lies", "environment"),
    [((), "prod"), (("long-tokens",), "prod"), (("any-key",), "dev"), (("any-key",), "prod")],
    ids=["nothing fell", "too long for dev too", "more fell than that", "something else fell"],
)
async def test_elsewhere_nothing_is_said(lies: tuple[str, ...], environment: str) -> None:
    assert await noted(*lies, environment=environment) == ""
