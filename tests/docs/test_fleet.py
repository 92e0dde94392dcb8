"""docs/fleet.md: what it shows can be sent and loaded, and what it names exists."""

import re
from pathlib import Path

import pytest

from middleware.admin.exchange_bodies import ExchangeBody
from middleware.metrics import CATALOGUE, PREFIX
from middleware.settings import load_settings
from middleware.settings.document import fields

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "fleet.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_the_configuration_loads(tmp_path: Path) -> None:
    """In a pod as in the monitor."""
    (block,) = blocks("toml")
    (tmp_path / "eqwatch.toml").write_text(block)
    (deployment,) = load_settings(tmp_path / "eqwatch.toml").deployments
    assert deployment.sampled


def test_the_exchange_fits_and_every_field_is_described() -> None:
    """The table names all fields of the body, and no other."""
    (block,) = blocks("json")
    ExchangeBody.model_validate_json(block)
    table = PAGE.partition("| field | |")[2].partition("\n\n")[0]
    first_cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    named = set(re.findall(r"`(\w+)`", " ".join(first_cells)))
    described = named | set(re.findall(r"found by `(path)`, `(key_id)`", table)[0]) | {"dialect"}
    assert described == set(ExchangeBody.model_fields)


def test_tests_metrics_and_variables_exist() -> None:
    """A name on the page is a name in the code."""
    for path in re.findall(r"`(tests/[\w/.]+\.py|middleware/[\w/.]+\.py)`", PAGE):
        assert (ROOT / path).is_file(), path
    known = {PREFIX + entry.name for entry in CATALOGUE}
    assert set(re.findall(r"`(eqwatch_\w+?)(?:\{|`)", PAGE)) <= known
    variables = {field.variable for field in fields()}
    assert set(re.findall(r"EQWATCH_[A-Z_]*[A-Z]", PAGE)) <= variables


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\((?!http|#)([^)#]+)", PAGE))))
def test_links_lead_somewhere(link: str) -> None:
    """Relative to the page."""
    assert (ROOT / "docs" / link).exists()
