"""What is said of a refit: where it came from, how long it took, and what drifted."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from segmenter.segments.anchored import Departure
from segmenter.segments.matching import Flow


@dataclass(frozen=True)
class EmbeddingDrift:
    """How far users moved who were there before, on the events that were there before.

    Attributes
    ----------
    n_users
        Users measured.
    displacement
        Median distance between a user's old and new embedding, in units of the root mean square
        distance of the old embeddings from their mean; 0 is best.
    r2
        1 minus the squared displacements over the squared distances from the mean; 1 is best.
    forecast_r2, taste_r2
        The same of each part of the embedding.
    same_segment
        Share of users whom the parent's own segments hold as before.
    """

    n_users: int
    displacement: float
    r2: float
    forecast_r2: float
    taste_r2: float
    same_segment: float


@dataclass(frozen=True)
class FieldDrift:
    """What became of one categorical field.

    Attributes
    ----------
    new_values
        Values that the vocabulary learned.
    distance
        Total variation distance, in [0, 1], between the values of the parent's period and those
        of the time since: the share of events that would have to change theirs.
    unknown_before, unknown_after
        Share of the events since then whose value the parent does not know, and the refit still
        does not know.
    """

    new_values: int
    distance: float
    unknown_before: float
    unknown_after: float


@dataclass(frozen=True)
class SegmentFlow:
    """Where the users of the parent's segments are today.

    Attributes
    ----------
    n_known, n_new
        Users whom the parent knew, and newer ones.
    kept_share
        Of the known users, those whom both models place in the same segment, by all that is known
        of them today: what the refit itself left alone.
    stayed_share
        Of the known users, those whose segment is the one of the parent's time.
    behavior_share
        The same by the parent alone: what would have stayed without a refit.
    flow
        A row per pair of segments.
    departures
        Why the refit left the parent's segments where it did.
    behavior
        Before the flow: users by the parent's segment at its own time (None of newer users) and
        the parent's segment of today's events. Empty of refits by earlier versions.
    """

    n_known: int
    n_new: int
    kept_share: float
    stayed_share: float
    behavior_share: float
    flow: tuple[Flow, ...]
    departures: tuple[Departure, ...]
    behavior: tuple[Flow, ...] = ()

    def summary_lines(self) -> list[str]:
        """For the terminal, a line each."""
        line = (
            f"Segments: {self.kept_share:.1%} of {self.n_known:,} users keep their segment (both "
            "models, the same events); since the parent's time "
            f"{1 - self.stayed_share:.1%} moved, {1 - self.behavior_share:.1%} by what they did; "
            f"{self.n_new:,} users are new"
        )
        if not self.departures:
            return [line, "Segments: the new data refute none of the parent's"]
        return [line, *(f"Segments: {departure.text}" for departure in self.departures)]

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        """Inverse of `dataclasses.asdict`."""
        flow = tuple(Flow(**row) for row in plain["flow"])
        departures = tuple(
            Departure(item["kind"], tuple(item["ids"]), item["reason"])
            for item in plain["departures"]
        )
        behavior = tuple(Flow(**row) for row in plain.get("behavior", ()))
        parts = {"flow": flow, "departures": departures, "behavior": behavior}
        return cls(**{**plain, **parts})


@dataclass(frozen=True)
class Refit:
    """A refit beside its parent.

    Attributes
    ----------
    parent
        Label, digest and as-of time of the parent.
    wall_s, cpu_s
        Time of the fit of the network, in seconds.
    new_events
        Events since the parent's as-of time.
    fields
        Per categorical field; distances are 0 where there are no new events.
    embedding
        None where the store holds no user from before.
    segments
        None of a refit that made its segments afresh, as those of earlier versions did.
    """

    parent: dict[str, str]
    wall_s: float
    cpu_s: float
    new_events: int
    fields: dict[str, FieldDrift]
    embedding: EmbeddingDrift | None
    segments: SegmentFlow | None = None

    def summary_lines(self) -> list[str]:
        """For the terminal, a line each."""
        told = [] if self.segments is None else self.segments.summary_lines()
        return [*self._network_lines(), *told]

    def _network_lines(self) -> list[str]:
        """What became of the data and of the embeddings."""
        new = {name: field.new_values for name, field in self.fields.items() if field.new_values}
        learned = ", ".join(f"{count:,} in {name}" for name, count in new.items()) or "none"
        first = (
            f"Refit: from {self.parent['label']} (as of {self.parent['as_of']}) in "
            f"{self.wall_s:.0f} s, {self.cpu_s:.0f} CPU s; new values: {learned}"
        )
        lines = [first]
        if self.new_events:
            parts = ", ".join(
                f"{name} {field.distance:.2f} ({field.unknown_before:.1%} unknown, "
                f"{field.unknown_after:.1%} after the refit)"
                for name, field in self.fields.items()
            )
            lines.append(f"Drift of {self.new_events:,} new events: {parts}")
        part = self.embedding
        if part is None:
            return [*lines, "Drift of embeddings: the store holds no user from before"]
        lines.append(
            f"Drift of embeddings on the same events of {part.n_users:,} users: median "
            f"{part.displacement:.3f} of the spread, R2 {part.r2:.3f} (forecast "
            f"{part.forecast_r2:.3f}, taste {part.taste_r2:.3f}); {part.same_segment:.1%} stay in "
            "their segment of the parent"
        )
        return lines

    def figures(self) -> dict[str, float]:
        """Numbers for the tracking server."""
        values = {"refit new events": float(self.new_events)}
        for name, field in self.fields.items():
            values |= {f"refit {name} {key}": float(value) for key, value in vars(field).items()}
        if self.embedding is not None:
            drift = vars(self.embedding).items()
            values |= {f"refit embedding {key}": float(value) for key, value in drift}
        if self.segments is not None:
            shares = ("kept_share", "stayed_share", "behavior_share")
            values |= {f"refit {name}": getattr(self.segments, name) for name in shares}
        return {name.replace("_", " "): value for name, value in values.items()}

    def to_json(self) -> dict[str, Any]:
        """Plain form; `from_json` gives back an equal one."""
        return asdict(self)

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        """Inverse of `to_json`."""
        drift = plain["embedding"]
        fields = {name: FieldDrift(**field) for name, field in plain["fields"].items()}
        embedding = None if drift is None else EmbeddingDrift(**drift)
        flow = plain.get("segments")
        segments = None if flow is None else SegmentFlow.from_json(flow)
        parts = {"fields": fields, "embedding": embedding, "segments": segments}
        return cls(**{**plain, **parts})
