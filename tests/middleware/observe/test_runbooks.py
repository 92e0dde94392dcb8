"""The runbooks: one per alert, and what they name exists: commands, options, metrics, settings, paths, panels."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import typer
from pydantic import BaseModel

from middleware.cli.app import command_line
from middleware.metrics import CATALOGUE
from middleware.observe import ALERTS, SETTINGS
from middleware.observe.dashboards import BOARDS
from middleware.settings import Settings
from middleware.settings.schema import DeploymentSettings

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "docs" / "runbooks"
PAGES = sorted(FOLDER.glob("*.md"))
SECTIONS = [
    "What it means",
    "How sure it is",
    "What to look at",
    "What to do",
    "How to silence it rightly",
]
BY_NAME = {alert.name: alert for alert in ALERTS}


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def spans(text: str) -> Iterator[str]:
    """What stands in back quotes."""
    for span in re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL)):
        yield " ".join(span.split())


def test_each_alert_has_its_page_and_the_index_lists_it() -> None:
    """No alert leads nowhere, and no page is about an alert that is gone."""
    assert {page.stem for page in PAGES} == set(BY_NAME) | {"README"}
    listed = re.findall(r"\[(\w+)\]\((\w+)\.md\)", text_of(FOLDER / "README.md"))
    assert {name for name, _ in listed} == set(BY_NAME)
    assert all(name == target for name, target in listed)


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_a_page_answers_what_somebody_who_was_woken_asks(name: str) -> None:
    """The five questions in order, each with an answer, and a silence for this alert and place with end and reason."""
    text = text_of(FOLDER / f"{name}.md")
    assert text.startswith(f"# {name}\n")
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    assert parts[1::2] == SECTIONS
    assert all(len(part.split()) >= 8 for part in parts[2::2])
    (block,) = re.findall(r"```console\n(amtool silence add.*?)```", parts[-1], flags=re.DOTALL)
    command = shlex.split(block.replace("\\\n", " "))
    assert f"alertname={name}" in command
    assert any(re.fullmatch(r"--duration=\d+h", word) for word in command)
    assert any(word.startswith("--comment=") and len(word) > 15 for word in command)
    places = {word.partition("=")[0] for word in command[3:] if not word.startswith("--")} - {"alertname"}
    assert places
    assert places <= set(BY_NAME[name].carries)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_commands_exist_with_their_options(page: Path) -> None:
    """Each `eqwatch …` in a page is a command, and each option is one of its own."""
    for span in spans(text_of(page)):
        if not span.startswith("eqwatch "):
            continue
        words = shlex.split(span)[1:]
        command: click.Command = typer.main.get_group(command_line())
        while words and hasattr(command, "commands") and words[0] in command.commands:
            command = command.commands[words.pop(0)]
        assert not hasattr(command, "commands"), span
        options = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= options, span


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_metrics_settings_and_thresholds_exist(page: Path) -> None:
    """Names in back quotes that look like a metric, a setting or a threshold are one."""
    metrics = {entry.full_name for entry in CATALOGUE}
    sections = dict(sections_of(Settings))
    thresholds = {setting.name for setting in SETTINGS}
    fields = {name for names in sections.values() for name in names} | set(DeploymentSettings.model_fields)
    explained = {label for entry in CATALOGUE for label in (*entry.labels, *entry.info)}
    explained |= set(re.findall(r"[a-z_]+", " ".join(entry.help for entry in CATALOGUE)))
    for span in spans(text_of(page)):
        if span.startswith("eqwatch_"):
            assert span in metrics, span
        elif found := re.fullmatch(r"([a-z]+)\.([a-z_]+)(?: = .*)?", span):
            assert found[2] in sections[found[1]], span
        elif re.fullmatch(r"[a-z]+(?:_[a-z]+)+", span):
            assert span in thresholds | fields | explained, span
    for name in re.findall(r"--set ([\w.]+)=", text_of(page)):
        assert name in thresholds


def sections_of(model: type[BaseModel]) -> Iterator[tuple[str, set[str]]]:
    """Sections of the configuration and the names of their fields."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield name, set(field.annotation.model_fields)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_panels_exist(page: Path) -> None:
    """What a page says to look at is on the dashboard that it names."""
    titles = {
        board.title.removeprefix("eqwatch / "): {p.title.removesuffix(": $deployment") for p in board.panels}
        for board in BOARDS
    }
    text = " ".join(text_of(page).split())
    found = re.findall(r'Dashboard ([A-Z][a-z ]+), panels ((?:"[^"]+"(?:, )?)+)', text)
    assert found or page.stem == "README"
    assert text.count("Dashboard ") == len(found)
    for board, panels in found:
        assert set(re.findall(r'"([^"]+)"', panels)) <= titles[board], board


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_paths_are_in_the_documentation_of_the_api(page: Path) -> None:
    """Every request that a page names is listed in docs/api.md, which is checked against the routes."""
    api = text_of(ROOT / "docs" / "api.md").replace(
        "`…/resume`", "`POST /api/v1/benchmark/resume` `POST /api/v1/calls/resume`"
    )
    for span in spans(text_of(page)):
        if span.startswith(("GET /", "POST /")):
            assert f"`{span}`" in api, span


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    """Relative links of a page name files of the project."""
    for target in re.findall(r"\]\(([^)#]+)", text_of(page)):
        if "://" not in target:
            assert (FOLDER / target).exists(), target
