"""The examples and the documentation say what the command does."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

from middleware.cli.app import command_line
from middleware.cli.gate import EXIT_CODES

ROOT = Path(__file__).parents[3]
DOCUMENTS = ("docs/gate.md", "examples/ci/github-action.yml", "examples/ci/gitlab-ci.yml")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_options_exist(name: str) -> None:
    """Every option that is named belongs to the command, or to pip."""
    command = get_command(command_line()).get_command(None, "gate")  # type: ignore[attr-defined]
    known = {option for parameter in command.params for option in parameter.opts}
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", (ROOT / name).read_text()))
    assert named
    assert named <= known


def github_scripts() -> list[str]:
    workflow = yaml.safe_load((ROOT / "examples/ci/github-action.yml").read_text())
    assert {"name", True, "permissions", "jobs"} <= set(workflow)  # YAML 1.1 reads the key `on` as true
    (job,) = workflow["jobs"].values()
    assert job["runs-on"]
    assert {"EQWATCH_UPSTREAM_URL", "EQWATCH_UPSTREAM_API_KEY", "BASELINE", "CANDIDATE"} <= set(job["env"])
    assert all(("run" in step) != ("uses" in step) for step in job["steps"])
    scripts = [step["run"] for step in job["steps"] if "run" in step]
    assert not any("${{" in script for script in scripts), "what somebody typed is never written into a script"
    return scripts


def gitlab_scripts() -> list[str]:
    (job,) = yaml.safe_load((ROOT / "examples/ci/gitlab-ci.yml").read_text()).values()
    assert job["allow_failure"] == {"exit_codes": EXIT_CODES["undecided"]}
    assert job["artifacts"]["reports"] == {"junit": "gate.xml"}
    return list(job["script"])


@pytest.mark.parametrize("scripts", [github_scripts, gitlab_scripts])
def test_the_examples_do_what_they_say(scripts: Callable[[], list[str]], tmp_path: Path) -> None:
    """Each is YAML of its service, its shell is shell, and its gate starts with just the variables that it names."""
    found = scripts()
    for script in found:
        assert subprocess.run(["bash", "-n", "-c", script], check=False).returncode == 0
    (gate,) = [script for script in found if script.startswith("eqwatch gate ")]
    ended = subprocess.run(
        ["bash", "-ec", gate.strip() + " --dry-run"],
        env={
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
            "HOME": str(tmp_path),
            "EQWATCH_UPSTREAM_URL": "http://127.0.0.1:9/v1",
            "EQWATCH_UPSTREAM_API_KEY": "k",
            "BASELINE": "my-model-1",
            "CANDIDATE": "my-model-2",
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert "576" in ended.stdout, "calls of one pass over the bundled items, two versions"


def test_exit_codes_are_documented() -> None:
    """The table of exit codes has each verdict with its code."""
    rows = re.findall(r"^\| (\d) \| ([a-z ]+) \|", (ROOT / "docs/gate.md").read_text(), flags=re.MULTILINE)
    documented = {name: int(code) for code, name in rows}
    assert documented.pop("wrong use") == 2
    assert documented.pop("not measured") == EXIT_CODES["unmeasured"]
    assert documented == {name: code for name, code in EXIT_CODES.items() if name != "unmeasured"}
