"""A typed, OpenAI-compatible server that answers from recordings and scripts: for dry runs, demos and tests.

It is a real server on a real socket, and as far as a benchmark can tell the recorded model itself.
"""

from middleware.benchmark.fake_upstream.app import FakeUpstream, create_app
from middleware.benchmark.fake_upstream.faults import FaultPlan, parse_fault
from middleware.benchmark.fake_upstream.noise import Noise
from middleware.benchmark.fake_upstream.recordings import PromptBook, Recording, Stages, read_recording
from middleware.benchmark.fake_upstream.script import DEFAULT_SCRIPT, Script, read_script
from middleware.benchmark.fake_upstream.server import FakeServer, bind, serve_app

__all__ = [
    "DEFAULT_SCRIPT",
    "FakeServer",
    "FakeUpstream",
    "FaultPlan",
    "Noise",
    "PromptBook",
    "Recording",
    "Script",
    "Stages",
    "bind",
    "create_app",
    "parse_fault",
    "read_recording",
    "read_script",
    "serve_app",
]
