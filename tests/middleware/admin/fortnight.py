"""A plausible fortnight of three deployments, the same each time: one model was replaced by a weaker one.

Answers are the items' own references with noise, scored by the scorer; baselines and differences follow from them.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from sqlalchemy import insert

from middleware.admin import DeploymentInfo
from middleware.benchmark.item_sets import load
from middleware.benchmark.levels import branch_points
from middleware.records.baseline import BaselineRecord
from middleware.records.benchmark import ItemResult, Protocol, Run
from middleware.records.conversation import ProbeResult
from middleware.records.emotion_report import Drift, EmotionReport
from middleware.records.emotions import DEFAULT_EMOTIONS
from middleware.records.event import Event
from middleware.records.standing import Standing, UpgradeStanding
from middleware.store import Store, runs, schema
from scorer.anticipation import Skill
from scorer.baseline import Baseline, Observation
from scorer.comparison import GateRules, compare_with_baseline
from scorer.items import Item, ItemSet
from scorer.reference import level_difference
from scorer.relief import Relief
from scorer.scoring import score_item

NOW = 1_794_500_000.0
HOUR = 3600.0
DAY = 24 * HOUR
BEFORE, AFTER = "example-chat-large", "example-chat-large-0612"
SWAPPED, ALARM = NOW - 2 * DAY + 1300, NOW - 1.4 * DAY
KINDS = (("support-tutor", "tutoring"), ("companion-r2", "companion"), ("shop-chat", "marketing"))
DEPLOYMENTS = tuple(DeploymentInfo(name, kind, "", DEFAULT_EMOTIONS[kind], 0.2, sampled=True) for name, kind in KINDS)
BATCH, BATCHES, BASELINE_PASSES = 10, 112, 8
# The weaker version takes other people's bad feelings for milder than they are.
MISREAD = {"Angry", "Anxious", "Ashamed", "Betrayed", "Disappointed", "Embarrassed", "Guilty", "Hurt", "Resentful"}


@dataclass
class Made:
    """One deployment's answers in the order of time, and what follows from them."""

    name: str
    item_set: ItemSet
    protocol: Protocol
    batches: list[tuple[Run, list[ItemResult]]]
    baseline: Baseline
    baseline_id: int = 0


def sets() -> dict[str, ItemSet]:
    """The item sets of the deployments."""
    return {kind: replace(load(kind, Path()), items=load(kind, Path()).items[:40]) for _, kind in KINDS}


def fill(store: Store) -> list[Standing]:
    """Fill the store; returns where things stand at its end."""
    rng = random.Random(7)
    made = [_made(name, item_set, rng) for (name, _), item_set in zip(KINDS, sets().values(), strict=True)]
    _save(store, made, list(_probes(rng)))
    for one in made:
        one.baseline_id = store.add_baseline(_record(one))
    _events(store, made[0])
    for purpose, prompt, completion in (("benchmark", 212_000, 31_000), ("probe", 187_500, 22_400)):
        store.add_tokens(purpose, "prompt", prompt, NOW - 600)
        store.add_tokens(purpose, "completion", completion, NOW - 600)
    return [_standing(one, weaker=number == 0, store=store) for number, one in enumerate(made)]


def _save(store: Store, made: Sequence[Made], probes: Sequence[ProbeResult]) -> None:
    """All of it in one transaction and few statements: one by one it would take many times as long."""
    answers = []
    with store._writing() as connection:
        for run, results in (batch for one in made for batch in one.batches):
            runs.begin_run(connection, run)
            scores = [result.score for result in results if result.score is not None]
            points = 10 * sum(scores) / len(scores)
            runs.finish_run(connection, run.id, "finished", points, len(scores), run.started_at + 55)
            for result in results:
                row = asdict(result)
                answers.append(row | {"answer_text": row.pop("text"), "attempts": 1, "attempted_at": result.at})
        connection.execute(insert(schema.item_results), answers)
        connection.execute(insert(schema.probes), [asdict(probe) for probe in probes])


