"""A crowd in round groups, month after month: groups drift, and now and then something happens."""

from dataclasses import dataclass, field, replace

import hdbscan
import numpy as np

from segmenter.segments.anchored import Anchored, anchored_prototypes
from segmenter.segments.assignment import PrototypeAssigner
from segmenter.segments.density import Leaves
from segmenter.segments.distances import nearest
from segmenter.segments.matching import UNKNOWN, Flow, Users, match_ids, trace_flow
from segmenter.segments.prototypes import SizeLimits, make_prototypes

N_DIMENSIONS, N_GROUPS, GROUP_USERS = 8, 7, 200
SPLITTING, VANISHING, NEW, OTHER_HALF = 0, 1, 7, 8
"""Groups that something happens to; the others are unchanged."""
DISTANCE, HALF_SPLIT, DRIFT, PERSONAL = 9.0, 3.5, 0.1, 0.7


@dataclass(frozen=True)
class Month:
    """Users of a month.

    Attributes
    ----------
    user
        int64 [n], who they are.
    group
        int64 [n], where they belong.
    points
        float64 [n, d].
    """

    user: np.ndarray
    group: np.ndarray
    points: np.ndarray


@dataclass(frozen=True)
class Published:
    """Segments of a month.

    Attributes
    ----------
    assigner
        What serves.
    month
        Whom it was made from.
    segment_id
        Their segments.
    next_id
        Smallest id that was never given.
    flow, anchored
        Where everybody came from, and why.
    """

    assigner: PrototypeAssigner
    month: Month
    segment_id: np.ndarray
    next_id: int
    flow: tuple[Flow, ...] = ()
    anchored: Anchored | None = None

    @property
    def events(self) -> set[str]:
        """What happened to segments, beside growth and single users who moved."""
        return {row.kind for row in self.flow} - {"kept", "grown", "shrunk", "moved"}


@dataclass
class Crowd:
    """Groups whose users differ from each other and from month to month."""

    seed: int
    user: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.generator = np.random.default_rng(self.seed)
        centres = self.generator.normal(size=(N_GROUPS + 1, N_DIMENSIONS))
        self.centres = centres * DISTANCE / np.linalg.norm(centres, axis=1, keepdims=True)
        self.centres = np.vstack([self.centres, self.centres[SPLITTING]])
        self.group = np.repeat(np.arange(N_GROUPS), GROUP_USERS)
        self.user = np.arange(len(self.group))
        self.personal = self._noise(len(self.group))

    def _noise(self, n_users: int) -> np.ndarray:
        return PERSONAL * self.generator.normal(size=(n_users, N_DIMENSIONS))

    def split(self) -> None:
        """A group falls into two halves."""
        way = self.generator.normal(size=N_DIMENSIONS)
        way *= HALF_SPLIT / np.linalg.norm(way)
        middle = self.centres[SPLITTING]
        self.centres[SPLITTING], self.centres[OTHER_HALF] = middle - way, middle + way
        half = (self.group == SPLITTING) & (self.generator.random(len(self.group)) < 0.5)
        self.group[half] = OTHER_HALF

    def appear(self) -> None:
        """New users of a new kind arrive."""
        self.group = np.append(self.group, np.full(GROUP_USERS, NEW))
        first = int(self.user.max()) + 1
        self.user = np.append(self.user, np.arange(first, first + GROUP_USERS))
        self.personal = np.vstack([self.personal, self._noise(GROUP_USERS)])

    def vanish(self) -> None:
        """A group leaves."""
        stays = self.group != VANISHING
        self.user, self.group, self.personal = (
            part[stays] for part in (self.user, self.group, self.personal)
        )

    def month(self) -> Month:
        """The users as they are seen this month."""
        self.centres = self.centres + DRIFT * self.generator.normal(size=self.centres.shape)
        points = self.centres[self.group] + self.personal + self._noise(len(self.group))
        return Month(self.user.copy(), self.group.copy(), points)


def leaves_among(points: np.ndarray) -> Leaves:
    """Dense cores by HDBSCAN in the space itself, without a layout: a matter of milliseconds."""
    found = hdbscan.HDBSCAN(
        min_cluster_size=20, min_samples=5, cluster_selection_method="leaf", core_dist_n_jobs=1
    ).fit(points)
    persistence = np.asarray(found.cluster_persistence_)
    return Leaves(np.arange(len(points)), found.labels_.astype(np.int32), persistence)


def first_fit(month: Month, *, n_segments: int = N_GROUPS) -> Published:
    """Segments from scratch."""
    prototypes = make_prototypes(
        month.points,
        leaves_among(month.points),
        n_segments=n_segments,
        limits=SizeLimits(),
        seed=0,
    )
    assigner = PrototypeAssigner.fit(prototypes, month.points)
    ids = assigner.assign(month.points).segment_id
    return Published(assigner, month, ids, len(prototypes) + 1)


def refit(parent: Published, month: Month) -> Published:
    """Segments of the next month, as a refit makes them."""
    then = np.full(len(month.user), UNKNOWN)
    place = np.searchsorted(parent.month.user, month.user)
    known = np.isin(month.user, parent.month.user)
    then[known] = parent.segment_id[place[known]]
    users = Users(then, parent.assigner.assign(month.points).segment_id)
    found = anchored_prototypes(
        month.points,
        leaves_among(month.points),
        parent.assigner,
        before=parent.month.points,
        limits=SizeLimits(),
    )
    label = nearest(month.points, found.prototypes)
    ids = match_ids(parent.assigner, found.prototypes, label, users=users, next_id=parent.next_id)
    old, counts = np.unique(parent.segment_id, return_counts=True)
    flow = trace_flow(
        dict(zip(old.tolist(), counts.tolist(), strict=True)),
        ids[label],
        users=users,
        split_from=found.split_from(parent.assigner, ids),
    )
    limits = PrototypeAssigner.fit(found.prototypes, month.points).novelty_limits
    assigner = PrototypeAssigner(found.prototypes, ids, limits)
    next_id = max(parent.next_id, int(ids.max()) + 1)
    return replace(Published(assigner, month, ids[label], next_id), flow=flow, anchored=found)
