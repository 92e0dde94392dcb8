"""The value of ``x-eqwatch-emotions``: a dictionary of structured fields (RFC 9651). Pure.

``boredom=8.0;confidence=0.85;trend=1.5, curiosity=2.0, turn=5, judge="small"``; when it sends it, the relay adds
``, age=3``: seconds since that turn ended.
"""

import re
from collections.abc import Mapping

from middleware.awareness.estimates import Estimate

__all__ = ["header_value"]

_PRINTABLE = re.compile(r"[\x20-\x7e]{1,100}")


def header_value(found: Mapping[str, Estimate]) -> str:
    """Of the emotions of the newest estimated turn; empty where there is none."""
    if not found:
        return ""
    newest = max((one.result for one in found.values()), key=lambda result: (result.turn, result.at))
    members = [_member(name, one) for name, one in found.items() if one.result is newest]
    members.append(f"turn={newest.turn}")
    if _PRINTABLE.fullmatch(newest.judge):
        judge = newest.judge.replace("\\", "\\\\").replace('"', '\\"')
        members.append(f'judge="{judge}"')
    if newest.steered:
        members.append("steered")
    return ", ".join(members)


def _member(name: str, estimate: Estimate) -> str:
    """Keys are lower case; decimals have at most three digits after the point."""
    text = f"{name.lower()}={estimate.intensity:.1f}"
    if estimate.confidence is not None:
        text += f";confidence={estimate.confidence:.2f}"
    if estimate.trend is not None:
        text += f";trend={estimate.trend.slope:.1f}"
    return text
