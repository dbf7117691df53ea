from importlib.resources import files
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from xmlschema import XMLSchema, XMLSchemaException

from tests.gates.samples import made_report, made_result
from voxgate_gates import RunReport, Verdict, junit_xml

SCHEMA = XMLSchema(str(files("voxgate_gates").joinpath("formats", "junit.xsd")))


def parsed(report: RunReport) -> ElementTree.Element:
    """The document, once the schema has found no fault with it, nor its counts lie."""
    text = junit_xml(report)
    SCHEMA.validate(text)
    root = ElementTree.fromstring(text)
    for suite in root:
        assert int(suite.attrib["tests"]) == len(suite.findall("testcase"))
        for count, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert int(suite.attrib[count]) == len(suite.findall(f"testcase/{tag}"))
    return root


@pytest.mark.parametrize(
    ("there", "instead"),
    [
        (' time="', ' seconds="'),
        ('tests="1"', 'tests="one"'),
        ("<system-out>", "<output>"),
        ("<properties>", "<x/><properties>"),
        (' message="', ' text="'),
        ("<failure", "<skipped message=''/><failure"),
    ],
)
def test_the_schema_refuses_what_is_not_a_report(there: str, instead: str) -> None:
    text = junit_xml(made_report(made_result(Verdict.FAIL)))
    assert there in text
    with pytest.raises((XMLSchemaException, ElementTree.ParseError)):
        SCHEMA.validate(text.replace(there, instead, 1))


def test_every_verdict_has_its_element_and_its_count() -> None:
    results = [made_result(verdict, name=verdict.value) for verdict in Verdict]
    root = parsed(made_report(*results, made_result(gate="realtime")))
    assert [suite.attrib["name"] for suite in root] == ["security", "realtime"]
    assert [root.attrib[name] for name in ("tests", "failures", "errors", "skipped")] == ["5", "1", "1", "1"]
    failure = root.find("testsuite/testcase/failure")
    assert failure is not None
    assert failure.attrib["message"] == "[STATUS] == 401, got 200"
    assert "Repair the sample." in str(failure.text)


def test_a_suite_that_skipped_something_is_not_called_a_pass() -> None:
    results = (made_result(), made_result(Verdict.SKIP, name="other"), made_result(gate="realtime"))
    said = [each.attrib["value"] for each in parsed(made_report(*results)).iter("property")]
    assert said == ["partly judged: 1 skipped", "pass"]


def test_the_output_holds_all_a_reader_needs() -> None:
    said = parsed(made_report(made_result())).findtext("testsuite/testcase/system-out")
    assert said is not None
    for part in (
        "promise: ",
        "condition: [STATUS] == 401",
        "got: 401",
        "first audio: 480 ms",
        "trace id: 4bf9",
        "curl ",
    ):
        assert part in said


@given(st.text(st.characters()))
def test_whatever_a_target_sends_the_document_stays_valid(text: str) -> None:
    parsed(made_report(made_result(Verdict.FAIL, got=text, text=text), made_result(Verdict.SKIP, got=text)))
