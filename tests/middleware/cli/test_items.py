"""`eqwatch items`, with the official files served from loopback."""

import functools
import json
import threading
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from middleware.errors import ItemSetError

InProcess = Callable[..., str]
Eqwatch = Callable[..., "subprocess.CompletedProcess[str]"]  # noqa: F821 - a type for readers


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def mirror(eqbench_dir: Path) -> Iterator[str]:
    """A mirror that holds the official files."""
    handler = functools.partial(_Quiet, directory=str(eqbench_dir))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


def test_fetch_list_show_check(eqwatch: Eqwatch, mirror: str, tmp_path: Path) -> None:
    """A fetched set is listed as here, shows its items and passes its check."""
    place = ("--data-dir", tmp_path)
    fetched = eqwatch("items", "fetch", "eqbench-v2-de", "--url", mirror, *place, "--json")
    assert fetched.returncode == 0, fetched.stderr
    assert Path(json.loads(fetched.stdout)["path"]).stat().st_size == 504_311
    rows = {row["name"]: row for row in json.loads(eqwatch("items", "list", *place, "--json").stdout)}
    assert rows["eqbench-v2-de"]["present"]
    assert not rows["eqbench-v2"]["present"]
    checked = eqwatch("items", "check", "eqbench-v2-de", *place)
    assert (checked.returncode, checked.stdout) == (0, "eqbench-v2-de: 171 items, no problems\n")
    shown = json.loads(eqwatch("items", "show", "eqbench-v2-de", "1", *place, "--json").stdout)
    assert shown["emotions"] == ["Reuevoll", "Gleichgültig", "Zuneigend", "Verärgert"]


def test_wrong_file_is_refused(eqwatch: Eqwatch, mirror: str, tmp_path: Path) -> None:
    """Another file than the one that was named is refused with both hashes, exit code 2, and nothing is kept."""
    url = f"{mirror}eq_bench_v1_questions_60.json"
    result = eqwatch("items", "fetch", "eqbench-v2", "--url", url, "--data-dir", tmp_path)
    assert result.returncode == 2
    assert "is truncated: 131514 of 393286 bytes of eqbench-v2" in result.stderr
    assert list((tmp_path / "items").iterdir()) == []


def test_without_network_nothing_could_be_asked(eqwatch: Eqwatch, tmp_path: Path) -> None:
    """Where nobody answers, `items fetch` ends with exit code 4."""
    result = eqwatch("items", "fetch", "eqbench-v2", "--url", "http://127.0.0.1:9/", "--data-dir", tmp_path)
    assert result.returncode == 4, result.stderr
    assert "could not be loaded" in result.stderr


def test_import(in_process: InProcess, eqbench_dir: Path, tmp_path: Path) -> None:
    """A file on disk is imported under the name that its content has; a stranger is refused."""
    place = ("--data-dir", tmp_path)
    output = in_process("items", "import", eqbench_dir / "eq_bench_v1_questions_60.json", *place)
    assert output.split()[0] == "eqbench-v1"
    with pytest.raises(ItemSetError, match="none of the official files"):
        in_process("items", "import", eqbench_dir / "golden_scores.json", *place)


def test_tables_of_bundled_sets(in_process: InProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bundled set and one of its items are shown in full, references included."""
    monkeypatch.setenv("EQWATCH_DATA_DIR", str(tmp_path))
    assert "no: eqwatch items fetch eqbench-v2" in in_process("items", "list")
    assert "tutoring-001a" in in_process("items", "show", "tutoring")
    item = in_process("items", "show", "tutoring", "tutoring-001a")
    assert "Your task is to predict" in item
    assert "critique" not in item.replace("(`--revise` asks for a critique and a second pass too)", "")
    assert "0..10" in item
    assert json.loads(in_process("items", "show", "tutoring", "--json"))["item_ids"][0] == "tutoring-001a"


def test_check_finds_problems(in_process: InProcess, tmp_path: Path) -> None:
    """A file with problems is listed problem by problem and gives exit code 1."""
    emotions = {f"emotion{n}": name for n, name in enumerate(("Joy", "Fear", "Anger", "Pride"), start=1)}
    reference = emotions | {f"emotion{n}_score": 2.5 for n in range(1, 5)}
    file = tmp_path / "mine.json"
    file.write_text(json.dumps({"1": {"prompt": "How do they feel?", "reference_answer": reference}}))
    output = in_process("items", "check", file, exit_code=1)
    assert "item 1: emotion 'Joy' is not in the prompt" in output
    assert "1 items, 4 problems" in output


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("show", "nothing"), "choose from bundled"),
        (("show", "tutoring", "999"), "has no item '999'"),
        (("fetch", "tutoring"), "no official set: choose eqbench-v1"),
    ],
)
def test_unknown_names(in_process: InProcess, tmp_path: Path, arguments: tuple[str, ...], expected: str) -> None:
    """Unknown sets and items are refused with the names that there are."""
    with pytest.raises(ItemSetError, match=expected):
        in_process("items", *arguments, "--data-dir", tmp_path)
