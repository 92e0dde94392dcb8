"""Puts a generated section between the markers of a hand-written page."""

from pathlib import Path

__all__ = ["BEGIN", "END", "put_section"]

BEGIN = "<!-- proxy bench: generated below this line -->"
END = "<!-- proxy bench: generated above this line -->"


def put_section(path: Path, section: str, *, begin: str = BEGIN, end: str = END) -> None:
    """Replace what stands between the markers; a page that doesn't exist becomes the section alone.

    Raises ValueError where a page exists without both markers, once each.
    """
    page = path.read_text(encoding="utf-8") if path.exists() else f"{begin}\n{end}\n"
    if page.count(begin) != 1 or page.count(end) != 1:
        raise ValueError(f"{path} lacks the two markers {begin} and {end}")
    before, _, rest = page.partition(begin)
    _, _, after = rest.partition(end)
    path.write_text(f"{before}{begin}\n\n{section}\n{end}{after}", encoding="utf-8")
