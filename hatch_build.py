"""Compiles the relay with mypyc while a wheel is built, where a C compiler is at hand; without one it is interpreted.

The same modules run either way. EQWATCH_COMPILE=0 leaves them interpreted, EQWATCH_COMPILE=1 fails the build where they
can't be compiled. An editable installation is always interpreted: what is compiled does not follow its source.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# Everything that a request, an answer or a piece of either runs through, and nothing else.
MODULES = (
    "answers",
    "body",
    "client",
    "connection",
    "context",
    "counters",
    "framing",
    "heads",
    "memo",
    "pool",
    "tap",
    "template",
    "transit",
    "upstream",
)
_SETUP = """
from mypyc.build import mypycify
from setuptools import setup

options = ["--config-file=", "--ignore-missing-imports", "--follow-imports=silent"]
setup(name="relay", packages=[], ext_modules=mypycify([*options, *{files!r}], opt_level="3", debug_level="0"))
"""
_REQUIRED, _LEFT_OUT = "1", "0"
_SECONDS = 600


class CompileRelay(BuildHookInterface[Any]):
    """Adds the compiled modules to a wheel, beside their sources."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile out of the tree: a checkout is never left with compiled modules that shadow its sources."""
        wanted = os.environ.get("EQWATCH_COMPILE", "")
        if version == "editable" or wanted == _LEFT_OUT:
            return
        with tempfile.TemporaryDirectory(prefix="eqwatch-compile-") as scratch:
            found = self._compiled(Path(scratch))
            if isinstance(found, str):
                if wanted == _REQUIRED:
                    raise RuntimeError(f"EQWATCH_COMPILE=1, and the relay can't be compiled: {found}")
                self.app.display_warning(f"The relay will be interpreted, it can't be compiled here: {found}")
                return
            kept = Path(self.directory) / "compiled"
            shutil.rmtree(kept, ignore_errors=True)
            for path, relative in found.items():
                target = kept / relative
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, target)
                build_data["force_include"][str(target)] = relative
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002
        """Leave nothing but the wheel."""
        shutil.rmtree(Path(self.directory) / "compiled", ignore_errors=True)

    def _compiled(self, scratch: Path) -> dict[Path, str] | str:
        """The built files and their places in the wheel, or why there are none."""
        source = Path(self.root) / "middleware"
        shutil.copytree(source, scratch / "middleware", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
        files = [f"middleware/proxy/{name}.py" for name in MODULES]
        (scratch / "setup.py").write_text(_SETUP.format(files=files), encoding="utf-8")
        command = [sys.executable, "setup.py", "-q", "build_ext", "--inplace"]
        done = subprocess.run(
            command,
            cwd=scratch,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        if done.returncode:
            lines = [line for line in done.stdout.splitlines() if line.strip()]
            return "; ".join(lines[-3:]) or f"exit code {done.returncode}"
        built = [path for path in scratch.rglob("*.so") if "build" not in path.relative_to(scratch).parts]
        return {path: path.relative_to(scratch).as_posix() for path in built}
