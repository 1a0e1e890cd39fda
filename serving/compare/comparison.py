"""Two segments of a scored population: size, lists, habits, what they do, journeys."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from segmenter.behavior import (
    Groups,
    around_of,
    common_values,
    journeys_of,
    told_fields,
    transitions_of,
    values_of,
)
from segmenter.errors import ConfigError
from segmenter.events.store import EventStore
from segmenter.segments.differences import (
    Difference,
    median_difference,
    share_difference,
    share_score,
)
from segmenter.segments.journeys import Journey, Transition, central_users, transitions
from segmenter.space.whitening import fit_whitening
from segmenter.validity.habits import user_habits
from serving.health.scored import Scored
from serving.space_tables import read_users

FIRST, SECOND, REST = 0, 1, 2
MAX_USERS = 20_000
"""Users of each segment, and of everybody else, whose events are read; more say the same."""
N_TOLD = 10
"""Values that differ most, and of them as many around an event."""
N_EXEMPLARS = 3
MIN_USERS = 5
"""Users who must have done it before a value is compared."""
MIN_EVENTS = 5


@dataclass(frozen=True)
class Side:
    """One of the two segments.

    Attributes
    ----------
    id, name
        Of the segment.
    n_users, share
        Its members, and of all who have a segment.
    mean_strength
        In [0, 1].
    """

    id: int
    name: str
    n_users: int
    share: float
    mean_strength: float


@dataclass(frozen=True)
class Compared:
    """A figure of both segments.

    Attributes
    ----------
    field, value
        What: a field and one of its values; or the name of a number, and an empty text.
    difference
        Between the segments.
    elsewhere
        The same figure of everybody else; None where nobody else is known.
    """

    field: str
    value: str
    difference: Difference
    elsewhere: float | None


@dataclass(frozen=True)
class Around:
    """What the members do before and after their first event of a type.

    Attributes
    ----------
    event, window_days
        The type, and the length of the window on either side.
    n_users
        Members of either segment with such an event.
    before, after
        Values that differ most between the segments; none where either has fewer than
        `MIN_USERS` such members.
    """

    event: str
    window_days: float
    n_users: tuple[int, int]
    before: tuple[Compared, ...]
    after: tuple[Compared, ...]


@dataclass(frozen=True)
class Comparison:
    """Two segments side by side; see the attributes of its parts.

    Attributes
    ----------
    sides
        The two segments.
    lists
        Share of the members on each list.
    habits
        Medians of plain numbers.
    values
        What they do: shares of users, the surest difference first.
    transitions
        What comes next, for each segment beside everybody else.
    around
        None unless an event was asked for.
    exemplars
        Typical users of each segment.
    """

    sides: tuple[Side, Side]
    lists: tuple[Compared, ...]
    habits: tuple[Compared, ...]
    values: tuple[Compared, ...]
    transitions: tuple[tuple[Transition, ...], tuple[Transition, ...]]
    around: Around | None
    exemplars: tuple[tuple[Journey, ...], tuple[Journey, ...]]

    def to_json(self) -> dict[str, Any]:
        """Plain form for scripts."""
        journeys = [[journey.to_json() for journey in side] for side in self.exemplars]
        return asdict(self) | {"exemplars": journeys}


@dataclass(frozen=True)
class Asked:
    """What is compared, beside the two segments.

    Attributes
    ----------
    lists
        Tables of users, each with ``user_id``.
    around
        An event type, or None.
    window_days
        Before and after it.
    seed
        Of the users that are drawn and resampled.
    """

    lists: tuple[Path, ...] = ()
    around: str | None = None
    window_days: float = 7.0
    seed: int = 0


def compare(scores: Path, store: Path, segments: tuple[int, int], *, asked: Asked) -> Comparison:
    """Compare two segments of a scored population.

    Parameters
    ----------
    scores
        Folder that `segmenter score` wrote.
    store
        The event store that it was made of; events after the scores' as-of time are not read.
    segments
        Ids of the two.
    asked
        What else is compared.

    Raises
    ------
    ConfigError
        If a segment has no users, both are the same, or the store has no such event.
    SourceError
        If the folder holds no finished scores, or a list cannot be read.
    StoreError
        If `store` is no event store.
    """
    scored, opened = Scored.open(scores), EventStore.open(store)
    table = scored.assignments()
    sides = _sides(scored, table, segments)
    groups = _groups(table, opened, segments, until=scored.as_of + 1, seed=asked.seed)
    tally, names = transitions_of(groups)
    exemplars = [_exemplars(scored, groups, side) for side in (FIRST, SECOND)]
    return Comparison(
        sides=sides,
        lists=tuple(_on_list(table, segments, path) for path in asked.lists),
        habits=_habits(groups, seed=asked.seed),
        values=_values(groups),
        transitions=(transitions(tally, FIRST, names), transitions(tally, SECOND, names)),
        around=None if asked.around is None else _around(groups, asked),
        exemplars=(exemplars[0], exemplars[1]),
    )


def _sides(scored: Scored, table: pl.DataFrame, segments: tuple[int, int]) -> tuple[Side, Side]:
    """Size and strength of both segments."""
    if segments[0] == segments[1]:
        message = f"two different segments are compared; found {segments[0]} twice"
        raise ConfigError(message)
    sides = []
    for number in segments:
        members = table.filter(pl.col("segment_id") == number)
        if not len(members):
            known = ", ".join(map(str, sorted(table["segment_id"].unique().to_list())))
            message = f"segment {number} has no users in {scored.path}; found segments {known}"
            raise ConfigError(message)
        name = scored.names.get(number, f"Segment {number}")
        strength = float(np.mean(members["strength"].to_numpy()))
        sides.append(Side(number, name, len(members), len(members) / len(table), strength))
    return sides[0], sides[1]


def _groups(
    table: pl.DataFrame, store: EventStore, segments: tuple[int, int], *, until: int, seed: int
) -> Groups:
    """Rows of the store of both segments and of everybody else, at most `MAX_USERS` of each."""
    rows = pl.DataFrame({"user_id": store.user_ids()}).with_row_index("row")
    placed = rows.join(table, on="user_id", maintain_order="left")
    segment = placed["segment_id"].to_numpy()
    group = np.where(segment == segments[0], FIRST, np.where(segment == segments[1], SECOND, REST))
    generator = np.random.default_rng(seed)
    drawn = [
        generator.permutation(np.flatnonzero(group == number))[:MAX_USERS]
        for number in (FIRST, SECOND, REST)
    ]
    if not all(len(one) for one in drawn[:REST]):
        message = f"{store.path} holds no users of a segment; pass the store that was scored"
        raise ConfigError(message)
    chosen = np.sort(np.concatenate(drawn))
    users = placed["row"].to_numpy()[chosen].astype(np.int64)
    return Groups(store, users, group[chosen], 3, until)


def _on_list(table: pl.DataFrame, segments: tuple[int, int], path: Path) -> Compared:
    """Share of the members of both segments, and of everybody else, who are on a list."""
    listed = table["user_id"].is_in(read_users(path)["user_id"].implode())
    counts = []
    for number in segments:
        inside = table["segment_id"] == number
        counts += [int((inside & listed).sum()), int(inside.sum())]
    others = ~table["segment_id"].is_in(list(segments))
    elsewhere = float(np.mean(listed.filter(others).to_numpy())) if others.any() else None
    return Compared("list", path.name, share_difference(*counts), elsewhere)


def _habits(groups: Groups, *, seed: int) -> tuple[Compared, ...]:
    """Medians of plain numbers of both segments."""
    found = []
    for name, values in user_habits(groups.store, groups.users, until=groups.until).items():
        sides = [
            values[(groups.group == number) & np.isfinite(values)]
            for number in (FIRST, SECOND, REST)
        ]
        if min(len(sides[FIRST]), len(sides[SECOND])) < MIN_USERS:
            continue
        apart = median_difference(sides[FIRST], sides[SECOND], seed=seed)
        elsewhere = float(np.median(sides[REST])) if len(sides[REST]) else None
        found.append(Compared(name, "", apart, elsewhere))
    return tuple(found)


def _values(groups: Groups) -> tuple[Compared, ...]:
    """Values whose share of users differs most surely between the segments."""
    sizes, found = groups.sizes, []
    for field in told_fields(groups.store):
        counts, values = values_of(groups, field)
        found += _told(field, values, counts=counts, sizes=sizes)
    return _surest(found)


def _told(
    field: str, values: Sequence[str], *, counts: np.ndarray, sizes: np.ndarray
) -> list[tuple[float, Compared]]:
    """Every value of a field that enough users have, with how sure its difference is."""
    found = []
    for place, value in enumerate(values):
        here, there, rest = counts[:, place].astype(int).tolist()
        if here + there < MIN_USERS:
            continue
        both = (here, int(sizes[FIRST]), there, int(sizes[SECOND]))
        elsewhere = rest / int(sizes[REST]) if sizes[REST] else None
        compared = Compared(field, value, share_difference(*both), elsewhere)
        found.append((abs(share_score(*both)), compared))
    return found


def _surest(found: list[tuple[float, Compared]]) -> tuple[Compared, ...]:
    ordered = sorted(found, key=lambda one: (-one[0], one[1].field, one[1].value))
    return tuple(compared for score, compared in ordered[:N_TOLD] if score > 0)


def _around(groups: Groups, asked: Asked) -> Around:
    """Values before and after an event, those that differ most between the segments."""
    assert asked.around is not None
    before: list[tuple[float, Compared]] = []
    after: list[tuple[float, Compared]] = []
    sizes = np.zeros(3)
    for field in told_fields(groups.store):
        tally, values = around_of(groups, asked.around, field, window_days=asked.window_days)
        sizes = tally.users
        before += _told(field, values, counts=tally.before, sizes=sizes)
        after += _told(field, values, counts=tally.after, sizes=sizes)
    n_users = (int(sizes[FIRST]), int(sizes[SECOND]))
    if min(n_users) < MIN_USERS:
        return Around(asked.around, asked.window_days, n_users, (), ())
    return Around(asked.around, asked.window_days, n_users, _surest(before), _surest(after))


def _exemplars(scored: Scored, groups: Groups, side: int) -> tuple[Journey, ...]:
    """The users nearest to the middle of a segment in whitened embeddings."""
    users = groups.users[groups.group == side]
    n_events = np.diff(np.asarray(groups.store.offsets))[users]
    users = users[n_events >= MIN_EVENTS]
    ids = groups.store.user_ids().gather(users)
    table = pl.DataFrame({"user_id": ids, "row": users})
    known = table.join(scored.vectors_of(ids), on="user_id", maintain_order="left")
    if len(known) < MIN_USERS:
        return ()
    vectors = known["embedding"].to_numpy()
    whitened = fit_whitening(vectors)(vectors) if np.ptp(vectors, axis=0).any() else vectors
    central = known["row"].to_numpy()[central_users(whitened, N_EXEMPLARS)]
    texts = common_values(groups)
    return journeys_of(groups.store, central, until=groups.until, texts=texts)
