"""What is written about the settings is made from them."""

import re
import tomllib
from pathlib import Path

from rich.console import Console

from middleware.settings import load_settings
from middleware.settings.document import configuration_page, example_file, fields, settings_table
from middleware.settings.schema import default_data_dir


def test_every_setting_is_described() -> None:
    """No setting without a sentence that ends."""
    undescribed = [field.path for field in fields() if not field.description.endswith(".")]
    assert undescribed == []


def test_the_example_file_is_valid_and_changes_nothing(tmp_path: Path) -> None:
    """The example is accepted as it is, and means the defaults."""
    path = tmp_path / "eqwatch.toml"
    path.write_text(example_file())
    assert tomllib.loads(path.read_text())["benchmark"]["batch"] == 12
    assert load_settings(path).model_dump() == load_settings(None, {}).model_dump()


def test_every_line_of_the_example_is_toml() -> None:
    """With each setting and table that is commented out put in force, the file still parses."""
    text = re.sub(r"(?m)^# (?=\[|[a-z_]+ = )", "", example_file())
    found = tomllib.loads(text)
    assert found["data_dir"] == str(default_data_dir())
    assert found["deployments"][0]["match"]["paths"] == []
    assert {field.name for field in fields() if field.section == "webhooks"} == set(found["webhooks"][0])


def test_the_page_names_every_setting_and_variable() -> None:
    """docs/configuration.md is complete."""
    page = configuration_page()
    assert "`EQWATCH_UPSTREAM_API_KEY`" in page
    assert all(f"`{field.name}`" in page for field in fields())


def test_the_table_never_shows_a_secret() -> None:
    """Only whether a secret is set."""
    settings = load_settings(None, {"upstream": {"api_key": "very-secret"}})
    console = Console(width=200, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123 - closed with the test
    console.print(settings_table(settings))
    console.file.close()
    text = console.export_text()
    assert "very-secret" not in text
    assert "(set)" in text
