"""A shop's chat that never sells to an annoyed customer: upsells are offered to the interested, and to nobody else.

    python shop.py --base-url http://127.0.0.1:8080/v1 --model MODEL

The estimate comes with the answer itself, in the response header `x-eqwatch-emotions` (`relay.emotions_header = true`
in eqwatch.toml): no second connection, no token. It tells how the customer felt in a turn before the one just answered.
"""

import argparse
import os
import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from openai import OpenAI, OpenAIError
from openai.types.chat import ChatCompletionMessageParam

HEADER = "x-eqwatch-emotions"
EMOTIONS = ("interest", "trust", "annoyance", "disappointment")
BASICS = "You are the chat of a shop for kitchen appliances. Answer what was asked, in at most three sentences."
ANNOYED_FROM, INTERESTED_FROM = 5.0, 6.0
QUIET_TURNS = 3  # after annoyance nothing is sold for this many turns, whatever is estimated meanwhile


class Manner(Enum):
    """How the next reply is to be written; the value is what the model is told."""

    PLAIN = "Do not offer anything that was not asked for."
    REPAIR = (
        "The customer may be annoyed. Say sorry once, without excuses, say the next concrete step and when it will be "
        "done. Do not offer, praise or sell anything."
    )
    OFFER = "The customer seems interested. You may mention one fitting accessory, once, with its price."


@dataclass
class Tact:
    """Chooses the manner turn by turn. Not knowing means not selling."""

    _quiet: int = 0

    def choose(self, emotions: Mapping[str, float]) -> Manner:
        """The manner of the next reply. emotions: 0..10 by lower-case name, empty where nothing is known."""
        annoyed = max(emotions.get("annoyance", 0.0), emotions.get("disappointment", 0.0))
        if annoyed >= ANNOYED_FROM:
            self._quiet = QUIET_TURNS
            return Manner.REPAIR
        if self._quiet:
            self._quiet -= 1
            return Manner.PLAIN
        return Manner.OFFER if emotions.get("interest", 0.0) >= INTERESTED_FROM else Manner.PLAIN


def read_header(value: str) -> dict[str, float]:
    """Emotions by lower-case name; empty where there is no header, or where the text tried to steer the estimate.

    A dictionary of structured fields (RFC 9651) such as ``annoyance=6.5;trend=0.8, turn=3, judge="anchor", age=2``.
    """
    members = value.split(", ")
    if "steered" in members:
        return {}
    found = {}
    for member in members:
        name, _, number = member.partition(";")[0].partition("=")
        if name in EMOTIONS:
            found[name] = float(number)
    return found


class Shop:
    """Owns the messages so far, the tact, and what the newest header said."""

    def __init__(self, client: OpenAI, model: str, reply_tokens: int) -> None:
        self._client = client
        self._model = model
        self._reply_tokens = reply_tokens
        self._said: list[ChatCompletionMessageParam] = []
        self._seen: dict[str, float] = {}
        self._tact = Tact()
        self.manner = Manner.PLAIN

    def say(self, text: str) -> str:
        """The reply to this message."""
        self.manner = self._tact.choose(self._seen)
        self._said.append({"role": "user", "content": text})
        raw = self._client.chat.completions.with_raw_response.create(
            model=self._model,
            messages=[{"role": "system", "content": f"{BASICS} {self.manner.value}"}, *self._said],
            max_tokens=self._reply_tokens,
        )
        self._seen = read_header(raw.headers.get(HEADER, ""))
        reply = raw.parse().choices[0].message.content or ""
        self._said.append({"role": "assistant", "content": reply})
        return reply


def main() -> int:
    """Serve one customer until standard input ends."""
    parser = argparse.ArgumentParser(description="A shop that does not sell to the annoyed.")
    parser.add_argument("--base-url", default="http://127.0.0.1:8080/v1", help="eqwatch's data listener")
    parser.add_argument("--model", required=True)
    parser.add_argument("--reply-tokens", type=int, default=150)
    parser.add_argument("--conversation", default=f"customer-{uuid.uuid4()}", help="your id of it")
    options = parser.parse_args()
    headers = {"x-eqwatch-deployment": "marketing", "x-eqwatch-conversation": options.conversation}
    key = os.environ.get("OPENAI_API_KEY", "a-local-model-needs-none")
    with OpenAI(base_url=options.base_url, api_key=key, default_headers=headers) as client:
        shop = Shop(client, options.model, options.reply_tokens)
        for line in sys.stdin:
            if not line.strip():
                continue
            try:
                print(shop.say(line.strip()), flush=True)
            except OpenAIError as error:
                print(f"(the model did not answer: {error})", file=sys.stderr)
            print(f"({shop.manner.name.lower()})", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
