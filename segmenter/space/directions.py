"""Directions that carry meaning: from one group of users to another, and what to do with them.

A direction is a difference of means in whitened coordinates. It says what moves, always relative
to a named group, and how surely: the groups are resampled, and two halves must agree.
"""

from dataclasses import dataclass, replace

import numpy as np

from segmenter.errors import SpaceError
from segmenter.space.whitening import Whitening
from segmenter.validity.lift import Interval, interval

MIN_GROUP = 10
"""Users on either side; the error of a direction falls with the smaller of the two."""
N_DRAWS = 200
Groups = tuple[np.ndarray, np.ndarray]
NOTHING = 1e-9
"""A step of less than this length, in units of the crowd's spread, has no direction."""


@dataclass(frozen=True)
class Direction:
    """A step in the space that turns users of one group into users of another, on average.

    Attributes
    ----------
    name
        What it means.
    step
        float64 [d] in the embedding's own coordinates; the whole step leads from the mean of the
        reference group to that of the target group, nuisances apart.
    length
        Of the step in whitened coordinates, where the crowd's spread is 1 in every direction,
        less what groups of this size show by chance; with its interval over users.
    agreement
        Cosine between the directions of two disjoint halves of both groups, with the interval
        over ways to halve them; 1 is a direction that does not depend on who was observed, 0 one
        that is chance.
    n_target, n_reference
        Users on either side.
    without
        Names of the nuisances that were projected out.
    """

    name: str
    step: np.ndarray
    length: Interval
    agreement: Interval
    n_target: int
    n_reference: int
    without: tuple[str, ...] = ()

    def __neg__(self) -> "Direction":
        """The way back."""
        return replace(
            self,
            name=f"- ({self.name})",
            step=-self.step,
            n_target=self.n_reference,
            n_reference=self.n_target,
        )

    def apply(self, points: np.ndarray, *, amount: float = 1.0) -> np.ndarray:
        """Points float64 [.., d] after a part (or a multiple) of the step."""
        return np.asarray(points, dtype=np.float64) + amount * self.step


def find_direction(
    name: str,
    target: np.ndarray,
    reference: np.ndarray,
    *,
    whitening: Whitening,
    nuisances: tuple[Direction, ...] = (),
    seed: int = 0,
) -> Direction:
    """The direction from a reference group to a target group.

    Parameters
    ----------
    name
        What it shall be called.
    target, reference
        float [n, d] and [m, d], embeddings of the groups; a user may be in both.
    whitening
        Of the crowd that the groups are taken from.
    nuisances
        Directions that the result shall have no part in, such as how active users are.
    seed
        Of the resampled users.

    Raises
    ------
    SpaceError
        If a group is smaller than `MIN_GROUP`, or nothing is left of the direction.

    References
    ----------
    Kim et al., "Interpretability beyond feature attribution", 2018 (concept activation vectors);
    Park, Choe, Veitch, "The linear representation hypothesis", 2023 (the whitened inner product).
    """
    for what, group in (("target", target), ("reference", reference)):
        if len(group) < MIN_GROUP:
            message = (
                f"a direction needs at least {MIN_GROUP} users in each group; "
                f"found {len(group)} in the {what} group"
            )
            raise SpaceError(message)
    basis = _basis([whitening.step(one.step) for one in nuisances])
    groups = whitening(target), whitening(reference)
    generator = np.random.default_rng(seed)
    whole = _step(groups, basis)
    if np.linalg.norm(whole) < NOTHING:
        message = (
            f"nothing is left of direction {name!r}: the groups have one mean once "
            f"{', '.join(one.name for one in nuisances) or 'nothing'} is set aside"
        )
        raise SpaceError(message)
    draws = [whole] + [_step(_resampled(groups, generator), basis) for _ in range(N_DRAWS)]
    cosines = [_halves(groups, basis, generator) for _ in range(N_DRAWS)]
    return Direction(
        name=name,
        step=whitening.back_step(whole),
        length=_length(np.stack(draws), groups, basis),
        agreement=interval(np.array([np.mean(cosines), *cosines])),
        n_target=len(target),
        n_reference=len(reference),
        without=tuple(one.name for one in nuisances),
    )


def _basis(steps: list[np.ndarray]) -> np.ndarray:
    """Orthonormal rows float64 [r, k] that span the steps."""
    if not steps:
        return np.empty((0, 0))
    _, sizes, rows = np.linalg.svd(np.stack(steps), full_matrices=False)
    return rows[sizes > NOTHING * max(sizes[0], NOTHING)]


def _step(groups: Groups, basis: np.ndarray) -> np.ndarray:
    """The step between the means of two groups that has no part in the rows of a basis."""
    step = groups[0].mean(axis=0) - groups[1].mean(axis=0)
    return step - basis.T @ (basis @ step) if len(basis) else step


def _resampled(groups: Groups, generator: np.random.Generator) -> Groups:
    """The same groups with their users drawn anew."""
    one, other = (group[generator.integers(0, len(group), len(group))] for group in groups)
    return one, other


def _length(steps: np.ndarray, groups: Groups, basis: np.ndarray) -> Interval:
    """Length of the first step without its bias, which the resampled steps have twice."""
    chance = 0.0
    for group in groups:
        spread = float(group.var(axis=0, ddof=1).sum())
        for row in basis:
            spread -= float((group @ row).var(ddof=1))
        chance += spread / len(group)
    biases = np.where(np.arange(len(steps)) == 0, chance, 2 * chance)
    return interval(np.sqrt(np.maximum((steps**2).sum(axis=1) - biases, 0)))


def _halves(groups: Groups, basis: np.ndarray, generator: np.random.Generator) -> float:
    """Cosine of the steps that two disjoint halves of the groups give."""
    parts = [np.array_split(generator.permutation(group), 2) for group in groups]
    one, other = (_step((parts[0][half], parts[1][half]), basis) for half in (0, 1))
    lengths = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / lengths if lengths > 0 else 0.0


def position(points: np.ndarray, direction: Direction, *, whitening: Whitening) -> np.ndarray:
    """How far along a direction points lie.

    Parameters
    ----------
    points
        float [n, d].
    direction
        The direction.
    whitening
        Of the crowd.

    Returns
    -------
    numpy.ndarray
        float64 [n], in steps of the direction: 0 is the mean of the crowd, and the mean of the
        target group lies 1 above that of the reference group.
    """
    step = whitening.step(direction.step)
    return whitening(points) @ step / (step @ step)


def combine(base: np.ndarray, minus: np.ndarray, plus: np.ndarray) -> np.ndarray:
    """The point A - B + C: what A is beyond B, given to C.

    Parameters
    ----------
    base, minus, plus
        float [d] each: A, B and C, users, centroids or any points.

    Notes
    -----
    Its nearest users are mostly those nearest to C whatever A and B are: look them up beside
    those of C alone, and with A, B and C left out (Linzen, "Issues in evaluating semantic spaces
    using word analogies", 2016).
    """
    return np.asarray(base, np.float64) - np.asarray(minus, np.float64) + np.asarray(plus)
