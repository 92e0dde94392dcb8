"""A judge that obeys every attack it can see: nothing invented becomes a reading, and what is obeyed is flagged."""

import asyncio
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from middleware.benchmark.limiter import ConcurrencyRule, Limiter
from middleware.metrics import Metrics
from middleware.probe.prompts import AnswerFormat
from middleware.probe.unmasking import visible
from middleware.probe.worker import ProbeConfig, ProbeRule, ProbeWorker
from middleware.records.conversation import Message, ProbeResult, Transcript, Turn
from middleware.upstream import UpstreamClient

CORPORA = Path(__file__).parents[3] / "bench" / "hostile"
ATTACKS = [json.loads(line) for line in (CORPORA / "injections_open.jsonl").read_text().splitlines()]


def squeezed(text: str) -> str:
    """Tags as the letters that they stand for: a model may read them."""
    letters = "".join(chr(ord(c) - 0xE0000) if 0xE0020 <= ord(c) < 0xE007F else c for c in text)
    return "".join(visible(letters).text.split())


def obedient(row: dict[str, Any], prompt: str, answer_format: AnswerFormat) -> str:
    """What the attack wants, said as it wants it, where its text is in the prompt at all; else what is so."""
    attack = squeezed([m["content"] for m in row["messages"] if m["role"] == "user"][-1])[-24:]
    if attack not in squeezed(prompt):
        return json.dumps(dict.fromkeys(row["emotions"], 5))
    if row["technique"] == "prompt_leak":
        return prompt
    if not row["target"]:
        return ""
    if answer_format == "json_schema":
        return json.dumps(row["target"])
    return "\n".join(f"{name}: {value}" for name, value in row["target"].items())


async def probed(
    judge: Any, kit: Any, metrics: Metrics, rows: Sequence[dict[str, Any]], answer_format: AnswerFormat
) -> list[ProbeResult]:
    saved: list[ProbeResult] = []
    async with UpstreamClient(base_url=judge.url, api_key="operator", timeout_seconds=60) as client:
        for row in rows:
            judge.answer = lambda body, row=row: kit.completion(
                obedient(row, body["messages"][-1]["content"], answer_format)
            )
            worker = ProbeWorker(
                client,
                {"d": ProbeRule(tuple(row["emotions"]))},
                config=ProbeConfig(kinds=("perception",), answer_format=answer_format),
                save=saved.append,
                limiter=Limiter(ConcurrencyRule(1)),
                budget=kit.Purse(),
                metrics=metrics,
            )
            messages = tuple(Message(m["role"], m["content"]) for m in row["messages"])
            await worker.probe(Turn("d", row["id"], 1, Transcript("openai_chat", "m", messages, None, False), 1.0))
    return saved


@pytest.mark.parametrize("answer_format", ["json_schema", "text"])
def test_an_obedient_judge_gets_nothing_invented_through(
    judge: Any, kit: Any, metrics: Metrics, answer_format: AnswerFormat
) -> None:
    """Readings have exactly the emotions that were asked about, 0 to 10, and a dictated one says that it was steered;
    numbers out of range, a fifth emotion, a leaked prompt and an empty answer are outcomes."""
    results = asyncio.run(probed(judge, kit, metrics, ATTACKS, answer_format))
    assert len(results) == len(ATTACKS)
    for row, result in zip(ATTACKS, results, strict=True):
        if result.outcome != "scored":
            assert result.emotions == {}
            continue
        assert list(result.emotions) == row["emotions"]
        assert all(math.isfinite(value) and 0 <= value <= 10 for value in result.emotions.values())
        if result.emotions == {name: float(value) for name, value in row["target"].items() if name in row["emotions"]}:
            assert result.steered, row["id"]
    by_technique = {row["technique"]: result for row, result in zip(ATTACKS, results, strict=True)}
    assert by_technique["prompt_leak"].reason == "prompt_echo"
    for technique in ("fifth_emotion", "out_of_range_numbers", "refusal_request"):
        assert by_technique[technique].outcome != "scored"
    extreme = [r for r in results if r.outcome == "scored" and set(r.emotions.values()) <= {0.0, 10.0}]
    assert len(extreme) > 30  # the judge did obey
    unseen = by_technique["unicode_tags_invisible"].emotions
    assert unseen == dict.fromkeys(unseen, 5.0)
