"""What a piece of work costs: CPU and wall seconds and peak memory, in a process of its own."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
import json, re, sys, time
from pathlib import Path
{setup}
cpu, wall = time.process_time(), time.perf_counter()
{work}
cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text()).group(1)
print(json.dumps({{"cpu_s": cpu, "wall_s": wall, "peak_mb": int(peak) / 1024}}))
"""


@dataclass(frozen=True)
class Cost:
    """What some work took.

    Attributes
    ----------
    cpu_s, wall_s
        Seconds of the work alone, all threads together for CPU; the set-up does not count.
    peak_mb
        Most memory that the process ever held, in MiB, mapped pages of files included.
    """

    cpu_s: float
    wall_s: float
    peak_mb: float


def cost_of(work: str, *arguments: str, setup: str = "") -> Cost:
    """Run Python code in a new process and tell its cost.

    The peak is read from the kernel's own count for the process (Linux), since what
    ``getrusage`` tells of a child begins at the size of its parent.

    Parameters
    ----------
    work
        The code that is measured; it finds the arguments in ``sys.argv[1:]``.
    arguments
        For the code.
    setup
        Code that is run first, such as imports.
    """
    script = SCRIPT.format(setup=setup, work=work)
    done = subprocess.run(  # noqa: S603 - code of the benchmarks
        [sys.executable, "-c", script, *arguments],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return Cost(**json.loads(done.stdout.splitlines()[-1]))