def _made(name: str, item_set: ItemSet, rng: random.Random) -> Made:
    protocol = Protocol(item_set.name, item_set.sha256, "1", "tolerant", 0.01, 60, None, "text", revise=False)
    habits = {item.id: [rng.gauss(0, 2.2) for _ in item.emotions] for item in item_set.items}
    ids = [item.id for item in item_set.items]
    batches = []
    for number in range(BATCHES):
        started = NOW - 1200 - (BATCHES - 1 - number) * 3 * HOUR
        weaker = name == KINDS[0][0] and started > SWAPPED - HOUR
        asked = tuple(ids[(number * BATCH + k) % len(ids)] for k in range(BATCH))
        model = AFTER if weaker else BEFORE
        run = Run(f"{name}-{number:04d}", name, "batch", protocol, model, "http://127.0.0.1:9", asked, 1, started)
        results = [_answer(run, item_set.by_id[item_id], habits[item_id], weaker, item_set, rng) for item_id in asked]
        batches.append((run, results))
    per_pass = len(ids) // BATCH
    passes = [_observations(batches[k * per_pass : (k + 1) * per_pass], item_set) for k in range(BASELINE_PASSES)]
    baseline = Baseline.from_passes(passes, protocol_key=protocol.key)
    return Made(name, item_set, protocol, batches, baseline)


def _answer(
    run: Run, item: Item, habit: Sequence[float], weaker: bool, item_set: ItemSet, rng: random.Random
) -> ItemResult:
    odd = 0.0 if run.id.endswith(f"{BATCHES - 1:04d}") and item.id == run.item_ids[0] else rng.random()
    outcome = "unparseable" if odd < 0.015 else "refused" if odd < 0.02 else "scored"
    at = run.started_at + 40
    if outcome != "scored":
        said = "I would rather not put numbers on somebody's feelings."
        return ItemResult(
            run.id, item.id, 0, outcome, "no_scores" if outcome == "unparseable" else "", text=said, at=at
        )
    answer = {}
    for emotion, reference, lean in zip(item.emotions, item.reference_for(item_set.version), habit, strict=True):
        value = reference + lean + rng.gauss(0, 0.55) - (2.4 if weaker and emotion in MISREAD else 0.0)
        answer[emotion] = float(min(10, max(0, round(value))))
    text = "\n".join(f"{emotion}: {value:g}" for emotion, value in answer.items())
    score = score_item(item, answer, item_set.version)
    return ItemResult(
        run.id, item.id, 0, "scored", "", score, answer, text, 310, 24, 0, 0.8, run.model, f"fp_{run.model[-4:]}", at
    )


def _observations(batches: Sequence[tuple[Run, list[ItemResult]]], item_set: ItemSet) -> list[Observation]:
    return [
        Observation(
            result.item_id,
            result.score,
            tuple(result.answer[emotion] for emotion in item_set.by_id[result.item_id].emotions)
            if result.answer
            else None,
        )
        for _, results in batches
        for result in results
    ]


def _record(made: Made) -> BaselineRecord:
    return BaselineRecord(
        deployment=made.name,
        item_set=made.item_set.name,
        model=BEFORE,
        protocol=made.protocol,
        digest=made.baseline.digest,
        created_at=NOW - 9.5 * DAY,
        source="commissioning",
        value=made.baseline.to_dict(),
        identities=(f"{BEFORE}|fp_arge",),
        days=3.9,
        accepted_at=NOW - 9.5 * DAY,
    )


def _standing(made: Made, *, weaker: bool, store: Store) -> Standing:
    now = [results for run, results in made.batches if run.started_at > SWAPPED - HOUR]
    recent: dict[str, list[float]] = {}
    for results in now:
        for result in results:
            if result.score is not None:
                recent.setdefault(result.item_id, []).append(result.score)
    difference = level_difference(made.baseline, recent)
    assert difference is not None
    level = made.baseline.points + difference.points
    incident = next(event.id for event in store.events(0) if event.kind == "incident_opened")
    return Standing(
        deployment=made.name,
        item_set=made.item_set.name,
        state="regressed" if weaker else "fine",
        model=AFTER if weaker else BEFORE,
        since=ALARM if weaker else NOW - 9.5 * DAY,
        last_batch_at=NOW - 1145,
        score_points=level,
        baseline_points=made.baseline.points,
        baseline_at=NOW - 9.5 * DAY,
        delta_points=difference.points,
        delta_lower=difference.lower,
        delta_upper=difference.upper,
        incident=incident if weaker else 0,
        baseline_id=made.baseline_id,
        branch_points=branch_points({item: tuple(scores) for item, scores in recent.items()}, made.item_set),
        upgrade=_upgrade(made) if weaker else None,
    )


