"""What the package offers, and what it may lean on."""

import ast
import sys
from pathlib import Path

import scorer

_PACKAGE = Path(scorer.__file__).parent


def test_every_public_name_exists_and_is_listed_once() -> None:
    """`from scorer import …` works for each name of `__all__`."""
    assert [name for name in scorer.__all__ if not hasattr(scorer, name)] == []
    assert len(set(scorer.__all__)) == len(scorer.__all__)


def test_the_core_leans_on_the_standard_library_and_numpy_alone() -> None:
    """No I/O framework, no product module, no logging: the core can be tested without mocks."""
    foreign = {}
    for path in _PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            else:
                continue
            roots = {name.split(".")[0] for name in names}
            bad = {root for root in roots if root not in sys.stdlib_module_names | {"numpy", "scorer"}}
            bad |= roots & {"logging", "os", "pathlib", "random", "socket", "subprocess", "time", "urllib"}
            if bad:
                foreign[path.name] = bad
    assert foreign == {}
