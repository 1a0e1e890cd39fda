"""Two scored populations compared: segments, inputs and embeddings, and what is out of bounds."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from segmenter.events.store import EventStore
from segmenter.space.drift import MIN_GROUP, Drift, SegmentDrift, drift_by_segment, measure_drift
from segmenter.space.whitening import fit_whitening
from segmenter.validity.window import DAY_US
from serving.health.inputs import InputDrift, input_drifts, spans
from serving.health.limits import Limits, Reason
from serving.health.movement import Movement, SegmentMovement, measure_movement
from serving.health.scored import NEW, OLD, Scored
from serving.space_plain import plain

SAMPLE_USERS = 10_000
"""Users on either side whose embeddings are compared; a permutation test of more says the same."""


@dataclass(frozen=True)
class EmbeddingDrift:
    """How far the embeddings of one population are from those of another.

    Attributes
    ----------
    whole
        Of everybody.
    segments
        Inside each segment.
    """

    whole: Drift
    segments: tuple[SegmentDrift, ...]

    def inside(self, number: int) -> SegmentDrift | None:
        """Of one segment; None where neither sample has it."""
        return next((one for one in self.segments if one.segment == number), None)


@dataclass(frozen=True)
class Health:
    """Everything that is said of two scored populations.

    Attributes
    ----------
    old, new
        The folders.
    movement
        Who went where.
    inputs
        Per field; empty without stores.
    embeddings
        None where they cannot be compared.
    notes
        What a reader should know.
    now
        When it was compared, microseconds.
    reasons
        Limits that were passed; empty when all is well.
    """

    old: Scored
    new: Scored
    movement: Movement
    inputs: tuple[InputDrift, ...]
    embeddings: EmbeddingDrift | None
    notes: tuple[str, ...]
    now: int
    reasons: tuple[Reason, ...] = ()

    @property
    def ages(self) -> dict[str, float | None]:
        """Days from the model's data, and from the older scores, to the newer ones; and since."""
        model, as_of = self.new.model_as_of, self.new.as_of
        return {
            "model_days": None if model is None else (as_of - model) / DAY_US,
            "between_days": (as_of - self.old.as_of) / DAY_US,
            "data_days": (self.now - as_of) / DAY_US,
        }

    def to_json(self) -> dict[str, Any]:
        """Plain form for scripts."""
        movement = self.movement
        return {
            "old": _side(self.old, movement.n_old),
            "new": _side(self.new, movement.n_new),
            "age": self.ages,
            "users_of_both": movement.n_both,
            "kept_share": movement.kept_share,
            "flow": [asdict(row) for row in movement.flow],
            "segments": [self._segment(one) for one in movement.segments],
            "inputs": [field.to_json() for field in self.inputs],
            "embeddings": _plain_drift(self.embeddings.whole if self.embeddings else None),
            "notes": list(self.notes),
            "reasons": [asdict(reason) for reason in self.reasons],
            "passed": not self.reasons,
        }

    def _segment(self, one: SegmentMovement) -> dict[str, Any]:
        inside = self.embeddings.inside(one.id) if self.embeddings else None
        change = one.change if np.isfinite(one.change) else None
        drift = _plain_drift(inside.drift if inside else None)
        return asdict(one) | {"change": change, "drift": drift, "p": inside.p if inside else None}


def compare(
    old: Path,
    new: Path,
    *,
    stores: tuple[Path, Path] | None,
    limits: Limits,
    now: int,
    seed: int,
) -> Health:
    """Compare two folders of scores.

    Parameters
    ----------
    old, new
        Folders that `segmenter score` wrote.
    stores
        Event stores of the old and of the new scores, for the drift of inputs; None leaves it out.
    limits
        What is still in bounds.
    now
        The present, microseconds: tells how old the newer data are.
    seed
        Of samples and relabellings.

    Raises
    ------
    SourceError
        If a folder holds no finished scores.
    StoreError
        If a folder is no event store.
    """
    sides = Scored.open(old), Scored.open(new)
    inputs: tuple[InputDrift, ...] = ()
    if stores is not None:
        opened = [EventStore.open(path) for path in stores]
        both = spans(*opened, old_as_of=sides[0].as_of, new_as_of=sides[1].as_of)
        inputs = input_drifts(*both, seed=seed)
    embeddings, why = _embeddings(*sides, seed=seed)
    notes = (*_model_notes(*sides), *why)
    found = Health(*sides, measure_movement(*sides), inputs, embeddings, notes, now)
    return replace(found, reasons=tuple(_reasons(found, limits)))


def _embeddings(
    old: Scored, new: Scored, *, seed: int
) -> tuple[EmbeddingDrift | None, tuple[str, ...]]:
    """Drift of the embeddings, and what is to be said of it."""
    then, now = (
        one.sampled(side, SAMPLE_USERS, seed=seed) for side, one in ((OLD, old), (NEW, new))
    )
    if then[0].shape[1] != now[0].shape[1]:
        widths = f"{then[0].shape[1]} and {now[0].shape[1]}"
        return None, (f"The embeddings have {widths} numbers, so they cannot be compared.",)
    if min(len(then[0]), len(now[0])) < MIN_GROUP:
        return None, (f"Drift of embeddings needs {2 * MIN_GROUP} users on either side.",)
    whitening = fit_whitening(np.vstack([then[0], now[0]]))
    whole = measure_drift(now[0], then[0], whitening=whitening, seed=seed)
    inside = drift_by_segment(
        now[0],
        then[0],
        group_segments=now[1],
        target_segments=then[1],
        whitening=whitening,
        seed=seed,
    )
    said = (
        f"Embeddings of {len(then[0]):,} and {len(now[0]):,} users, drawn by lot, nobody on both "
        "sides."
    )
    return EmbeddingDrift(whole, inside), (said,)


def _model_notes(old: Scored, new: Scored) -> Iterator[str]:
    if old.manifest.get("model_digest") != new.manifest.get("model_digest"):
        yield (
            f"Two models, {old.model} and {new.model}: ids and embeddings are compared as they "
            "stand, which only a refit of the one from the other keeps comparable."
        )
    if new.as_of < old.as_of:
        yield "NEW is of an earlier time than OLD."


def _reasons(found: Health, limits: Limits) -> Iterator[Reason]:
    """Everything that is out of bounds."""
    movement = found.movement
    yield from limits.kept(movement)
    for one in movement.segments:
        yield from limits.size(one)
    for field in found.inputs:
        yield from limits.field(field.field, field.shift.psi)
    if found.embeddings is not None:
        whole = found.embeddings.whole
        yield from limits.drift("everybody", whole.distance.value, whole.distance_p)
        for inside in found.embeddings.segments:
            if inside.drift is not None and inside.p is not None:
                yield from limits.drift(
                    f"segment {inside.segment}", inside.drift.distance.value, inside.p
                )
    for what in ("model", "data"):
        yield from limits.age(what, found.ages[f"{what}_days"])


def _side(one: Scored, n_users: int) -> dict[str, Any]:
    return {
        "scores": str(one.path),
        "as_of": one.manifest["as_of"],
        "model": one.model,
        "users": one.manifest["users"],
        "users_with_segment": n_users,
    }


def _plain_drift(drift: Drift | None) -> Any:  # noqa: ANN401 - as plain answers
    return None if drift is None else plain(drift, without=("step",))
