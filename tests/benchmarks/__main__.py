"""Run benchmarks: ``python -m tests.benchmarks [NAME...] [--json FILE]``.

A benchmark is a module ``bench_NAME.py`` in this folder with a function ``run() -> dict``. The
key ``rows`` of what it returns is a list of dicts with equal keys, the table; everything else is
said about the table as it is. Without a name every benchmark runs.
"""

import argparse
import importlib
import json
import os
import platform
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from tests.benchmarks.tables import show

PREFIX = "bench_"


def names() -> list[str]:
    """Every benchmark of this folder."""
    return sorted(path.stem[len(PREFIX) :] for path in Path(__file__).parent.glob(f"{PREFIX}*.py"))


def machine() -> dict[str, Any]:
    """Where the figures come from."""
    return {"cores": os.cpu_count(), "python": platform.python_version(), "cpu": _cpu_name()}


def _cpu_name() -> str:
    listed = Path("/proc/cpuinfo")
    lines = listed.read_text(encoding="utf-8").splitlines() if listed.exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor()


def main() -> None:
    """Run the named benchmarks, print their tables, and write them down after each."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(names()))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here too")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.names) - set(names()))
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(names())}")
    console = Console(highlight=False)
    results: dict[str, Any] = {"machine": machine()}
    for name in arguments.names or names():
        began = time.perf_counter()
        result = importlib.import_module(f"tests.benchmarks.{PREFIX}{name}").run()
        results[name] = result | {"seconds": round(time.perf_counter() - began, 1)}
        show(name, results[name], console)
        if arguments.json is not None:
            arguments.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
