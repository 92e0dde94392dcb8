"""examples/marketing: no upsell to an annoyed customer."""

from collections.abc import Callable
from typing import Any

import pytest

from middleware.demo.model_server import MODEL_NAME

pytestmark = [pytest.mark.timeout(700), pytest.mark.xdist_group("real-model")]


@pytest.fixture
def shop(example_module: Callable[[str], Any]) -> Any:
    return example_module("marketing/shop.py")


def test_only_the_interested_are_offered_something(shop: Any) -> None:
    """Not knowing means not selling."""
    tact, manner = shop.Tact(), shop.Manner
    assert tact.choose({}) is manner.PLAIN
    assert tact.choose({"interest": 8.0, "annoyance": 1.0}) is manner.OFFER
    assert tact.choose({"interest": 5.9}) is manner.PLAIN


def test_after_annoyance_nothing_is_sold_for_a_while(shop: Any) -> None:
    """The next reply repairs, and three more sell nothing, however interested the customer seems meanwhile."""
    tact, manner = shop.Tact(), shop.Manner
    assert tact.choose({"annoyance": 7.0, "interest": 9.0}) is manner.REPAIR
    assert [tact.choose({"interest": 9.0}) for _ in range(4)] == [manner.PLAIN] * 3 + [manner.OFFER]


def test_the_header_is_read(shop: Any) -> None:
    """Emotions only; nothing of a header that is missing, or whose text tried to steer the estimate."""
    value = 'interest=2.0;trend=-0.5, annoyance=6.5;confidence=0.80;trend=1.5, turn=3, judge="anchor", age=2'
    assert shop.read_header(value) == {"interest": 2.0, "annoyance": 6.5}
    assert shop.read_header("") == {}
    assert shop.read_header("annoyance=6.5, turn=3, steered, age=2") == {}


def test_an_annoyed_customer(
    real_model: str,
    start_sidecar: Callable[..., Any],
    start_example: Callable[..., Any],
    example_config: Callable[[str], str],
    looked_at: Callable[[Any, str, int], None],
) -> None:
    """The customer complains twice; the header of the next answer tells, and the reply after that repairs."""
    sidecar = start_sidecar(real_model, example_config("marketing"))
    chat = start_example(
        "marketing/shop.py",
        *("--base-url", f"{sidecar.data}/v1", "--model", MODEL_NAME, "--reply-tokens", "12"),
        *("--conversation", "customer-1"),
    )
    lines = (
        "This is the third time I write to you. I am really angry and annoyed, your service is terrible!",
        "Still broken, and nobody answers. I'm so annoyed and disappointed with you!",
        "Well? I am fed up with this, it is infuriating.",
        "Can I have my money back?",
    )
    for turn, line in enumerate(lines, start=1):
        chat.type(line)
        looked_at(sidecar, "customer-1", turn)
    assert chat.finish() == 0
    assert "(repair)" in chat.said
    assert "(offer)" not in chat.said
