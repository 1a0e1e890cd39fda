"""Finding a model in a process of its own, so that the server never holds MLflow in memory.

Run as ``python -m serving.api.resolve HOME [SPEC]``: prints the model as JSON.
"""

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from segmenter.errors import RegistryError, SegmenterError
from segmenter.mlflow_home import MlflowHome
from segmenter.registry import ResolvedModel, resolve

TIMEOUT_S = 120


def resolve_aside(home: MlflowHome, spec: str | None) -> ResolvedModel:
    """See `segmenter.registry.resolve`.

    Raises
    ------
    RegistryError
        If there is no such model, or its bundle is not the registered one.
    """
    command = [sys.executable, "-m", __name__, str(home.root), *([spec] if spec else [])]
    try:
        done = subprocess.run(  # noqa: S603 - this very module
            command, capture_output=True, text=True, check=False, timeout=TIMEOUT_S
        )
        told = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        message = f"cannot look into {home.path}: {type(error).__name__}: {error}; try again"
        raise RegistryError(message) from error
    if "error" in told:
        raise RegistryError(told["error"])
    return ResolvedModel(
        **told | {"aliases": tuple(told["aliases"]), "folder": Path(told["folder"])}
    )


def main(words: list[str]) -> None:
    """Resolve what the command line names and print it."""
    told: dict[str, Any]
    try:
        found = resolve(MlflowHome(Path(words[0])), words[1] if len(words) > 1 else None)
        told = asdict(found) | {"folder": str(found.folder.resolve())}
    except SegmenterError as error:
        told = {"error": str(error)}
    print(json.dumps(told))  # noqa: T201 - the answer to the parent


if __name__ == "__main__":
    main(sys.argv[1:])
