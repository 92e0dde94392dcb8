"""A companion in the terminal that slows down for a low mood and offers people to somebody who stays distressed.

    python companion.py --base-url http://127.0.0.1:8080/v1 --awareness http://127.0.0.1:8081 --model MODEL

It is no crisis detector: the help line is printed first thing, for everybody, whatever is estimated.
"""

import argparse
import os
import sys
import uuid

from estimates import Estimates
from mood import Mood
from openai import OpenAI, OpenAIError
from openai.types.chat import ChatCompletionMessageParam

BASICS = (
    "You are a companion. Keep people company honestly: warm, brief, never flattering. You encourage contact with "
    "other people, and you are no replacement for them."
)
OFFER = "If you would rather talk to a person: shall I call somebody you trust, or put you through to our team?"
ALWAYS = "(In danger, or you do not want to live any more? Call 112 or your local help line. I am a program.)"


class Company:
    """Owns the messages so far; the mood is fed by the event stream."""

    def __init__(self, client: OpenAI, model: str, mood: Mood, reply_tokens: int) -> None:
        self._client = client
        self._model = model
        self._mood = mood
        self._reply_tokens = reply_tokens
        self._said: list[ChatCompletionMessageParam] = []

    def say(self, text: str) -> str:
        """The reply; where it is time, people are offered after it, in words that no model chose."""
        self._said.append({"role": "user", "content": text})
        system = f"{BASICS}\n\n{self._mood.pace.value}".strip()
        answer = self._client.chat.completions.create(
            model=self._model,
            messages=[{"role": "system", "content": system}, *self._said],
            max_tokens=self._reply_tokens,
        )
        reply = answer.choices[0].message.content or ""
        self._said.append({"role": "assistant", "content": reply})
        return f"{reply}\n{OFFER}" if self._mood.take_offer() else reply


def main() -> int:
    """Keep company until standard input ends."""
    parser = argparse.ArgumentParser(description="A companion that slows down.")
    parser.add_argument("--base-url", default="http://127.0.0.1:8080/v1", help="eqwatch's data listener")
    parser.add_argument("--awareness", default="http://127.0.0.1:8081", help="eqwatch's admin listener")
    parser.add_argument("--model", required=True)
    parser.add_argument("--reply-tokens", type=int, default=120)
    parser.add_argument("--conversation", default=f"company-{uuid.uuid4()}", help="your id of it")
    options = parser.parse_args()
    mood = Mood()
    estimates = Estimates(options.awareness, options.conversation, mood.take, os.environ.get("EQWATCH_ADMIN_TOKEN", ""))
    estimates.start()
    headers = {"x-eqwatch-deployment": "companion", "x-eqwatch-conversation": options.conversation}
    key = os.environ.get("OPENAI_API_KEY", "a-local-model-needs-none")
    with OpenAI(base_url=options.base_url, api_key=key, default_headers=headers) as client:
        company = Company(client, options.model, mood, options.reply_tokens)
        print(ALWAYS)
        for line in sys.stdin:
            if not line.strip():
                continue
            try:
                print(company.say(line.strip()))
            except OpenAIError as error:
                print(f"(the model did not answer: {error})", file=sys.stderr)
            print(f"(pace: {mood.pace.name.lower()})", file=sys.stderr)
    estimates.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
