"""What is still in bounds between two scored populations, and the reasons when it is not."""

from collections.abc import Iterator
from dataclasses import dataclass

from segmenter.errors import ConfigError
from serving.health.movement import Movement, SegmentMovement

SURE = 0.01
"""Greatest p-value of a drift that counts: of many users the smallest one is sure, so that its
size decides."""
SMALL_SEGMENT = 0.01
"""A segment with less than this share of users at both times may change its size as it likes."""


@dataclass(frozen=True)
class Reason:
    """A limit that was passed.

    Attributes
    ----------
    check
        Which: ``kept_share``, ``segment_size``, ``input``, ``embedding``, ``model_age`` or
        ``data_age``.
    of
        What it is about: a segment, a field, or ``everybody``.
    value, limit
        Found, and still allowed; None of a segment that had nobody.
    text
        In words.
    """

    check: str
    of: str
    value: float | None
    limit: float
    text: str


@dataclass(frozen=True)
class Limits:
    """Limits of a comparison.

    Attributes
    ----------
    min_kept
        Least share of the users of both sides in the same segment.
    max_size_change
        Greatest relative change of a segment's share.
    max_psi
        Greatest stability index of a field.
    max_distance
        Greatest distance of centroids, in spreads of the crowd, of everybody or of a segment.
    max_age_days
        Greatest age of the model's data at the newer time, and of the newer scores today; None is
        not judged.

    Raises
    ------
    ConfigError
        If a limit is negative.
    """

    min_kept: float = 0.5
    max_size_change: float = 0.5
    max_psi: float = 0.25
    max_distance: float = 0.5
    max_age_days: float | None = None

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value is not None and not value >= 0:
                message = f"--{name.replace('_', '-')} must be at least 0; found {value}"
                raise ConfigError(message)

    def kept(self, movement: Movement) -> Iterator[Reason]:
        """Whether enough users kept their segment."""
        share = movement.kept_share
        if movement.n_both and share < self.min_kept:
            text = (
                f"{share:.1%} of {movement.n_both:,} users of both sides keep their segment, "
                f"less than {self.min_kept:.0%}"
            )
            yield Reason("kept_share", "everybody", share, self.min_kept, text)

    def size(self, one: SegmentMovement) -> Iterator[Reason]:
        """Whether a segment is about as large as it was."""
        if max(one.old_share, one.new_share) < SMALL_SEGMENT:
            return
        if abs(one.change) > self.max_size_change:
            value = one.change if one.old_users else None
            text = (
                f"segment {one.id} went from {one.old_share:.1%} to {one.new_share:.1%} of the "
                f"users, more than {self.max_size_change:.0%} of its size"
            )
            yield Reason("segment_size", str(one.id), value, self.max_size_change, text)

    def field(self, name: str, psi: float) -> Iterator[Reason]:
        """Whether a field means what it meant."""
        if psi > self.max_psi:
            text = f"{name} shifted: stability index {psi:.2f}, above {self.max_psi:g}"
            yield Reason("input", name, psi, self.max_psi, text)

    def drift(self, of: str, distance: float, p: float) -> Iterator[Reason]:
        """Whether the embeddings are where they were, for sure."""
        if distance > self.max_distance and p <= SURE:
            text = (
                f"embeddings of {of} moved by {distance:.2f} spreads of the crowd (p {p:.3f}), "
                f"more than {self.max_distance:g}"
            )
            yield Reason("embedding", of, distance, self.max_distance, text)

    def age(self, what: str, days: float | None) -> Iterator[Reason]:
        """Whether the model, or the data, is young enough."""
        if self.max_age_days is not None and days is not None and days > self.max_age_days:
            text = f"the {what} is {days:.0f} days old, more than {self.max_age_days:g}"
            yield Reason(f"{what}_age", what, days, self.max_age_days, text)
