"""Three nested levels: macro segments group the published segments, micro segments divide them.

The published segment of a user is decided first and alone, by `assignment`. Its macro segment is a
look-up; its micro segment is the nearest micro prototype within it. So whoever shares a micro
segment shares the segment and the macro segment.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from segmenter.errors import ConfigError
from segmenter.segments.distances import nearest
from segmenter.segments.lineage import Lineage
from segmenter.segments.segment import UNSTABLE, Segment

MACRO, SEGMENT, MICRO = "macro", "segment", "micro"
LEVELS = (MACRO, SEGMENT, MICRO)


@dataclass(frozen=True)
class Hierarchy:
    """What stands above and below the published segments of a model.

    Attributes
    ----------
    macros, micros
        Described like segments; each level counts its ids for itself. The name of a macro segment
        tells it from the other macro segments, that of a micro segment from the other parts of
        its segment.
    macro_of
        Segment id to the id of its macro segment.
    segment_of
        Micro id to the id of its segment.
    prototypes
        float64 [m, d], one per micro segment in their order, in segment coordinates.
    macro_lineage, micro_lineage
        What happened to them.
    reason
        Why there are so many macro segments, in words.
    """

    macros: tuple[Segment, ...]
    micros: tuple[Segment, ...]
    macro_of: Mapping[int, int]
    segment_of: Mapping[int, int]
    prototypes: np.ndarray
    macro_lineage: Lineage
    micro_lineage: Lineage
    reason: str

    def place(self, points: np.ndarray, segment_id: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Macro and micro segment of users whose segment is known.

        Parameters
        ----------
        points
            float32 [n, d], the users in segment coordinates.
        segment_id
            int32 [n].

        Returns
        -------
        tuple of numpy.ndarray
            int32 [n] each; row by row the same whatever the other rows are.
        """
        ids = np.array([item.id for item in self.micros], dtype=np.int32)
        parents = np.array([self.segment_of[item.id] for item in self.micros])
        place = nearest_within(points, segment_id, prototypes=self.prototypes, parents=parents)
        return macro_ids(segment_id, self.macro_of), ids[place]

    def at(self, level: str, segments: Sequence[Segment]) -> tuple[Segment, ...]:
        """Segments of a level; `segments` are the published ones."""
        return {MACRO: self.macros, SEGMENT: tuple(segments), MICRO: self.micros}[level]

    def parent(self, level: str, number: int) -> int | None:
        """Id of what holds a segment, one level above; None above a macro segment."""
        if level == MACRO:
            return None
        return self.macro_of[number] if level == SEGMENT else self.segment_of[number]

    def with_descriptions(
        self, macros: Sequence[Segment], micros: Sequence[Segment]
    ) -> "Hierarchy":
        """The same levels in other words, such as with flags."""
        return replace(self, macros=tuple(macros), micros=tuple(micros))

    def check(self, segment_ids: Sequence[int], n_dimensions: int) -> None:
        """Refuse parts that do not nest.

        Raises
        ------
        ValueError
            If a segment has no macro or no micro segment, or a parent is none of the model.
        """
        published, macros = set(segment_ids), {item.id for item in self.macros}
        nested = (
            set(self.macro_of) == published
            and set(self.macro_of.values()) == macros
            and set(self.segment_of.values()) == published
            and set(self.segment_of) == {item.id for item in self.micros}
            and self.prototypes.shape == (len(self.micros), n_dimensions)
            and bool(np.isfinite(self.prototypes).all())
        )
        if not nested:
            message = "the levels must nest: each segment in one macro, each micro in one segment"
            raise ValueError(message)

    def to_json(self) -> dict[str, Any]:
        """Plain form for a bundle, without the prototypes."""
        return {
            "macros": [item.to_json() for item in self.macros],
            "micros": [item.to_json() for item in self.micros],
            "macro_of": {str(one): other for one, other in sorted(self.macro_of.items())},
            "segment_of": {str(one): other for one, other in sorted(self.segment_of.items())},
            "macro_lineage": self.macro_lineage.to_json(),
            "micro_lineage": self.micro_lineage.to_json(),
            "reason": self.reason,
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """Plain arrays for a bundle."""
        return {"micro_prototypes": self.prototypes}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Self:
        """Inverse of `to_json` and `arrays`."""
        return cls(
            macros=tuple(Segment.from_json(item) for item in plain["macros"]),
            micros=tuple(Segment.from_json(item) for item in plain["micros"]),
            macro_of={int(one): other for one, other in plain["macro_of"].items()},
            segment_of={int(one): other for one, other in plain["segment_of"].items()},
            prototypes=arrays["micro_prototypes"],
            macro_lineage=Lineage.from_json(plain["macro_lineage"]),
            micro_lineage=Lineage.from_json(plain["micro_lineage"]),
            reason=plain["reason"],
        )


def macro_ids(segment_id: np.ndarray, macro_of: Mapping[int, int]) -> np.ndarray:
    """Macro segment of each user, int32 [n], by the user's segment."""
    segments, place = np.unique(segment_id, return_inverse=True)
    macros = np.array([macro_of[int(number)] for number in segments], dtype=np.int32)
    return macros[place]


def nearest_within(
    points: np.ndarray, segment_id: np.ndarray, *, prototypes: np.ndarray, parents: np.ndarray
) -> np.ndarray:
    """Place of the nearest prototype of each user's own segment, int64 [n].

    Parameters
    ----------
    points
        float [n, d].
    segment_id
        int [n], segment of each user.
    prototypes
        float64 [m, d].
    parents
        int [m], segment of each prototype; each segment has one.
    """
    place = np.zeros(len(points), dtype=np.int64)
    for number in np.unique(segment_id):
        inside, below = segment_id == number, np.flatnonzero(parents == number)
        place[inside] = below[nearest(points[inside], prototypes[below])]
    return place


def check_level(level: str) -> str:
    """A level that a person named.

    Raises
    ------
    ConfigError
        If it is none.
    """
    if level not in LEVELS:
        message = f"--level must be {', '.join(LEVELS[:-1])} or {LEVELS[-1]}; found {level!r}"
        raise ConfigError(message)
    return level


def parents_of(plain: Mapping[str, Any] | None, level: str) -> dict[int, int]:
    """Id to parent's id at a level, of the plain form of a hierarchy; empty without parents."""
    if plain is None or level == MACRO:
        return {}
    return {int(one): other for one, other in plain[f"{_ABOVE[level]}_of"].items()}


_ABOVE = {SEGMENT: MACRO, MICRO: SEGMENT}


def rows_at(
    plain: Mapping[str, Any] | None, level: str, published: Sequence[Mapping[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Segments of a level in plain form, with level, parent and the groups of their members.

    Parameters
    ----------
    plain
        A hierarchy's `Hierarchy.to_json`; None of a model without levels.
    level
        One of `LEVELS`.
    published
        Plain form of the published segments.

    Raises
    ------
    ConfigError
        If the model has no such level.
    """
    if plain is None and level != SEGMENT:
        message = (
            f"the model has no {level} segments: it was made before there were levels; "
            "go on from it with `segmenter refit`, or train again"
        )
        raise ConfigError(message)
    rows = published if plain is None or level == SEGMENT else plain[f"{level}s"]
    parents = parents_of(plain, level)
    for row in rows:
        yield {
            **row,
            "level": level,
            "parent": parents.get(row["id"]),
            "size": row["n_users"],
            "core": row["n_core"],
            "voted": row["n_users"] - row["n_core"],
            "outsiders": row.get("n_outsiders"),
            "status": _status(row.get("stability")),
        }


def _status(stability: float | None) -> str:
    return "unstable" if stability is not None and stability < UNSTABLE else "published"
