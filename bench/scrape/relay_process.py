"""The relay as `serve` runs it, with a control process that has figures of 20 deployments (bench.scrape.control).

python -P -m bench.scrape.relay_process CONFIG.json ADMIN_PORT DEPLOYMENTS EMOTIONS ITEM_SETS
"""

import sys
from pathlib import Path

import msgspec

from middleware.records.relay import RelayConfig
from middleware.server import serve


def main(config_path: str, *control: str) -> int:
    """Run until ended by a signal; the exit code."""
    config = msgspec.json.decode(Path(config_path).read_bytes(), type=RelayConfig)
    return serve(config, [sys.executable, "-P", "-m", "bench.scrape.control", *control], b"")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
