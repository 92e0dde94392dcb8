"""A tutor in the terminal that explains more simply once its pupil seems confused, and asks more once bored.

    python tutor.py --base-url http://127.0.0.1:8080/v1 --awareness http://127.0.0.1:8081 --model MODEL

Everything about eqwatch is in `Awareness` (one GET before each call) and `choose_style`. An estimate is one turn old
when it is read: it tells how the pupil felt in the message before. Without eqwatch the tutor teaches as ever.
"""

import argparse
import os
import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from urllib.parse import quote

import httpx2
from openai import OpenAI, OpenAIError
from openai.types.chat import ChatCompletionMessageParam

BASICS = (
    "You are a tutor. Explain one idea at a time in at most three sentences, then ask one short question about it. "
    "Never do the pupil's homework for them."
)
READ_TIMEOUT_SECONDS = 0.5
# A style begins at the first figure and ends under the second, so that it does not flicker.
BEGINS, ENDS = 6.0, 4.0
OLDEST_TURNS = 1


class Style(Enum):
    """How the next reply is to be written; the value is what the model is told."""

    PLAIN = ""
    SIMPLER = (
        "The pupil may be confused. Go one step back: use everyday words, one concrete example with small numbers, no "
        "new terms. Ask which part was unclear."
    )
    ENCOURAGING = (
        "The pupil may be frustrated. Say in one sentence what they already got right, offer a smaller step, and offer "
        "to pause."
    )
    HARDER = "The pupil may be bored. Skip what they know, and pose one surprising or harder question about the topic."


WATCHED = {"Frustration": Style.ENCOURAGING, "Confusion": Style.SIMPLER, "Boredom": Style.HARDER}


@dataclass(frozen=True)
class Reading:
    """How strongly one emotion was seen, 0..10, and how many turns ago."""

    intensity: float
    age_turns: int


class Awareness:
    """Reads what eqwatch saw in one conversation. Whatever goes wrong there, the lesson goes on: no reading."""

    def __init__(self, admin: str, conversation: str, token: str = "") -> None:
        self._path = f"/api/v1/conversations/{quote(conversation, safe='')}/emotions"
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._client = httpx2.Client(base_url=admin, headers=headers, timeout=READ_TIMEOUT_SECONDS)

    def read(self) -> dict[str, Reading]:
        """By emotion; empty where nothing is known (yet)."""
        try:
            answer = self._client.get(self._path)
        except httpx2.HTTPError as error:
            print(f"(eqwatch is out of reach: {error})", file=sys.stderr)
            return {}
        if answer.status_code == 404:  # not sampled, or not looked at yet
            return {}
        if answer.status_code != 200:
            print(f"(eqwatch answered {answer.status_code})", file=sys.stderr)
            return {}
        readings = answer.json()["emotions"].items()
        # Text that tries to steer the estimate says nothing about the pupil.
        return {name: Reading(one["intensity"], one["age_turns"]) for name, one in readings if not one["steered"]}


def choose_style(readings: Mapping[str, Reading], now: Style) -> Style:
    """The style of the next reply: of the strongest watched emotion that is fresh and high, else what still holds."""
    fresh = {name: one.intensity for name, one in readings.items() if one.age_turns <= OLDEST_TURNS}
    strongest = max(WATCHED, key=lambda name: fresh.get(name, 0.0))
    if fresh.get(strongest, 0.0) >= BEGINS:
        return WATCHED[strongest]
    holds = any(style is now and fresh.get(name, 0.0) >= ENDS for name, style in WATCHED.items())
    return now if holds else Style.PLAIN


class Lesson:
    """Owns the messages so far, and the style."""

    def __init__(self, client: OpenAI, model: str, awareness: Awareness, reply_tokens: int) -> None:
        self._client = client
        self._model = model
        self._awareness = awareness
        self._reply_tokens = reply_tokens
        self._said: list[ChatCompletionMessageParam] = []
        self.style = Style.PLAIN

    def say(self, text: str) -> str:
        """The tutor's reply to this message."""
        self.style = choose_style(self._awareness.read(), self.style)
        print(f"({self.style.name.lower()})", file=sys.stderr)
        self._said.append({"role": "user", "content": text})
        system = f"{BASICS}\n\n{self.style.value}".strip()
        with self._client.chat.completions.create(
            model=self._model,
            messages=[{"role": "system", "content": system}, *self._said],
            max_tokens=self._reply_tokens,
            stream=True,
        ) as chunks:
            pieces = []
            for chunk in chunks:
                if chunk.choices and (piece := chunk.choices[0].delta.content):
                    print(piece, end="", flush=True)
                    pieces.append(piece)
        print()
        reply = "".join(pieces)
        self._said.append({"role": "assistant", "content": reply})
        return reply


def main() -> int:
    """Teach until standard input ends."""
    parser = argparse.ArgumentParser(description="A tutor that notices confusion.")
    parser.add_argument("--base-url", default="http://127.0.0.1:8080/v1", help="eqwatch's data listener")
    parser.add_argument("--awareness", default="http://127.0.0.1:8081", help="eqwatch's admin listener")
    parser.add_argument("--model", required=True)
    parser.add_argument("--reply-tokens", type=int, default=200)
    parser.add_argument("--conversation", default=f"lesson-{uuid.uuid4()}", help="your id of it")
    options = parser.parse_args()
    awareness = Awareness(options.awareness, options.conversation, os.environ.get("EQWATCH_ADMIN_TOKEN", ""))
    headers = {"x-eqwatch-deployment": "tutor", "x-eqwatch-conversation": options.conversation}
    key = os.environ.get("OPENAI_API_KEY", "a-local-model-needs-none")
    with OpenAI(base_url=options.base_url, api_key=key, default_headers=headers) as client:
        lesson = Lesson(client, options.model, awareness, options.reply_tokens)
        print("What shall we look at? (Ctrl-D ends)", file=sys.stderr)
        for line in sys.stdin:
            if not line.strip():
                continue
            try:
                lesson.say(line.strip())
            except OpenAIError as error:
                print(f"(the model did not answer: {error})", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
