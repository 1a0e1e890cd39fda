"""A bundle proves itself in a process of its own: it loads as data and repeats its golden vectors.

Run as ``python -m training.review.proof FOLDER``: prints what it found as JSON. Neither MLflow nor
any code from the model takes part.
"""

import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from segmenter.errors import BundleError, SegmenterError

TIMEOUT_S = 300
NO_CODE = {
    "MLFLOW_ALLOW_MODEL_CODE_EXECUTION": "false",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
}


@dataclass(frozen=True)
class Proof:
    """What a fresh process found in a bundle.

    Attributes
    ----------
    digest
        Of the bundle that was loaded, file by file.
    n_golden
        Histories whose answers were repeated; 0 for a bundle from before these were kept.
    error
        Largest difference of a coordinate.
    load_s
        Seconds from the folder to a model that can answer.
    resident_mb
        Memory of the process at its end.
    """

    digest: str
    n_golden: int
    error: float
    load_s: float
    resident_mb: float


def prove(folder: Path) -> Proof:
    """Load a bundle in a fresh process and let it repeat its golden vectors.

    Raises
    ------
    BundleError
        If it does not load, or answers differently.
    """
    command = [sys.executable, "-m", __name__, str(folder)]
    try:
        done = subprocess.run(  # noqa: S603 - this very module
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_S,
            env=dict(os.environ) | NO_CODE,
        )
        told = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        message = f"{folder} could not be tried in a process of its own: {error}; try again"
        raise BundleError(message) from error
    if "refused" in told:
        raise BundleError(told["refused"])
    return Proof(**told)


def main(folder: Path) -> None:
    """Load, check, print."""
    from segmenter.audience_model import AudienceModel  # noqa: PLC0415 - in this process alone

    told: dict[str, object]
    try:
        start = time.perf_counter()
        model = AudienceModel.load(folder)
        load_s = time.perf_counter() - start
        golden = model.golden
        error = 0.0 if golden is None else golden.check(model)
        n_golden = 0 if golden is None else len(golden.as_of)
        told = asdict(Proof(model.digest, n_golden, error, load_s, _resident_mb()))
    except SegmenterError as error:
        told = {"refused": str(error)}
    assert "mlflow" not in sys.modules
    print(json.dumps(told))  # noqa: T201 - the answer to the parent


def _resident_mb() -> float:
    """Most memory that this process held; elsewhere than on Linux its parent's may be in it."""
    status = Path("/proc/self/status")
    if status.exists():
        lines = status.read_text(encoding="ascii", errors="replace").splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main(Path(sys.argv[1]))
