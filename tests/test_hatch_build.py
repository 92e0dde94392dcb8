"""Wheels hold a compiled relay where there is a C compiler, and work without it."""

import ast
import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from bench.product import build_wheel

ROOT = Path(__file__).parents[1]
COMPILED = {"answers", "body", "client", "connection", "context", "counters", "framing", "heads", "memo", "pool"}
COMPILED |= {"tap", "template", "transit", "upstream"}


def compiled_in(folder: Path) -> set[str]:
    """The relay's modules that the wheel in this folder holds compiled."""
    [wheel] = folder.glob("*.whl")
    names = [Path(name) for name in zipfile.ZipFile(wheel).namelist()]
    assert Path("middleware/proxy/client.py") in names, "the sources are there either way"
    found = [path for path in names if path.suffix == ".so"]
    assert (wheel.name.endswith("-none-any.whl")) is not bool(found)
    return {path.name.partition(".")[0] for path in found if path.parent == Path("middleware/proxy")}


def test_everything_on_the_path_of_a_byte_is_compiled(compiled_product: Path) -> None:
    """The modules that hatch_build.py names, and the product says so."""
    assert compiled_in(compiled_product.parent) == COMPILED
    for folder, said in ((str(compiled_product), "compiled"), (str(ROOT), "interpreted")):
        code = "from middleware.installed import relay_code; print(relay_code())"
        done = subprocess.run(
            [sys.executable, "-P", "-c", code],
            env=os.environ | {"PYTHONPATH": folder},
            cwd=compiled_product,
            check=True,
            capture_output=True,
            text=True,
        )
        assert done.stdout.strip() == said


@pytest.mark.timeout(900)
def test_the_relays_own_tests_pass_on_the_compiled_relay(compiled_product: Path) -> None:
    """Parsers, framing, memory of heads, tap and pool, with their property tests, against the compiled modules."""
    command = [sys.executable, "-P", "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", "-m", "not replaces_parts"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        [*command, "tests/middleware/proxy"],
        cwd=ROOT,
        env=environment | {"PYTHONPATH": str(compiled_product)},
        check=False,
        capture_output=True,
        text=True,
        timeout=800,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr
    assert " passed" in done.stdout


def test_without_a_compiler_the_relay_is_interpreted(tmp_path: Path) -> None:
    """A machine without one gets the same wheel without compiled modules, and is told; unless it was to be compiled."""
    left = build_wheel(tmp_path / "fallback", CC="/bin/false")
    assert left.returncode == 0, left.stderr
    assert "will be interpreted" in left.stdout + left.stderr
    assert compiled_in(tmp_path / "fallback") == set()
    required = build_wheel(tmp_path / "required", CC="/bin/false", EQWATCH_COMPILE="1")
    assert required.returncode != 0
    assert "EQWATCH_COMPILE=1" in required.stdout + required.stderr


def test_it_can_be_left_interpreted(tmp_path: Path) -> None:
    """EQWATCH_COMPILE=0 asks for no compiler."""
    built = build_wheel(tmp_path, EQWATCH_COMPILE="0")
    assert built.returncode == 0, built.stderr
    assert compiled_in(tmp_path) == set()


@pytest.mark.parametrize("name", sorted(COMPILED))
def test_an_isolated_build_has_what_a_compiled_module_imports(name: str) -> None:
    """Its types are needed to compile it; what the build lacks would leave the relay interpreted without a word."""
    tree = ast.parse((ROOT / "middleware" / "proxy" / f"{name}.py").read_text())
    imports = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imports |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    others = {found.partition(".")[0] for found in imports} - set(sys.stdlib_module_names) - {"middleware"}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert others <= {requirement.partition(">")[0] for requirement in project["build-system"]["requires"]}
