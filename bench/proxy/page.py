"""Puts a generated section between the markers of a hand-written page."""

from pathlib import Path

__all__ = ["BEGIN", "END", "put_section"]

BEGIN = "<!-- proxy bench: generated below this line -->"
END = "<!-- proxy bench: generated above this line -->"


def put_section(path: Path, section: str) -> None:
    """Replace what stands between the markers; a page that doesn't exist becomes the section alone.

    Raises ValueError where a page exists without both markers, once each.
    """
    page = path.read_text(encoding="utf-8") if path.exists() else f"{BEGIN}\n{END}\n"
    if page.count(BEGIN) != 1 or page.count(END) != 1:
        raise ValueError(f"{path} lacks the two markers of the proxy bench")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    path.write_text(f"{before}{BEGIN}\n\n{section}\n{END}{after}", encoding="utf-8")
