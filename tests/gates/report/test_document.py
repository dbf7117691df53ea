import json
from dataclasses import replace
from importlib.resources import files

import jsonschema
import pytest

from tests.gates.samples import made_report, made_result
from voxgate_gates import Verdict, report_document
from voxgate_gates.report.document import report_json

SCHEMA = json.loads(files("voxgate_gates").joinpath("formats", "report.schema.json").read_bytes())


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


def test_a_waiver_stands_with_its_check_and_nowhere_else() -> None:
    waived = replace(made_result(Verdict.SKIP), waiver="waived by Ada until 2027-01-31: it is being repaired")
    document = report_document(made_report(made_result(name="other"), waived))
    jsonschema.validate(document, SCHEMA)
    other, check = json.loads(json.dumps(document))["gates"][0]["checks"]
    assert check["waiver"] == waived.waiver
    assert "waiver" not in other


def test_the_schema_is_one_and_refuses_what_is_not_a_report() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**report_document(made_report(made_result())), "verdict": "fine"}, SCHEMA)
