"""A description of the machine without anything that names it."""

import os
import platform
import subprocess
from pathlib import Path

from bench.proxy.report import Machine

__all__ = ["describe"]


def describe() -> Machine:
    """Processor, cores, memory and versions, from /proc and the programs themselves."""
    cpu = "unknown"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            cpu = " ".join(line.partition(":")[2].split())
            break
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    nginx = (
        subprocess.run(["nginx", "-v"], capture_output=True, text=True, check=False).stderr.strip().rpartition("/")[2]
    )
    kernel = ".".join(platform.release().split(".")[:2])
    cpus = os.cpu_count() or 0
    return Machine(cpu, cpus, round(pages / 2**30, 1), f"Linux {kernel}", platform.python_version(), nginx)
