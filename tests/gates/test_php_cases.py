import json
from pathlib import Path

from voxgate_gates.php_cases import ENDPOINTS, PARITY

TABLE = Path(__file__).parents[2] / "php_shim" / "src" / "data" / "table.json"


def test_the_endpoints_are_those_of_the_table_that_php_and_python_read() -> None:
    rows = json.loads(TABLE.read_bytes())["endpoints"]
    assert {name: row["path"] for name, row in rows.items()} == {
        endpoint.name: endpoint.good.path.partition("?")[0] for endpoint in ENDPOINTS
    }
    for endpoint in ENDPOINTS:
        assert endpoint.good.method in rows[endpoint.name]["methods"]


def test_each_is_asked_for_a_success_and_for_a_refusal() -> None:
    for endpoint in ENDPOINTS:
        assert endpoint.good.status == 200
        assert endpoint.bad.status in (405, 415, 422)
        assert endpoint.bad.path.partition("?")[0] == endpoint.good.path.partition("?")[0]


def test_what_may_last_is_what_takes_a_turn() -> None:
    assert {endpoint.name for endpoint in ENDPOINTS if endpoint.lasts} == {"donna_logic", "voice-chat"}


def test_parity_asks_nothing_whose_answer_is_left_to_chance() -> None:
    for ask in PARITY:
        if ask.status == 200 and isinstance(ask.body, dict) and "text" in ask.body:
            assert {"conversationId", "sessionId"} & ask.body.keys()
    assert len(PARITY) >= 30
    assert {str(ask).partition("?")[0].partition(" ")[2] for ask in PARITY} == {
        endpoint.good.path.partition("?")[0] for endpoint in ENDPOINTS
    }
