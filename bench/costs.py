"""What processes cost, from /proc: a server is a process and all its children."""

import os
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Costs:
    """Sums over a tree of processes since each began."""

    cpu_seconds: float
    written_bytes: int

    def __sub__(self, earlier: "Costs") -> "Costs":
        return Costs(self.cpu_seconds - earlier.cpu_seconds, self.written_bytes - earlier.written_bytes)


def tree(roots: list[int]) -> list[int]:
    """The processes `roots` and all below them."""
    found, waiting = [], list(roots)
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            try:
                waiting.extend(int(child) for child in task.read_text().split())
            except OSError:
                continue
    return found


def read(roots: list[int]) -> Costs:
    cpu, written = 0.0, 0
    for pid in tree(roots):
        try:
            # Behind the name in brackets: utime, stime, and those of children that were waited for (proc(5)).
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            cpu += sum(int(value) for value in fields[11:15]) / TICKS
            io = dict(line.split(": ") for line in Path(f"/proc/{pid}/io").read_text().splitlines())
            written += int(io["write_bytes"])
        except (OSError, KeyError):
            continue
    return Costs(cpu, written)


def pss_bytes(roots: list[int]) -> int:
    """Proportional set size: memory, with what is shared divided among its users."""
    total = 0
    for pid in tree(roots):
        try:
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
        except OSError:
            continue
    return total


def others_busy(roots: list[int], seconds: float) -> float:
    """How many cores anything but `roots` keeps busy, measured for some seconds."""
    import time

    def all_cpu() -> float:
        fields = Path("/proc/stat").read_text().splitlines()[0].split()
        # user, nice, system, irq, softirq; not idle, not waiting for a disk.
        return sum(int(fields[index]) for index in (1, 2, 3, 6, 7)) / TICKS

    before, own = all_cpu(), read(roots).cpu_seconds
    time.sleep(seconds)
    return (all_cpu() - before - (read(roots).cpu_seconds - own)) / seconds
