"""A review goes to where people look: artifacts, metrics, tags, description, and the log."""

import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segmenter.files import digest_of_file, write_json, write_text
from segmenter.mlflow_home import import_mlflow
from segmenter.tracking_server import Registry
from training.review.approval import REPORT_PLACE, REVIEW
from training.review.card import model_card
from training.review.decision_log import Decision, Entry
from training.review.desk import open_desk
from training.review.page import render_page, side_by_side
from training.review.review import Review
from training.review.verdict import FAIL, NOT_JUDGED, PASS, Gate
from training.tracking import as_registry_error

FOLDER, PLAIN = REPORT_PLACE.split("/")
CARD, PAGE, MAPS = "model_card.md", "review.html", "maps.svg"
VERDICT_VALUES = {PASS: 1.0, NOT_JUDGED: 0.0, FAIL: -1.0}
"""A verdict as a metric, so that versions can be compared in MLflow."""
MAX_TAG = 500


@dataclass(frozen=True)
class Published:
    """A review where people find it.

    Attributes
    ----------
    entry
        The line of the log that says so.
    place
        The artifacts, as MLflow names them.
    """

    entry: Entry
    place: str


def write_files(found: Review, folder: Path) -> None:
    """Write card, page, figures and maps into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / CARD, model_card(found))
    write_text(folder / PAGE, render_page(found))
    write_json(folder / PLAIN, found.to_json())
    write_text(folder / MAPS, side_by_side(found))


def publish(home: Registry, found: Review, *, by: str) -> Published:
    """Log a review to the run of its version, and write it into the log of decisions.

    Files come first, the entry of the log last: what the log names exists.

    Parameters
    ----------
    home
        Where the model is registered.
    found
        The review.
    by
        Who asked for it.

    Raises
    ------
    RegistryError
        If MLflow cannot be written.
    ReviewError
        If the log of decisions is broken.
    """
    version, run_id = found.challenger, found.challenger.run_id
    assert version.version is not None
    place = f"runs:/{run_id}/{FOLDER}"
    with (
        tempfile.TemporaryDirectory(prefix="segmenter-") as scratch,
        as_registry_error(f"the review of {version.label} could not be logged"),
    ):
        folder = Path(scratch)
        write_files(found, folder)
        client = home.client()
        client.log_artifacts(run_id, str(folder), FOLDER)
        client.log_batch(run_id, metrics=_metrics(found.gates))
        card = (folder / CARD).read_text(encoding="utf-8")
        client.update_model_version(version.name, str(version.version), description=card)
        report = digest_of_file(folder / PLAIN)
    with open_desk(home, version.name) as desk:
        decision = Decision(
            REVIEW,
            version.name,
            version.version,
            version.digest,
            by,
            found.verdict,
            tags={str(version.version): _tags(found, by=by, place=place)},
            details={
                "against": None if found.champion is None else found.champion.label,
                "failed": list(found.failed),
                "not_judged": list(found.not_judged),
                "report": report,
                "place": place,
            },
        )
        return Published(desk.decide(decision), place)


def _metrics(gates: tuple[Gate, ...]) -> list[Any]:
    metric, now = import_mlflow().entities.Metric, int(time.time() * 1000)
    values: dict[str, float] = {}
    for gate in gates:
        values[f"review/{gate.name} verdict"] = VERDICT_VALUES[gate.verdict]
        for side, figure in (("challenger", gate.challenger), ("champion", gate.champion)):
            if figure is not None:
                values[f"review/{gate.name} {side}"] = figure
    return [metric(name, value, now, 0) for name, value in values.items()]


def _tags(found: Review, *, by: str, place: str) -> Mapping[str, str]:
    """What the page of the version shows beside the card."""
    gates = {
        f"review.gate.{gate.name}": f"{gate.verdict}: {gate.reason}"[:MAX_TAG]
        for gate in found.gates
    }
    return {
        "review.status": "reviewed",
        "review.verdict": found.verdict,
        "review.against": "none" if found.champion is None else found.champion.label,
        "review.bundle": found.challenger.digest,
        "review.at": found.at,
        "review.by": by,
        "review.report_uri": f"{place}/{PAGE}",
        **gates,
    }
