"""`python -m bench.dashboards --out DIR`: records the day, serves it, draws every dashboard."""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from bench.dashboards.preview import draw
from bench.dashboards.prometheus import missing, serving
from bench.dashboards.recording import record
from middleware.observe.dashboards import dashboard_files


def main() -> int:
    """Exit code 1 where the machine lacks Prometheus."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/screenshots"))
    arguments = parser.parse_args()
    if reason := missing():
        print(reason, file=sys.stderr)
        return 1
    arguments.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        recorded = record(Path(folder))
        with serving(recorded.path, Path(folder)) as prometheus:
            for name, text in dashboard_files(status_url="http://127.0.0.1:8081").items():
                path = arguments.out / name.replace("eqwatch-", "dashboard-").replace(".json", ".png")
                draw(json.loads(text), recorded, prometheus, path)
                print(f"wrote {path} ({path.stat().st_size} bytes)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
