"""A small item set with recorded answers, and gates that are decided on them without a network."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace

import pytest

from middleware.benchmark.outcomes import scored_result
from middleware.benchmark.protocol import make_protocol
from middleware.gate.pairing import Evidence, compared
from middleware.gate.report import GateReport, make_report
from middleware.gate.request import GateRequest, GateRuns, Subject
from middleware.gate.session import Decided
from middleware.records.benchmark import ItemResult, Run
from middleware.upstream import Completion
from scorer.comparison import GateRules, is_look
from scorer.items import Item, ItemSet
from scorer.prompts import compose

EMOTIONS = ("Joy", "Anger", "Fear", "Pride")
PERFECT = "Joy: 7\nAnger: 0\nFear: 1\nPride: 8"
POOR = "Joy: 2\nAnger: 5\nFear: 6\nPride: 3"
Texts = Mapping[str, str]
Decide = Callable[..., GateReport]


def new_item(number: int, **extra: object) -> Item:
    dialogue = f"Ada: Is it done?\nBen: The {number}. bridge holds."
    made = Item(
        id=f"i{number}",
        emotions=EMOTIONS,
        prompt=compose(dialogue, "Ben", EMOTIONS),
        reference=None,
        reference_fullscale=(7.0, 0.0, 1.0, 8.0),
        cluster=f"d{number // 2}",
        dialogue=dialogue,
        subject="Ben",
    )
    return replace(made, **extra)  # type: ignore[arg-type]


@pytest.fixture
def small_set() -> ItemSet:
    """Twenty items of ten dialogues; PERFECT is the right answer to all of them."""
    items = tuple(new_item(number) for number in range(20))
    return ItemSet(name="small", version="v2", language="en", items=items, official=False, sha256="0" * 64)


def new_run(role: str, item_set: ItemSet, passes: int) -> Run:
    return Run(
        id=f"gate-1-{role}",
        deployment="gate",
        purpose="gate",
        protocol=make_protocol(item_set),
        model=f"model-{role}",
        upstream="http://127.0.0.1:1",
        item_ids=tuple(each.id for each in item_set.items),
        passes=passes,
        started_at=1_700_000_000.0,
    )


def results(run: Run, item_set: ItemSet, passes: Sequence[Texts]) -> tuple[ItemResult, ...]:
    """What a model that says these texts, pass by pass, leaves in the store."""
    return tuple(
        scored_result(
            run,
            item_set.by_id[item_id],
            item_set,
            repetition,
            Completion(text, "stop", run.model, "fp_1", 10, 5, 0.5),
            at=1_700_000_001.0,
        )
        for repetition, texts in enumerate(passes)
        for item_id, text in texts.items()
    )


@pytest.fixture
def decide() -> Decide:
    """decide(item_set, baseline passes, candidate passes, rules): the report of a gate on these answers."""

    def decided(
        item_set: ItemSet, baseline: Sequence[Texts], candidate: Sequence[Texts], rules: GateRules | None = None
    ) -> GateReport:
        rules = rules or GateRules(max_passes=len(baseline))
        ours, theirs = (new_run(role, item_set, rules.max_passes) for role in ("baseline", "candidate"))
        evidence = Evidence(ours, theirs, results(ours, item_set, baseline), results(theirs, item_set, candidate))
        found = []
        for number in range(1, rules.max_passes + 1):
            if is_look(number, rules):
                found.append(compared(evidence, item_set, number, rules))
                if found[-1].verdict is not None:
                    break
        subjects = (Subject(run.upstream, run.model) for run in (ours, theirs))
        request = GateRequest(*subjects, item_set, ours.protocol, rules)
        runs = GateRuns("gate-1", ours.started_at, ours, theirs)
        return make_report(request, Decided(runs, tuple(found), evidence.of_passes(found[-1].passes), 1_700_000_060.0))

    return decided


def all_say(item_set: ItemSet, text: str, **others: str) -> dict[str, str]:
    """Every item answered alike, but for the named ones."""
    return {each.id: others.get(each.id, text) for each in item_set.items}


@pytest.fixture
def kit() -> SimpleNamespace:
    """The makers above, for tests, which can't import this file."""
    return SimpleNamespace(
        PERFECT=PERFECT, POOR=POOR, all_say=all_say, new_item=new_item, new_run=new_run, results=results
    )
