"""A generated set as a folder: event log, what each journey stands for, manifest and report."""

import math
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from segmenter.clock import iso
from segmenter.errors import OutputError
from segmenter.files import atomic_folder, digest_of_file, write_json
from segmenter.generation.population import Population
from segmenter.generation.report import Report
from segmenter.generation.request import Drawn, Request

FORMAT = "segmenter generated journeys"
FORMAT_VERSION = 1
EVENTS, UNMOVED, JOURNEYS = "events.parquet", "unmoved.parquet", "journeys.parquet"
MANIFEST, REPORT = "manifest.json", "report.json"


def write_set(
    out: Path, population: Population, request: Request, *, drawn: Drawn, report: Report | None
) -> dict[str, Any]:
    """Write a set, atomically.

    Parameters
    ----------
    out
        Folder; an older set there is replaced.
    population, request
        What it was drawn from, and as what.
    drawn
        The journeys.
    report
        What was measured; None where a set stands for nobody.

    Returns
    -------
    dict
        The manifest.

    Raises
    ------
    OutputError
        If something else stands there, or it cannot be written.
    """
    if out.exists() and not (out / MANIFEST).is_file() and (out.is_file() or any(out.iterdir())):
        message = f"{out} holds something else; give an empty or a new folder"
        raise OutputError(message)
    vocabulary = population.model.network.vocabulary
    tables = {
        EVENTS: drawn.journeys.table(vocabulary),
        JOURNEYS: journeys_table(population, drawn),
    }
    if drawn.unmoved is not None:
        tables[UNMOVED] = drawn.unmoved.table(vocabulary)
    try:
        with atomic_folder(out) as folder:
            for name, table in tables.items():
                table.write_parquet(folder / name)
            if report is not None:
                write_json(folder / REPORT, plain(report))
            manifest = manifest_of(population, request, drawn) | {
                "files": {one.name: digest_of_file(one) for one in sorted(folder.iterdir())}
            }
            write_json(folder / MANIFEST, manifest)
    except OSError as error:
        message = f"cannot write {out}: {error}; choose another folder"
        raise OutputError(message) from error
    return manifest


def journeys_table(population: Population, drawn: Drawn) -> pl.DataFrame:
    """Per journey its user, point, segment, step and length."""
    events = drawn.journeys.table(population.model.network.vocabulary)
    points = drawn.journeys.points.astype(np.float32)
    return pl.DataFrame(
        {
            "user": events["user"].unique(maintain_order=True),
            "step": drawn.step,
            "segment_id": population.model.assign(points).segment_id,
            "n_events": drawn.journeys.batch.lengths.numpy(),
            "point": pl.Series(points, dtype=pl.Array(pl.Float32, points.shape[1])).arr.to_list(),
        }
    )


def manifest_of(population: Population, request: Request, drawn: Drawn) -> dict[str, Any]:
    """Everything that draws the same set again, and its counts."""
    correction = drawn.correction
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "synthetic": True,
        "model_digest": population.model.digest,
        "store_digest": population.store.digest,
        "as_of": iso(population.as_of),
        "request": plain(request)
        | {
            "direction": request.direction and request.direction.name,
            "users": len(request.users),
        },
        "n_users": len(drawn.journeys),
        "n_events": int(drawn.journeys.batch.lengths.sum()),
        "max_events": population.model.network.config.sequence_events,
        "path": drawn.path
        and {
            "monotonicity": drawn.path.monotonicity,
            "largest_step": drawn.path.largest_step,
        },
        "correction": None
        if correction is None
        else {
            "applied": correction.applied,
            "n_candidates": correction.n_candidates,
            "n_effective": correction.n_effective,
        },
    }


def plain(value: Any) -> Any:  # noqa: ANN401 - any result
    """A result as JSON can say it; what is no number is null."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
