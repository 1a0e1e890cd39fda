"""Where a region could go: its own members moved toward the brand, what is local held.

What is shown are real assets nearest to where a member would go. Two figures belong together: how
much of the gap these assets close, and how many of them still have the region's own look; a raw
direction closes more by turning assets into another region's.
"""

from dataclasses import dataclass

import numpy as np
from sklearn.cluster import KMeans

from segmenter.creative.causes import Naming
from segmenter.creative.drift import BrandDrift, group_column
from segmenter.creative.encoder import unit
from segmenter.creative.manifest import FLAG
from segmenter.creative.store import CreativeSpace
from segmenter.creative.tags import tag_of
from segmenter.space.contrasts import Contrast, contrasts
from segmenter.space.paths import density_percentile
from segmenter.space.spectrum import nearest_members

N_BOARDS = 4
SURE_Z = 3.0
"""A difference of so many standard errors is the region's own."""
N_OWN = 3
AMOUNTS = (0.0, 0.5, 1.0, 1.5)
"""Parts of the way that a board shows; beyond 1 because the nearest assets lag behind."""


@dataclass(frozen=True)
class Moved:
    """What a direction does to a region's members, read from the nearest real assets.

    Attributes
    ----------
    name
        Of the direction.
    gap_closed
        Part of the way to the target on the brand's axis that the nearest assets have gone.
    own_look_kept
        Share of them that are of the region itself.
    on_the_data
        Median standing of the moved points among assets by how crowded it is around: near 0 they
        have left the data.
    """

    name: str
    gap_closed: float
    own_look_kept: float
    on_the_data: float


@dataclass(frozen=True)
class Board:
    """One kind of a region's assets and where it could go.

    Attributes
    ----------
    ids
        Real assets, from a typical member of the kind on toward the target.
    n_members
        Members of the kind.
    """

    ids: tuple[str, ...]
    n_members: int


@dataclass(frozen=True)
class Refresh:
    """Refresh directions of a region.

    Attributes
    ----------
    region
        Its name.
    directions
        The direction that holds what is local; the raw one and no move as controls.
    boards
        One per kind of asset.
    naming
        The direction in words.
    keep
        Tags that the region has more of than the others, and the direction does not lead from.
    """

    region: str
    directions: tuple[Moved, ...]
    boards: tuple[Board, ...]
    naming: Naming
    keep: tuple[Contrast, ...]

    def brief(self) -> str:
        """The direction in plain words for a creative team."""
        toward = [cause.word for cause in self.naming.causes if cause.strength > 0]
        away = [cause.word for cause in self.naming.causes if cause.strength <= 0]
        kept, raw = self.directions[0], self.directions[1]
        lines = [f"Brief for {self.region}"]
        lines.append(f"Move toward: {', '.join(toward) or 'nothing that has a name'}.")
        if away:
            lines.append(f"Move away from: {', '.join(away)}.")
        keep = [
            f"{tag.what.replace(' = ', ' ')} ({tag.group:.0%}, elsewhere {tag.reference:.0%})"
            for tag in self.keep
        ]
        lines.append(f"Keep what is your own: {', '.join(keep) or 'the look as it is'}.")
        if self.naming.left_out:
            unseen = ", ".join(self.naming.left_out)
            lines.append(f"Not judged, since the encoder does not see it: {unseen}.")
        lines.append(
            f"The nearest assets close {kept.gap_closed:.0%} of the gap to the brand, and "
            f"{kept.own_look_kept:.0%} of them are {self.region}'s own. Going straight to the "
            f"brand closes {raw.gap_closed:.0%} and keeps {raw.own_look_kept:.0%}."
        )
        return "\n".join(lines)


def refresh_region(
    space: CreativeSpace, study: BrandDrift, *, region: str, seed: int = 0
) -> Refresh:
    """Find refresh directions of a region.

    Parameters
    ----------
    space
        The library.
    study
        Its drift, by the column that has the region.
    region
        A value of the column.
    seed
        Of the kinds of assets.

    Raises
    ------
    CreativeError
        If the drift study has no such group.
    """
    reason = study.reason(region)
    measured = study.measured
    names = group_column(space.assets[: space.n_pictures], study.by).fill_null("").to_numpy()
    vectors = space.vectors[: space.n_pictures].astype(np.float64)
    members = np.flatnonzero(names == region)
    middle = vectors[members].mean(axis=0)
    raw = measured.target - middle
    directions = {
        "own look held": reason.step,
        "straight to the brand": raw,
        "no move": np.zeros_like(raw),
    }
    return Refresh(
        region=region,
        directions=tuple(
            _moved(name, step, (vectors, members, names), axis=(measured.axis, measured.target))
            for name, step in directions.items()
        ),
        boards=_boards(space, vectors, members, step=reason.step, seed=seed),
        naming=reason.naming,
        keep=_own_tags(space, names == region, reason.naming, by=study.by),
    )


def _own_tags(
    space: CreativeSpace, inside: np.ndarray, naming: Naming, *, by: str
) -> tuple[Contrast, ...]:
    """What a region surely has more of than the others, but for what it is to leave."""
    readable = [
        name
        for name, reading in space.readability.items()
        if reading["readable"] and name not in {by, FLAG}
    ]
    if not readable:
        return ()
    left = {tag_of(space.readability, cause.word) for cause in naming.causes}
    found = contrasts(space.pictures.metadata.select(readable), inside, ~inside)
    return tuple(tag for tag in found if tag.z >= SURE_Z and tag.what.split(" = ")[0] not in left)[
        :N_OWN
    ]


def _moved(
    name: str,
    step: np.ndarray,
    library: tuple[np.ndarray, np.ndarray, np.ndarray],
    *,
    axis: tuple[np.ndarray, np.ndarray],
) -> Moved:
    """What the nearest real assets of moved members are like."""
    vectors, members, names = library
    places = unit(vectors[members] + step)
    found = nearest_members(vectors, places, without=members)
    way = (axis[1] - vectors[members].mean(axis=0)) @ axis[0]
    gone = (vectors[found].mean(axis=0) - vectors[members].mean(axis=0)) @ axis[0]
    return Moved(
        name=name,
        gap_closed=float(gone / way) if abs(way) > 1e-12 else 0.0,
        own_look_kept=float((names[found] == names[members]).mean()),
        on_the_data=float(np.median(density_percentile(vectors, places))),
    )


def _boards(
    space: CreativeSpace, vectors: np.ndarray, members: np.ndarray, *, step: np.ndarray, seed: int
) -> tuple[Board, ...]:
    """A typical member of each kind and the nearest assets on its way, none twice."""
    n_kinds = min(N_BOARDS, len(members))
    kinds = KMeans(n_kinds, n_init=4, random_state=seed).fit(vectors[members])
    ids = space.assets["id"]
    boards = []
    for kind in np.argsort(-np.bincount(kinds.labels_, minlength=n_kinds), kind="stable"):
        inside = members[kinds.labels_ == kind]
        centre = kinds.cluster_centers_[kind]
        first = int(inside[np.argmin(np.linalg.norm(vectors[inside] - centre, axis=1))])
        rows = [first]
        for amount in AMOUNTS[1:]:
            place = unit((vectors[first] + amount * step)[None])[0]
            order = np.argsort(np.linalg.norm(vectors - place, axis=1), kind="stable")
            rows.append(next(int(row) for row in order if int(row) not in rows))
        boards.append(Board(tuple(ids.gather(rows)), len(inside)))
    return tuple(boards)
