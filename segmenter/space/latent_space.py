"""The friendly layer: embeddings of anything with ids and what is known of them.

Every method names users by id and groups by a condition, and answers with the results of the
functions beside this file; what is computed, and how, stands there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from polars import selectors

from segmenter.errors import SpaceError
from segmenter.space.attributes import Attribute, encode_attribute
from segmenter.space.contrasts import Contrast, contrasts
from segmenter.space.debias import Erasure, erase_attribute
from segmenter.space.directions import Direction, combine, find_direction
from segmenter.space.drift import Drift, SegmentDrift, drift_by_segment, measure_drift
from segmenter.space.lookalike import LookAlikes, look_alikes
from segmenter.space.neighbors import Metric, Ranking, score_rows, top
from segmenter.space.paths import Path, Profile, find_path, graph_line, straight_line
from segmenter.space.profiles import metadata_profile
from segmenter.space.segmenting import Assign, settled_segments
from segmenter.space.selection import column_of, columns_in, select
from segmenter.space.toward import Movement, movement
from segmenter.space.whitening import Whitening, fit_whitening
from segmenter.validity.lift import out_of_fold_prediction

USER = "user:"
UNKNOWN = "unknown"
TOGETHER = "+"


@dataclass(frozen=True)
class LatentSpace:
    """Vectors with ids and metadata.

    Attributes
    ----------
    ids
        String [n], each once.
    vectors
        float [n, d]; may be memory-mapped.
    metadata
        n rows in the order of `ids`; any columns, numbers or texts, with nulls (or NaN, which
        becomes null) where nothing is known.

    Raises
    ------
    SpaceError
        If the three do not fit together, or an id comes twice.
    """

    ids: pl.Series
    vectors: np.ndarray
    metadata: pl.DataFrame

    def __post_init__(self) -> None:
        known = len(self.metadata) if self.metadata.width else len(self.ids)
        if self.vectors.ndim != 2 or not len(self.ids) == len(self.vectors) == known:
            message = (
                f"ids, vectors and metadata must have a row each for everybody; found "
                f"{len(self.ids)} ids, vectors {self.vectors.shape}, {known} rows of metadata"
            )
            raise SpaceError(message)
        if self.ids.n_unique() < len(self.ids):
            twice = self.ids.filter(self.ids.is_duplicated())[0]
            message = f"every id must come once; found {twice!r} more than once"
            raise SpaceError(message)
        missing = self.metadata.with_columns(selectors.float().fill_nan(None))
        object.__setattr__(self, "metadata", missing)  # what is no number is not known

    @cached_property
    def whitening(self) -> Whitening:
        """To coordinates in which this crowd has unit spread."""
        return fit_whitening(self.vectors)

    def rows(self, ids: Sequence[str]) -> np.ndarray:
        """Rows int64 of ids, in their order; SpaceError names those that are not here."""
        wanted = pl.DataFrame({"id": pl.Series(list(ids), dtype=pl.String)})
        here = pl.DataFrame({"id": self.ids, "row": np.arange(len(self.ids))})
        found = wanted.join(here, on="id", how="left", maintain_order="left")
        missing = found.filter(pl.col("row").is_null())["id"]
        if len(missing):
            message = (
                f"every id must be in the space; {len(missing)} of {len(wanted)} are not, such as "
                f"{', '.join(repr(id_) for id_ in missing.head(3))}"
            )
            raise SpaceError(message)
        return found["row"].to_numpy()

    def group(self, condition: str) -> np.ndarray:
        """Members bool [n] of a condition such as ``age=65+ & segment_id=7``; see `select`."""
        return select(self.metadata, condition)

    def place(self, name: str) -> np.ndarray:
        """A point float64 [d]: ``user:ID`` is a user, a condition the centroid of its group."""
        if name.startswith(USER):
            return self.vectors[self.rows([name.removeprefix(USER)])[0]].astype(np.float64)
        return self.vectors[self.group(name)].mean(axis=0, dtype=np.float64)

    def point(self, base: str, *, minus: str | None = None, plus: str | None = None) -> np.ndarray:
        """The place A, or the point A - B + C of three places.

        Raises
        ------
        SpaceError
            If a place is not known, or only one of `minus` and `plus` is given.
        """
        if (minus is None) != (plus is None):
            message = "A - B + C needs both B and C; give both or neither"
            raise SpaceError(message)
        start = self.place(base)
        if minus is None or plus is None:
            return start
        return combine(start, self.place(minus), self.place(plus))

    def search(
        self,
        point: np.ndarray,
        *,
        k: int | None = None,
        share: float | None = None,
        where: str | None = None,
        metric: Metric = "euclidean",
    ) -> Ranking:
        """Users nearest to a point, by an exact scan; see `score_rows` and `top`."""
        allowed = None if where is None else self.group(where)
        return top(
            score_rows(self.vectors, point, metric=metric), k=k, share=share, allowed=allowed
        )

    def nearest_groups(self, point: np.ndarray, column: str) -> list[tuple[str, float]]:
        """Values of a column with the distance of their centroid to a point, nearest first."""
        labels = column_of(self.metadata, column).cast(pl.String)
        names = labels.drop_nulls().unique().sort().to_list()
        centroids = np.stack(
            [
                self.vectors[(labels == name).fill_null(value=False).to_numpy()].mean(axis=0)
                for name in names
            ]
        )
        distances = np.linalg.norm(centroids.astype(np.float64) - point, axis=1)
        order = np.argsort(distances, kind="stable")
        return [(names[place], float(distances[place])) for place in order.tolist()]

    def attribute(self, column: str) -> Attribute:
        """A column as an attribute of everybody; of a text, missing values are a group."""
        found = column_of(self.metadata, column)
        return encode_attribute(column, _values(found))

    def look_alikes(
        self,
        seeds: np.ndarray,
        *,
        controls: Sequence[str] = (),
        already: str | None = None,
        balance: str | None = None,
        seed: int = 0,
    ) -> LookAlikes:
        """Rank everybody by likeness to seeds.

        Parameters
        ----------
        seeds
            int64 rows.
        controls
            Columns to compare with: a number ranks as it is; of a text, or of several columns
            joined by ``+``, each value ranks by the share of seeds among the others who have it.
        already
            Condition of those who do already what the seeds do.
        balance
            Column whose shares every reach is to keep.
        seed
            Of folds and samples.

        Raises
        ------
        SpaceError
            As `segmenter.space.lookalike.look_alikes`.
        """
        is_seed = np.zeros(len(self.ids))
        is_seed[seeds] = 1.0
        return look_alikes(
            self.vectors,
            seeds,
            controls={name: self._control(name, is_seed, seed=seed) for name in controls},
            already=None if already is None else self.group(already),
            balance=None if balance is None else self.attribute(balance).codes,
            seed=seed,
        )

    def _control(self, name: str, is_seed: np.ndarray, *, seed: int) -> np.ndarray:
        """What a control ranks by, float64 [n]."""
        columns = [column_of(self.metadata, part) for part in name.split(TOGETHER)]
        if len(columns) == 1 and columns[0].dtype.is_numeric():
            return _values(columns[0].fill_null(columns[0].min()))
        cells = pl.DataFrame(columns).with_columns(pl.all().cast(pl.String).fill_null(UNKNOWN))
        labels = cells.select(pl.concat_str(pl.all(), separator="\x1f")).to_series()
        return out_of_fold_prediction(labels.to_numpy(), is_seed, seed=seed)

    def direction(
        self,
        target: str,
        reference: str,
        *,
        name: str | None = None,
        without: Sequence[str] = (),
        seed: int = 0,
    ) -> Direction:
        """The direction from one group to another.

        Parameters
        ----------
        target, reference
            Conditions.
        name
            Of the direction; None says what it leads from and to.
        without
            Numeric columns in which the direction shall have no part: what leads from the lower
            half of each to the upper half is projected out.
        seed
            Of the resampled users.

        Raises
        ------
        SpaceError
            If a group is not known or too small, or nothing is left of the direction.
        """
        inside, outside = (self.vectors[self.group(one)] for one in (target, reference))
        return find_direction(
            name or f"{target} - {reference}",
            inside,
            outside,
            whitening=self.whitening,
            nuisances=tuple(self._nuisance(column, seed=seed) for column in without),
            seed=seed,
        )

    def _nuisance(self, name: str, *, seed: int) -> Direction:
        """From the lower half of a number to the upper half."""
        column = column_of(self.metadata, name)
        if not column.dtype.is_numeric():
            message = f"what is projected out must be a number; {name} is of type {column.dtype}"
            raise SpaceError(message)
        middle = column.median()
        low, high = ((column <= middle), (column > middle))
        halves = [self.vectors[half.fill_null(value=False).to_numpy()] for half in (high, low)]
        return find_direction(name, halves[0], halves[1], whitening=self.whitening, seed=seed)

    def path(
        self,
        start: np.ndarray,
        end: np.ndarray,
        *,
        n_steps: int,
        on_the_data: bool = False,
        profile: Profile | None = None,
    ) -> Path:
        """A path between two points, even in its profile.

        Parameters
        ----------
        start, end
            float [d].
        n_steps
            Steps; one less than the points.
        on_the_data
            Along chains of users instead of straight.
        profile
            What a point looks like; None takes what is known of the users around it.
        """
        line = graph_line(self.vectors, start, end) if on_the_data else straight_line(start, end)
        return find_path(line, profile or self.profile, n_steps=n_steps)

    @cached_property
    def profile(self) -> Profile:
        """What the users around a point are like; without metadata, where it lies."""
        return metadata_profile(self.vectors, self.metadata, whitening=self.whitening)

    def contrasts(self, group: str, reference: str) -> tuple[Contrast, ...]:
        """What is different between two groups, but for what they are defined by."""
        others = self.metadata.drop(columns_in(group) | columns_in(reference), strict=False)
        return contrasts(others, self.group(group), self.group(reference))

    def drift(self, group: str, target: str, *, seed: int = 0) -> Drift:
        """Compare two groups that share nobody; see `measure_drift`."""
        inside, outside = self._disjoint(group, target)
        return measure_drift(
            self.vectors[inside], self.vectors[outside], whitening=self.whitening, seed=seed
        )

    def movement(self, before: str, now: str, target: str, *, seed: int = 0) -> Movement:
        """How a group moved with respect to a target between two times; see `movement`."""
        start, end, aim = (self.vectors[self.group(one)] for one in (before, now, target))
        return movement(start, end, aim, whitening=self.whitening, seed=seed)

    def drift_by(
        self, column: str, group: str, target: str, *, seed: int = 0
    ) -> tuple[SegmentDrift, ...]:
        """Compare two groups inside each value of a column; see `drift_by_segment`."""
        inside, outside = self._disjoint(group, target)
        segments = _values(column_of(self.metadata, column).cast(pl.String))
        return drift_by_segment(
            self.vectors[inside],
            self.vectors[outside],
            group_segments=segments[inside],
            target_segments=segments[outside],
            whitening=self.whitening,
            seed=seed,
        )

    def _disjoint(self, group: str, target: str) -> tuple[np.ndarray, np.ndarray]:
        inside, outside = self.group(group), self.group(target)
        shared = int((inside & outside).sum())
        if shared:
            message = f"a group and its target must share nobody; {shared} users are in both"
            raise SpaceError(message)
        return inside, outside

    def erase(
        self,
        column: str,
        *,
        assign: Assign | None = None,
        n_segments: int = 16,
        outcomes: Sequence[str] = (),
        seed: int = 0,
    ) -> Erasure:
        """Measure what is told of a column, erase it, and measure again.

        Parameters
        ----------
        column
            The attribute.
        assign
            Vectors to segments; None makes `n_segments` by KMeans.
        n_segments
            Without `assign`.
        outcomes
            Columns that the space is for.
        seed
            Of folds, samples and segments.
        """
        if assign is None:
            assign = settled_segments(self.vectors, n_segments=n_segments, seed=seed)
        return erase_attribute(
            self.vectors,
            self.attribute(column),
            assign,
            outcomes={name: self.attribute(name) for name in outcomes},
            seed=seed,
        )

    def only(self, chosen: np.ndarray) -> "LatentSpace":
        """The same space with some users, bool [n]."""
        return LatentSpace(
            self.ids.filter(pl.Series(chosen)),
            self.vectors[chosen],
            self.metadata.filter(pl.Series(chosen)) if self.metadata.width else self.metadata,
        )


def _values(column: pl.Series) -> np.ndarray:
    """A column as numbers, NaN where missing, or as texts, with a word where missing."""
    if column.dtype.is_numeric():
        return column.cast(pl.Float64).to_numpy()
    return column.cast(pl.String).fill_null(UNKNOWN).to_numpy().astype(str)
