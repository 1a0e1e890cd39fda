"""What the space answers: the computing behind its routes, shared with `segmenter space`."""

from typing import Any

import numpy as np

from segmenter.errors import SeedError
from segmenter.space.latent_space import LatentSpace
from serving.api.space_schemas import (
    DirectionRequest,
    DriftRequest,
    LookalikesRequest,
    PathRequest,
    SearchRequest,
)
from serving.space_commands import listed, moved, reach_disparity
from serving.space_plain import plain
from serving.space_points import described_steps

Answer = dict[str, Any]
N_CONTRASTS = 20


def search(space: LatentSpace, asked: SearchRequest, point: np.ndarray | None) -> Answer:
    """Users, and groups where asked for, by their distance to a point.

    Parameters
    ----------
    space
        Where is searched.
    asked
        What for.
    point
        Float [d] of described behaviour; None where a place is named.
    """
    if point is None:
        assert asked.near is not None
        point = space.point(asked.near, minus=asked.minus, plus=asked.plus)
    found = space.search(point, k=asked.k, where=asked.where)
    answer: Answer = {"users": listed(space, found.rows, -found.scores, name="distance")}
    if asked.groups is not None:
        near = space.nearest_groups(point, asked.groups)[: asked.k]
        answer["groups"] = [{"group": one, "distance": far} for one, far in near]
    return answer


def lookalikes(space: LatentSpace, asked: LookalikesRequest) -> Answer:
    """The head of the ranking, what each reach may be expected to find, and the controls."""
    rows, n_unknown = _seed_rows(space, asked)
    found = space.look_alikes(
        rows,
        controls=asked.controls,
        already=asked.already,
        balance=asked.balance,
        seed=asked.seed,
    )
    n_users = min(asked.n_users, len(found.rows))
    audits = {one: reach_disparity(space, found, one, n_users=n_users) for one in asked.audit}
    first = listed(space, found.rows[:n_users], found.similarity[:n_users], name="similarity")
    answer: Answer = plain(found, without=("rows", "similarity"))
    return answer | {"users": first, "n_unknown_seeds": n_unknown, "audit": plain(audits)}


def direction(space: LatentSpace, asked: DirectionRequest) -> Answer:
    """The direction, what is different between its ends, and where it leads."""
    found = space.direction(asked.target, asked.reference, without=asked.without, seed=asked.seed)
    different = space.contrasts(asked.target, asked.reference)
    answer: Answer = {
        "direction": plain(found),
        "contrasts": plain(different[:N_CONTRASTS]),
    }
    if asked.apply is not None:
        answer["applied"], _ = moved(space, found, asked.apply, amount=asked.amount, k=asked.k)
    return answer


def path(space: LatentSpace, asked: PathRequest) -> Answer:
    """The steps with who is near and what is seen there."""
    found = space.path(
        space.place(asked.start),
        space.place(asked.end),
        n_steps=asked.steps,
        on_the_data=asked.on_the_data,
    )
    figures = {name: getattr(found, name) for name in ("monotonicity", "largest_step", "detour")}
    return figures | {"steps": described_steps(space, found, n_neighbors=asked.k)}


def drift(space: LatentSpace, asked: DriftRequest) -> Answer:
    """Distances with their chance, per value of a column too, and what is different."""
    found = space.drift(asked.group, asked.target, seed=asked.seed)
    answer: Answer = {"drift": plain(found)}
    if asked.by is not None:
        inside = space.drift_by(asked.by, asked.group, asked.target, seed=asked.seed)
        answer["by"] = plain(inside, without=("step",))
    different = space.contrasts(asked.group, asked.target)
    return answer | {"contrasts": plain(different[:N_CONTRASTS])}


def _seed_rows(space: LatentSpace, asked: LookalikesRequest) -> tuple[np.ndarray, int]:
    """Rows of the seeds, and how many of a list have no embedding."""
    if asked.seed_group is not None:
        return np.flatnonzero(space.group(asked.seed_group)), 0
    assert asked.seeds is not None
    wanted = list(dict.fromkeys(asked.seeds))
    known = set(space.ids.filter(space.ids.is_in(wanted)).to_list())
    if not known:
        message = f"nobody of the {len(wanted):,} seeds has an embedding; check the ids"
        raise SeedError(message)
    return space.rows([one for one in wanted if one in known]), len(wanted) - len(known)
