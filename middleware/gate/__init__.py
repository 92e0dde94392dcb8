"""The upgrade gate: asks two versions the same items in turn, decides, and reports. Not the rule itself (scorer)."""

from middleware.gate.contamination import KnownByHeart, ask_variants
from middleware.gate.report import GateReport, make_report
from middleware.gate.reports import report_formats, write_reports
from middleware.gate.request import GateRequest, Subject, gate_to_carry_out
from middleware.gate.session import GateUnmeasured, Watch, run_gate

__all__ = [
    "GateReport",
    "GateRequest",
    "GateUnmeasured",
    "KnownByHeart",
    "Subject",
    "Watch",
    "ask_variants",
    "gate_to_carry_out",
    "make_report",
    "report_formats",
    "run_gate",
    "write_reports",
]
