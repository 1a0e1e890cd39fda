"""The model about to be saved against the labels of its own training run.

Users are embedded anew, in other batches than in training, and assigned by the very parts that
will serve. A model that does not give its users the segments that it publishes is not saved.
"""

from dataclasses import dataclass

import numpy as np

from segmenter.audience_model import AudienceModel
from segmenter.errors import FitError
from segmenter.events.store import EventStore
from segmenter.segments.density import BETWEEN
from training.report.data import CORE_FIGURE, FIGURE
from training.segmentation import Segmentation

MAX_USERS = 1_000
"""Users embedded anew; more say the same."""
CORE_FLOOR, FLOOR = 0.98, 0.93
"""Least agreement about members of dense cores, and about everybody."""


@dataclass(frozen=True)
class Agreement:
    """Share of users whom the model gives the segment of the training run.

    Attributes
    ----------
    core
        Of the members of dense cores; 1 where none was asked.
    everybody
        Of all users asked.
    n_users
        Users asked.
    """

    core: float
    everybody: float
    n_users: int

    def figures(self) -> dict[str, float]:
        """Numbers for report and tracking server."""
        return {CORE_FIGURE: self.core, FIGURE: self.everybody}

    def check(self) -> None:
        """Refuse to save a model that does not agree with its training run.

        Raises
        ------
        FitError
            If an agreement is below its floor.
        """
        if self.core < CORE_FLOOR or self.everybody < FLOOR:
            message = (
                f"the model must give its training users their segments; of {self.n_users:,} it "
                f"gives {self.core:.1%} of the core members and {self.everybody:.1%} of all the "
                f"same, {CORE_FLOOR:.0%} and {FLOOR:.0%} are needed; nothing was saved: remove "
                "the job's folder and train again"
            )
            raise FitError(message)


def measure_agreement(
    model: AudienceModel, store: EventStore, users: np.ndarray, *, found: Segmentation, seed: int
) -> Agreement:
    """Embed and assign training users anew, and compare.

    Parameters
    ----------
    model
        As it will be saved.
    store, users
        The training users: rows of the store, int64 [n].
    found
        Segments of the training run, of the same users.
    seed
        Of the sample, where users are many.
    """
    rows = np.random.default_rng(seed).permutation(len(users))[:MAX_USERS]
    embeddings = model.embed(store, users[rows], as_of=model.trained_as_of)
    same = model.assign(embeddings).segment_id == found.assignment.segment_id[rows]
    core = np.zeros(len(users), dtype=bool)
    core[found.leaves.rows[found.leaves.labels != BETWEEN]] = True
    inside = core[rows]
    of_core = float(same[inside].mean()) if inside.any() else 1.0
    return Agreement(of_core, float(same.mean()), len(rows))
