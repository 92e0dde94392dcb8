"""The companion as a robot: no keyboard. What was heard comes in as lines, what to do goes out as JSON lines.

    speech-to-text | python robot.py --model MODEL | motors-and-voice

Estimates arrive by event stream from the local anchor, so that awareness calls no model; the robot slows its voice and
its movements as soon as one arrives, also in the middle of a silence.
"""

import argparse
import json
import os
import sys
import threading
import uuid
from collections.abc import Mapping
from typing import Any

from companion import ALWAYS, Company
from estimates import Estimates
from mood import Mood, Pace
from openai import OpenAI

MOVEMENTS: Mapping[Pace, Mapping[str, Any]] = {
    Pace.NORMAL: {"speech_rate": 1.0, "motion": "normal", "gaze": "meeting"},
    Pace.GENTLE: {"speech_rate": 0.8, "motion": "still", "gaze": "soft"},
}


class Body:
    """Writes one action a line; two threads do, so each line is written whole."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def do(self, action: Mapping[str, Any]) -> None:
        """Send an action to the motors and the voice."""
        with self._lock:
            print(json.dumps(action), flush=True)


class Robot:
    """Owns the mood. An estimate changes how the robot moves before it says anything."""

    def __init__(self, body: Body) -> None:
        self.mood = Mood()
        self._body = body

    def feel(self, turn: int, emotions: Mapping[str, float]) -> None:
        """An estimate came."""
        before = self.mood.pace
        self.mood.take(turn, emotions)
        if self.mood.pace is not before:
            self._body.do({"move": MOVEMENTS[self.mood.pace], "turn": turn})


def main() -> int:
    """Listen until nothing more is heard."""
    parser = argparse.ArgumentParser(description="A companion robot.")
    parser.add_argument("--base-url", default="http://127.0.0.1:8080/v1", help="eqwatch's data listener")
    parser.add_argument("--awareness", default="http://127.0.0.1:8081", help="eqwatch's admin listener")
    parser.add_argument("--model", required=True)
    parser.add_argument("--reply-tokens", type=int, default=60)
    parser.add_argument("--conversation", default=f"robot-{uuid.uuid4()}", help="your id of it")
    options = parser.parse_args()
    body = Body()
    robot = Robot(body)
    estimates = Estimates(
        options.awareness, options.conversation, robot.feel, os.environ.get("EQWATCH_ADMIN_TOKEN", "")
    )
    estimates.start()
    headers = {"x-eqwatch-deployment": "companion", "x-eqwatch-conversation": options.conversation}
    key = os.environ.get("OPENAI_API_KEY", "a-local-model-needs-none")
    with OpenAI(base_url=options.base_url, api_key=key, default_headers=headers) as client:
        company = Company(client, options.model, robot.mood, options.reply_tokens)
        body.do({"say": ALWAYS, "move": MOVEMENTS[Pace.NORMAL]})
        for heard in sys.stdin:
            if heard.strip():
                body.do({"say": company.say(heard.strip()), "move": MOVEMENTS[robot.mood.pace]})
    estimates.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
