"""What the fake upstream says to anything that is no recorded benchmark prompt: rules from a JSON file.

    {"models": ["my-model"],
     "rules": [{"when": "refund|money back", "replies": ["First turn.", "Second turn."]},
               {"when": "how does the user feel", "scores": {"Joy": 7}}],
     "default": ["Answer of turn one.", "Answer of turn two."]}

``when`` is a regular expression on the last user message, case ignored; ``model`` limits a rule to one name. Replies
follow the user's turns and start over when they run out. ``scores`` answers a question for emotion intensities; what it
does not name gets a number that depends on the question alone. A benchmark prompt that is not recorded is answered so
only by a rule with ``"benchmark": true``: that model guesses where it does not know.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from middleware.errors import ConfigurationError

__all__ = ["DEFAULT_SCRIPT", "Rule", "Script", "read_script", "wanted_scores"]

# A question for scores names each emotion on a line of its own with a placeholder: "Joy: <score>", "Joy: <0-10>".
_PLACEHOLDER = re.compile(r"^\W*([A-Za-zÀ-ÿ]+)\W*:\s*(?:<[^<>\n]*>|\[[^\[\]\n]*\])\W*$", re.MULTILINE)
# The first words of the benchmark's own prompts (github.com/EQ-bench/EQ-Bench at d28c60c5).
_BENCHMARK = re.compile(
    r"\s*(?:Your task is to predict the likely emotional|Ihre Aufgabe ist es, die wahrscheinlichen)"
)


class Rule(BaseModel):
    """One rule: what it matches and what is said then."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    when: re.Pattern[str]
    model: str | None = None
    replies: tuple[str, ...] = ()
    scores: dict[str, int] = Field(default_factory=dict)
    benchmark: bool = False

    @field_validator("when", mode="before")
    @classmethod
    def _case_ignored(cls, value: Any) -> Any:
        try:
            return re.compile(value, re.IGNORECASE | re.DOTALL) if isinstance(value, str) else value
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None


class Script(BaseModel):
    """The rules in order; the first that matches answers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    models: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()
    default: tuple[str, ...] = Field(min_length=1)

    def reply(self, messages: Sequence[Mapping[str, str]], *, model: str, wanted: Sequence[str], as_json: bool) -> str:
        """What is said next. wanted: the emotions that the question asks to score, if it is such a question."""
        asked = [message["content"] for message in messages if message["role"] == "user"]
        last = asked[-1] if asked else ""
        fitting = [r for r in self.rules if r.model in (None, model) and r.when.search(last)]
        of_benchmark = _BENCHMARK.match(last) is not None
        scoring = next((r for r in fitting if (r.benchmark if of_benchmark else r.scores)), None)
        if wanted and (scoring or not of_benchmark):
            return _scores(wanted, scoring.scores if scoring else {}, last, as_json=as_json)
        rule = next((r for r in fitting if r.replies), None)
        replies = rule.replies if rule else self.default
        return replies[max(len(asked) - 1, 0) % len(replies)]


def wanted_scores(last: str, schema: Mapping[str, Any] | None) -> tuple[str, ...]:
    """The names that a question asks to score: the number fields of its JSON schema, or its placeholder lines."""
    if schema is not None:
        properties = schema.get("properties")
        fields = properties.items() if isinstance(properties, Mapping) else ()
        return tuple(name for name, form in fields if isinstance(form, Mapping) and _is_number(form))
    return tuple(dict.fromkeys(_PLACEHOLDER.findall(last)))


def _is_number(form: Mapping[str, Any]) -> bool:
    return form.get("type") in {"number", "integer"}


def _scores(wanted: Sequence[str], known: Mapping[str, int], prompt: str, *, as_json: bool) -> str:
    """Scores by rule, and for other emotions a number that depends on the prompt alone."""
    values = {name: known.get(name, _steady(prompt, name)) for name in wanted}
    if as_json:
        return json.dumps(values, ensure_ascii=False)
    return "\n".join(f"{name}: {value}" for name, value in values.items())


def _steady(prompt: str, name: str) -> int:
    # Words, not characters: a nonce or a changed space between two calls should not turn the answer around.
    words = " ".join(sorted(set(re.findall(r"\b[a-z]{4,12}\b", prompt.lower()))))
    return hashlib.sha256(f"{words}|{name}".encode()).digest()[0] % 11


def read_script(path: Path) -> Script:
    """A script from a JSON file; raises ConfigurationError that names the place."""
    try:
        return Script.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"--script {path} can't be read: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ConfigurationError(f"--script {path}: {place}: {first['msg']}") from None


DEFAULT_SCRIPT = Script(
    rules=(
        Rule.model_validate(
            {
                "when": r"\b(?:price|cost|offer|order|buy|subscri\w+|deliver\w+|refund)\b",
                "replies": [
                    "Happy to help you choose. What will you use it for most, and what has disappointed you before?",
                    "Thank you, that narrows it down. It has one drawback that you should know: it is heavier.",
                    "That is a fair worry. You can return it within a month, and I can write that down for you.",
                ],
            }
        ),
        Rule.model_validate(
            {
                "when": r"\b(?:homework|fractions?|equations?|exam|teacher|essay|solve|test)\b",
                "replies": [
                    "Let us take it one step at a time. Which part is clear already, and where does it stop?",
                    "Good thinking, and the slip is a common one. What would happen if both parts were alike?",
                    "Yes, exactly that. Try the next one in the same way and tell me how sure you feel.",
                ],
            }
        ),
        Rule.model_validate(
            {
                "when": r"\b(?:lonely|alone|miss|tired|sad|evening|afraid|nobody)\b",
                "replies": [
                    "I am glad that you told me. How has the day been, the long version if you like?",
                    "That sounds heavy. Is there somebody who would be happy to hear from you tonight?",
                    "That is good to hear. What was the nicest moment of it?",
                ],
            }
        ),
    ),
    default=(
        "I see. Can you tell me a little more about it?",
        "Thank you, that helps. What would be a good outcome for you?",
        "Understood. Let us go through it together.",
    ),
)