def _upgrade(made: Made) -> UpgradeStanding:
    """The gate's rule on the two first passes of the weaker version."""
    per_pass = len(made.item_set.items) // BATCH
    now = [results for run, results in made.batches if run.started_at > SWAPPED - HOUR]
    passes = [
        {result.item_id: result.score for results in now[k * per_pass : (k + 1) * per_pass] for result in results}
        for k in range(2)
    ]
    found = compare_with_baseline(made.baseline, passes, GateRules(max_passes=2))
    these = found.these_items
    verdict = found.verdict or "comparing"
    return UpgradeStanding(
        BEFORE, AFTER, SWAPPED, verdict, False, found.reason, these.points, these.lower, these.upper, 2, 8, None, ALARM
    )


def _events(store: Store, weak: Made) -> None:
    for name, kind in KINDS:
        details = {"item_set": kind, "model": BEFORE, "points": weak.baseline.points, "passes": BASELINE_PASSES}
        store.save_event(Event("baseline_accepted", name, NOW - 9.5 * DAY, dict(details)))
    store.save_event(Event("benchmark_paused", "", NOW - 6 * DAY))
    store.save_event(Event("benchmark_resumed", "", NOW - 6 * DAY + HOUR))
    models = {"item_set": "tutoring", "from_model": BEFORE, "to_model": AFTER}
    upgrade = _upgrade(weak)
    figures = {"points": upgrade.points, "lower": upgrade.lower, "upper": upgrade.upper}
    store.save_event(Event("upgrade_noticed", weak.name, SWAPPED, {**models, "configured": False}))
    opened = {"item_set": "tutoring", "model": AFTER, "kind": "regression", "condition": "regressed", **figures}
    opened |= {"since": SWAPPED, "batches": 5, "items": 50, "evidence_log10": 3.42, "cusum_ratio": 1.21}
    store.save_event(Event("incident_opened", weak.name, ALARM, opened))
    store.save_event(Event("upgrade_verdict", weak.name, ALARM + HOUR, {**models, **figures, "verdict": "regressed"}))


def _probes(rng: random.Random) -> Iterator[ProbeResult]:
    centres = {"Confusion": 4.6, "Boredom": 2.1, "Frustration": 3.2, "Curiosity": 6.3, "Loneliness": 3.8}
    centres |= {"Distress": 2.2, "Calm": 5.9, "Joy": 4.8, "Interest": 6.6, "Trust": 5.2, "Annoyance": 2.0}
    for info, share in zip(DEPLOYMENTS, (110, 60, 85), strict=True):
        for day in range(10):
            worse = info.name == KINDS[0][0] and day < 2
            for number in range(share if day == 0 else share // 3):
                for turn in range(1, rng.randint(2, 4)):
                    at = NOW - 90 - (day + 0.97 * rng.random()) * DAY
                    outcome = "scored" if rng.random() < 0.96 else "unparseable"
                    emotions = {
                        emotion: float(
                            min(10, max(0, round(rng.gauss(centres.get(emotion, 1.6) + _mood(emotion, worse), 2.1))))
                        )
                        for emotion in info.emotions
                    }
                    yield ProbeResult(
                        info.name,
                        f"{info.name}-{day}-{number}",
                        turn,
                        "perception",
                        outcome,
                        emotions if outcome == "scored" else {},
                        "" if outcome == "scored" else "missing_emotion",
                        AFTER if worse else BEFORE,
                        at=at,
                        turn_ended_at=at - 2,
                    )


def _mood(emotion: str, worse: bool) -> float:
    """Users of the weaker model are more often stuck."""
    return {"Frustration": 1.9, "Confusion": 0.9}.get(emotion, 0.0) if worse else 0.0


def report_of(deployment: str) -> EmotionReport | None:
    """What is known over many conversations of the deployment whose model was replaced."""
    if deployment != KINDS[0][0]:
        return None
    emotions = DEFAULT_EMOTIONS["tutoring"]
    skills = (0.31, 0.22, 0.19, 0.27)
    return EmotionReport(
        deployment=deployment,
        at=NOW - 60,
        emotions=emotions,
        judge="reference",
        conversations=312,
        turns=640,
        skill={e: Skill(v, v - 0.05, v + 0.05, 640, 312) for e, v in zip(emotions, skills, strict=True)},
        skill_lost={"Frustration": True},
        relief={
            e: Relief(v, v - 0.3, v + 0.3, v, 640, 312) for e, v in zip(emotions, (-0.4, 0.0, 0.6, 0.1), strict=True)
        },
        drift=tuple(
            Drift("perception", emotion, distance, evidence, evidence >= 1, 3.2, 3.2 + distance, 400, 312)
            for emotion, distance, evidence in zip(emotions, (0.5, 0.1, 1.8, 0.2), (0.6, 0.1, 1.7, 0.2), strict=True)
        ),
    )
