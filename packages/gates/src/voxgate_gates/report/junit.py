"""``junit.xml``, as CI servers read it. Pure.

The shape is that of the Jenkins xunit schema: testsuites, testsuite, its properties (here the verdict), testcase, then
skipped, error or failure and system-out, in this order. ``formats/junit.xsd`` holds what is used of it.
"""

import re
from xml.etree import ElementTree

from voxgate_gates.report.document import started_text
from voxgate_gates.result import GateReport, Result, RunReport, Verdict

__all__ = ["junit_xml"]

# XML 1.0, section 2.2, production 2: anything else can't be written, not even escaped.
_NOT_XML = re.compile(r"[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_xml(report: RunReport) -> str:
    """The whole document, one testsuite per gate."""
    root = ElementTree.Element("testsuites", {"name": "voxgate gates", **_counts(report, report.seconds)})
    for gate in report.gates:
        root.append(_suite(gate, started_text(report)))
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _suite(gate: GateReport, started: str) -> ElementTree.Element:
    seconds = sum(result.seconds for result in gate.results)
    attributes = {"name": gate.gate, **_counts(gate, seconds), "timestamp": started.removesuffix("Z")}
    suite = ElementTree.Element("testsuite", attributes)
    properties = ElementTree.SubElement(suite, "properties")
    ElementTree.SubElement(properties, "property", {"name": "verdict", "value": gate.partly or gate.verdict.value})
    for result in gate.results:
        suite.append(_case(result))
    return suite


def _case(result: Result) -> ElementTree.Element:
    attributes = {"classname": f"voxgate.gates.{result.gate}", "name": result.id, "time": f"{result.seconds:.3f}"}
    case = ElementTree.Element("testcase", attributes)
    if result.verdict is Verdict.SKIP:
        ElementTree.SubElement(case, "skipped", {"message": _clean(result.got)})
    elif result.verdict is not Verdict.PASS:
        tag = "error" if result.verdict is Verdict.ERROR else "failure"
        found = ElementTree.SubElement(case, tag, {"type": result.severity.value, "message": _clean(result.echo)})
        found.text = _clean(f"{result.promise}\n{result.advice}\nsee {result.docs}")
    said = (
        f"promise: {result.promise}",
        f"condition: {result.condition}",
        f"got: {result.got}",
        *(f"{name}: {text}" for name, text in result.figures),
        f"trace id: {result.trace_id}",
        f"request: {result.request}",
        f"reproduce: {result.reproduce}",
    )
    ElementTree.SubElement(case, "system-out").text = _clean("\n".join(said))
    return case


def _counts(report: GateReport | RunReport, seconds: float) -> dict[str, str]:
    return {
        "tests": str(len(report.results)),
        "failures": str(report.count(Verdict.FAIL)),
        "errors": str(report.count(Verdict.ERROR)),
        "skipped": str(report.count(Verdict.SKIP)),
        "time": f"{seconds:.3f}",
    }


def _clean(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)
