"""The names of item sets: the official files, which are fetched, and the packs, which are bundled. Facts only."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["BUNDLED", "OFFICIAL", "PINNED_COMMIT", "OfficialFile", "official_by_sha256"]

# github.com/EQ-bench/EQ-Bench, release 2.x (2024-03-24), MIT.
PINNED_COMMIT = "d28c60c514fe6667dc5818114ed10088f91f09f3"
_RAW = f"https://raw.githubusercontent.com/EQ-bench/EQ-Bench/{PINNED_COMMIT}/data/"

# All packs together go by this name.
BUNDLED = "bundled"
STARTER = "starter"


@dataclass(frozen=True, slots=True)
class OfficialFile:
    """One official item file as it is at the pinned commit. size is in bytes, items a count."""

    name: str
    file_name: str
    version: Literal["v1", "v2"]
    language: Literal["en", "de"]
    items: int
    size: int
    sha256: str

    @property
    def url(self) -> str:
        """Where the public repository serves the file."""
        return _RAW + self.file_name


OFFICIAL: dict[str, OfficialFile] = {
    file.name: file
    for file in (
        OfficialFile(
            name="eqbench-v1",
            file_name="eq_bench_v1_questions_60.json",
            version="v1",
            language="en",
            items=60,
            size=131_514,
            sha256="9c52ae21deab827bfc77ac7dacb3b1b7e506b83752441c85aec9903671eac9de",
        ),
        OfficialFile(
            name="eqbench-v2",
            file_name="eq_bench_v2_questions_171.json",
            version="v2",
            language="en",
            items=171,
            size=393_286,
            sha256="b4e9bf11df7e88bc12381efab18565f8b0ff0d4743fe8708c4482df91c4e617a",
        ),
        OfficialFile(
            name="eqbench-v2-de",
            file_name="eq_bench_v2_questions_171_de.json",
            version="v2",
            language="de",
            items=171,
            size=504_311,
            sha256="8ccce28058342fba13fbdf34e6c45936aaab54bc00099695a73d1df3da14cd46",
        ),
    )
}


def official_by_sha256(digest: str) -> OfficialFile | None:
    """The official file that has this hash, if any: content decides, not the file's name."""
    return next((file for file in OFFICIAL.values() if file.sha256 == digest), None)
