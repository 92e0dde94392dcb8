"""The report as JUnit XML, for CI systems: one test case for each question that the gate answers.

The schema that most readers share: testsuites > testsuite > testcase with failure, error, skipped, system-out.
"""

from datetime import UTC, datetime
from xml.etree import ElementTree as ET

from middleware.gate.report import GateReport
from middleware.gate.words import contamination, explanation, flattery, headline, new_dialogues, next_step

__all__ = ["to_junit"]

_CLASS = "eqwatch.gate"


def to_junit(report: GateReport) -> str:
    """A case fails where the command does not end with 0; the verdict on new dialogues is for information."""
    seconds = f"{max(report.finished_at - report.started_at, 0.0):.3f}"
    suite = ET.Element(
        "testsuite", name=f"eqwatch gate {report.baseline.model} -> {report.candidate.model}", time=seconds
    )
    suite.set("timestamp", datetime.fromtimestamp(report.finished_at, UTC).strftime("%Y-%m-%dT%H:%M:%S"))
    properties = ET.SubElement(suite, "properties")
    for name, value in _properties(report).items():
        ET.SubElement(properties, "property", name=name, value=value)
    _decision(suite, report, seconds)
    _new_dialogues(suite, report)
    _flattery(suite, report)
    _contamination(suite, report)
    for kind in ("tests", "failures", "errors", "skipped"):
        tag = {"tests": "testcase", "failures": "failure", "errors": "error", "skipped": "skipped"}[kind]
        suite.set(kind, str(len(list(suite.iter(tag)))))
    root = ET.Element("testsuites", {name: suite.attrib[name] for name in ("tests", "failures", "errors", "time")})
    root.append(suite)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _decision(suite: ET.Element, report: GateReport, seconds: str) -> None:
    case = ET.SubElement(suite, "testcase", classname=_CLASS, name="not worse on these items", time=seconds)
    text = f"{explanation(report)}\n{next_step(report)}"
    if report.verdict == "unmeasured":
        ET.SubElement(case, "error", type="unmeasured", message=_clean(headline(report))).text = _clean(text)
    elif report.verdict != "pass":
        ET.SubElement(case, "failure", type=report.verdict, message=_clean(headline(report))).text = _clean(text)
    lines = [text, "", "items that lost most, in points:"]
    lines += [f"{each.change.item_id}: {each.change.change or 0.0:+.1f}" for each in report.worst]
    ET.SubElement(case, "system-out").text = _clean("\n".join(lines))


def _new_dialogues(suite: ET.Element, report: GateReport) -> None:
    case = ET.SubElement(suite, "testcase", classname=_CLASS, name="not worse on new dialogues", time="0")
    text = _clean(new_dialogues(report))
    if report.comparison.new_dialogues.verdict != "pass":
        ET.SubElement(case, "skipped", message=text)
    ET.SubElement(case, "system-out").text = text


def _flattery(suite: ET.Element, report: GateReport) -> None:
    """For information, like new dialogues: it does not decide."""
    if report.flattery is None:
        return
    case = ET.SubElement(suite, "testcase", classname=_CLASS, name="warmth is not flattery", time="0")
    text = _clean(flattery(report))
    if report.flattery.upper < 0:
        ET.SubElement(case, "skipped", message=text)
    ET.SubElement(case, "system-out").text = text


def _contamination(suite: ET.Element, report: GateReport) -> None:
    """For information too: whoever knows the items by heart may still have become worse or better."""
    for each in report.contamination:
        name = f"the {each.role} does not know the items by heart"
        case = ET.SubElement(suite, "testcase", classname=_CLASS, name=name, time="0")
        text = _clean(contamination(each.model, each.found))
        if each.found.verdict != "no_sign":
            ET.SubElement(case, "skipped", message=text)
        ET.SubElement(case, "system-out").text = text


def _properties(report: GateReport) -> dict[str, str]:
    these = report.comparison.these_items
    return {
        "gate_id": report.gate_id,
        "verdict": report.verdict,
        "baseline": _clean(report.baseline.model),
        "candidate": _clean(report.candidate.model),
        "item_set": _clean(report.protocol.item_set),
        "margin": f"{report.rules.margin:g}",
        "passes": str(report.comparison.passes),
        "difference_points": f"{these.points:.4f}",
        "difference_lower": f"{these.lower:.4f}",
        "difference_upper": f"{these.upper:.4f}",
    }


def _clean(text: str) -> str:
    """Without the control characters that XML 1.0 has no way to write."""
    return "".join(character for character in text if character in "\t\n\r" or character >= " ")
