"""What the gates of a review read."""

from collections.abc import Callable
from dataclasses import dataclass

from training.review.migration import Migration
from training.review.outcomes import Prediction
from training.review.sides import Side
from training.review.slices import Slice
from training.review.verdict import Margins, Pair


@dataclass(frozen=True)
class Evidence:
    """Everything that the gates read.

    Attributes
    ----------
    part
        The slice.
    challenger, champion
        Both models on it; no champion where there is none.
    prediction
        What their segments say of the time after the cut.
    migration
        Who changes segment; None without a champion.
    margins
        What is allowed.
    """

    part: Slice
    challenger: Side
    champion: Side | None
    prediction: Prediction
    migration: Migration | None
    margins: Margins

    def pair(self, figure: Callable[[Side], float | None]) -> Pair:
        """A figure of both models."""
        return Pair(
            figure(self.challenger), None if self.champion is None else figure(self.champion)
        )
