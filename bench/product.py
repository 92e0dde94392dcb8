"""The product as an installation has it, with its relay compiled, for benchmarks and tests of what users run."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

__all__ = ["build_wheel", "has_compiler", "install_compiled"]

_ROOT = Path(__file__).parents[1]


def has_compiler() -> bool:
    """Whether a C compiler is here; the interpreter's headers are needed as well."""
    return shutil.which(os.environ.get("CC", "cc")) is not None


def build_wheel(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Build the project's wheel into this folder, with more in the environment."""
    command = [sys.executable, "-P", "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    return subprocess.run(command, cwd=_ROOT, env=os.environ | environment, check=False, capture_output=True, text=True)


def install_compiled(folder: Path) -> Path:
    """Build the wheel into this folder and unpack it beside; the path that goes before all others in PYTHONPATH.

    Raises RuntimeError with what the build said.
    """
    built = build_wheel(folder, EQWATCH_COMPILE="1")
    if built.returncode:
        raise RuntimeError(f"the product can't be built:\n{built.stdout}{built.stderr}")
    [wheel] = folder.glob("eqwatch-*.whl")
    product = folder / "product"
    shutil.unpack_archive(wheel, product, "zip")
    return product
