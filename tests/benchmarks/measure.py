"""What a piece of work costs: CPU and wall seconds and peak memory, in a process of its own."""

import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
import json, os, re, sys, time
from pathlib import Path
told = {{}}
{setup}
cpu, wall = time.process_time(), time.perf_counter()
{work}
cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text()).group(1)
cost = {{"cpu_s": cpu, "wall_s": wall, "peak_mb": int(peak) / 1024, "told": told}}
print(json.dumps(cost), flush=True)
os._exit(0)  # what a library left running in the background must not keep the process
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
    told
        What the code put into ``told``.
    """

    cpu_s: float
    wall_s: float
    peak_mb: float
    told: dict[str, Any] = field(default_factory=dict)


def cost_of(work: str, *arguments: str, setup: str = "", python: str = sys.executable) -> Cost:
    """Run Python code in a new process and tell its cost.

    The peak is read from the kernel's own count for the process (Linux), since what
    ``getrusage`` tells of a child begins at the size of its parent.

    Parameters
    ----------
    work
        The code that is measured; it finds the arguments in ``sys.argv[1:]`` and may put plain
        values into the dict ``told``.
    arguments
        For the code.
    setup
        Code that is run first, such as imports.
    python
        Interpreter of the environment that the code runs in.
    """
    script = SCRIPT.format(setup=setup, work=work)
    done = subprocess.run(  # noqa: S603 - code of the benchmarks
        [python, "-c", script, *arguments],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return Cost(**json.loads(done.stdout.splitlines()[-1]))
