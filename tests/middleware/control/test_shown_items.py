"""Which item sets the status page may show."""

import json
import shutil

from middleware.benchmark.catalogue import OFFICIAL
from middleware.benchmark.fetch import stored_path
from middleware.control.shown_items import ShownItems


def test_bundled_and_configured_sets_are_shown(tmp_path):
    """By name; a file of the configuration under the name that its content has."""
    own = {
        "name": "own",
        "items": [],
    }
    file = tmp_path / "own.json"
    file.write_text(json.dumps(own))
    shown = ShownItems(tmp_path, ["starter", str(file), "tutoring@variant-3"])
    assert shown.named("tutoring").name == "tutoring"
    assert shown.named("tutoring") is shown.named("tutoring")
    assert shown.named("tutoring@variant-3").name == "tutoring@variant-3"
    assert shown.named("tutoring@variant-4") is None  # nobody asks it, and there is no end of them


def test_a_name_never_becomes_a_path(tmp_path):
    """A file that is there is not read because an address names it."""
    (tmp_path / "secret.json").write_text('{"items": []}')
    shown = ShownItems(tmp_path, ["bundled"])
    for name in (str(tmp_path / "secret.json"), "../secret.json", "/etc/passwd", ""):
        assert shown.named(name) is None


def test_official_text_is_shown_once_the_user_fetched_it(tmp_path, eqbench_dir):
    """Not before, and from the user's data directory."""
    official = OFFICIAL["eqbench-v2"]
    shown = ShownItems(tmp_path, [])
    assert shown.named("eqbench-v2") is None
    target = stored_path(official, tmp_path)
    target.parent.mkdir(parents=True, exist_ok=True)
    (source,) = eqbench_dir.rglob(official.file_name)
    shutil.copy(source, target)
    assert len(shown.named("eqbench-v2").items) == 171
