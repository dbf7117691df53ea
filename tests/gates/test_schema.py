import json
from pathlib import Path
from typing import Any

import pytest

import voxgate_gates
from voxgate_gates.schema import MAX_FAULTS, schema_faults

ROOT = Path(__file__).parents[2]
OURS = Path(voxgate_gates.__file__).with_name("schemas")
ORIGINALS = [ROOT / "packages/responder/src/voxgate_responder/schemas", ROOT / "php_shim/src/data/schemas"]
HEALTH: dict[str, Any] = {"status": "ok", "version": "1.0", "checks": {"store": {"status": "off"}}}
GOOD: dict[str, Any] = {"success": True, "traceId": "ab" * 16, "data": HEALTH, **HEALTH}
PROBLEM: dict[str, Any] = {
    "success": False, "traceId": "ab" * 16, "error": {"code": "not_found", "message": "m"},
    "type": "urn:voxgate:error:not_found", "title": "t", "status": 404, "detail": "m", "instance": "/",
}  # fmt: skip


@pytest.mark.parametrize("original", ORIGINALS, ids=["responder", "php_shim"])
def test_the_copies_are_equal_to_the_originals(original: Path) -> None:
    assert {path.name: path.read_bytes() for path in OURS.glob("*.json")} == {
        path.name: path.read_bytes() for path in original.glob("*.json")
    }


def test_what_fits_has_no_faults() -> None:
    assert schema_faults("health", 200, GOOD) == []
    assert schema_faults("health", 404, PROBLEM) == []


def test_a_success_is_no_problem_and_a_problem_no_success() -> None:
    assert schema_faults("health", 404, GOOD)
    assert schema_faults("health", 200, PROBLEM)
    assert schema_faults("health", 200, "text")


def test_a_fault_says_where_and_which_rule_and_nothing_of_the_value() -> None:
    body = {**GOOD, "data": {**HEALTH, "checks": {"store": {"status": "secret-word"}}}}
    assert schema_faults("health", 200, body) == ["$.data.checks.store.status breaks enum"]


def test_a_body_that_is_all_wrong_has_few_faults_told() -> None:
    campaigns: list[dict[str, object]] = [{} for _ in range(100)]
    body = {
        **GOOD,
        "data": {"period": "7d", "campaigns": campaigns, "totals": {}},
        "campaigns": campaigns,
        "totals": {},
    }
    assert len(schema_faults("marketing", 200, body)) == MAX_FAULTS


def test_every_schema_can_be_read() -> None:
    names = [path.stem.removeprefix("endpoint-") for path in OURS.glob("endpoint-*.json")]
    assert len(names) == 7
    for name in names:
        assert json.loads((OURS / f"endpoint-{name}.json").read_bytes())["$id"] == f"urn:voxgate:schema:endpoint-{name}"
        assert schema_faults(name, 404, PROBLEM) == []
