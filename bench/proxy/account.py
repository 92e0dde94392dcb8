"""What the kernel says that processes used: CPU by the scheduler's account, resident memory, and the process tree.

Reads /proc only (Linux); a process or thread that ends while it is read counts as nothing.
"""

import os
from collections.abc import Iterable
from pathlib import Path

__all__ = ["cpu_us", "descendants", "machine_busy_us", "pin", "resident_kib", "tree"]

_PROC = Path("/proc")


def _parents() -> dict[int, list[int]]:
    children: dict[int, list[int]] = {}
    for entry in _PROC.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = (entry / "stat").read_text()
        except OSError:
            continue
        # The command's name may hold blanks and brackets; the fields after the last bracket do not.
        parent = int(stat.rpartition(")")[2].split()[1])
        children.setdefault(parent, []).append(int(entry.name))
    return children


def descendants(pid: int) -> list[int]:
    """The ids of all processes below this one, nearest first."""
    children = _parents()
    found: list[int] = []
    queue = [pid]
    while queue:
        below = children.get(queue.pop(0), [])
        found += below
        queue += below
    return found


def tree(pid: int) -> list[int]:
    """The process and everything below it."""
    return [pid, *descendants(pid)]


def _tasks(pid: int) -> list[Path]:
    try:
        return list((_PROC / str(pid) / "task").iterdir())
    except OSError:
        return []


def cpu_us(pids: Iterable[int]) -> float:
    """Microseconds on a CPU of all living threads of these processes, from their schedstat (nanoseconds)."""
    total = 0
    for pid in pids:
        for task in _tasks(pid):
            try:
                total += int((task / "schedstat").read_text().split()[0])
            except OSError:
                continue
    return total / 1000


def resident_kib(pids: Iterable[int]) -> int:
    """Sum of VmRSS in KiB."""
    total = 0
    for pid in pids:
        try:
            status = (_PROC / str(pid) / "status").read_text()
        except OSError:
            continue
        for line in status.splitlines():
            if line.startswith("VmRSS:"):
                total += int(line.split()[1])
    return total


def machine_busy_us() -> float:
    """Microseconds that all CPUs together were not idle since the machine started (steal included)."""
    fields = [int(x) for x in (_PROC / "stat").read_text().splitlines()[0].split()[1:9]]
    user, nice, system, _idle, _iowait, irq, softirq, steal = fields
    return (user + nice + system + irq + softirq + steal) * 1e6 / os.sysconf("SC_CLK_TCK")


def pin(pids: Iterable[int], cpu: int) -> None:
    """Keep all threads of these processes on one CPU."""
    for pid in pids:
        for task in _tasks(pid):
            try:
                os.sched_setaffinity(int(task.name), {cpu})
            except OSError:
                continue
