import json

import jsonschema
import pytest

from tests.gates.samples import made_report, made_result
from voxgate_gates import Verdict, report_document
from voxgate_gates.report.document import report_json

TEXT = {"type": "string"}
VERDICT = {"enum": ["pass", "fail", "skip", "error"]}


def closed(**properties: object) -> dict[str, object]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


SCHEMA = closed(
    version=TEXT,
    target=TEXT,
    started={"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"},
    seconds={"type": "number", "minimum": 0},
    verdict=VERDICT,
    gates={
        "type": "array",
        "items": closed(
            gate=TEXT,
            verdict=VERDICT,
            checks={
                "type": "array",
                "minItems": 1,
                "items": closed(
                    id=TEXT,
                    promise=TEXT,
                    condition=TEXT,
                    got=TEXT,
                    verdict=VERDICT,
                    seconds={"type": "number", "minimum": 0},
                    traceId=TEXT,
                    reproduce=TEXT,
                    docs=TEXT,
                ),
            },
        ),
    },
)


@pytest.mark.parametrize("verdict", list(Verdict))
def test_the_document_has_the_public_shape_and_nothing_else(verdict: Verdict) -> None:
    report = made_report(made_result(), made_result(verdict, gate="realtime"))
    document = report_document(report)
    jsonschema.validate(document, SCHEMA)
    assert json.loads(report_json(report)) == document


def test_an_empty_run_has_the_shape_too() -> None:
    jsonschema.validate(report_document(made_report()), SCHEMA)


def test_figures_stand_with_what_came() -> None:
    document = json.loads(report_json(made_report(made_result())))
    check = document["gates"][0]["checks"][0]
    assert check["got"] == "401; first audio: 480 ms"
    assert document["started"] == "2023-11-14T22:13:20Z"
