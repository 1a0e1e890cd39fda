"""Finding a model in a process of its own, so that the server never holds MLflow in memory.

Run as ``python -m serving.api.resolve``: reads a JSON object with home, cache and spec, and prints
the model as JSON. They are no options, since an address may hold a password.
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
from segmenter.tracking_server import Registry, TrackingServer

TIMEOUT_S = 120


def resolve_aside(home: Registry, spec: str | None) -> ResolvedModel:
    """See `segmenter.registry.resolve`.

    Raises
    ------
    RegistryError
        If there is no such model, or its bundle is not the registered one.
    """
    try:
        done = subprocess.run(  # noqa: S603 - this very module
            [sys.executable, "-m", __name__],
            input=json.dumps(_plain(home) | {"spec": spec}),
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_S,
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


def main(asked: dict[str, Any]) -> None:
    """Resolve what is asked for and print it."""
    told: dict[str, Any]
    try:
        found = resolve(_source(asked), asked["spec"])
        told = asdict(found) | {"folder": str(found.folder.resolve())}
    except SegmenterError as error:
        told = {"error": str(error)}
    print(json.dumps(told))  # noqa: T201 - the answer to the parent


def _plain(home: Registry) -> dict[str, Any]:
    if isinstance(home, MlflowHome):
        return {"home": str(home.root), "cache": None}
    return {"home": home.uri, "cache": str(home.cache.resolve())}


def _source(asked: dict[str, Any]) -> Registry:
    """Inverse of `_plain`."""
    if asked["cache"] is None:
        return MlflowHome(Path(asked["home"]))
    return TrackingServer(asked["home"], Path(asked["cache"]))


if __name__ == "__main__":
    main(json.load(sys.stdin))
