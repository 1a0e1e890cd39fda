"""A control that any generator should beat: a first-order chain per cluster of users.

Types follow types, gaps follow pairs of types, everything else of an event is taken whole from a
real event of its type. It knows no user: order beyond one step, and what goes together in one
person, is lost.
"""

import numpy as np
import polars as pl
from sklearn.cluster import KMeans

from segmenter.generation.features import Looks
from segmenter.generation.fidelity import standard

N_CLUSTERS = 8
MIN_CLUSTER = 5


def markov_control(
    learned: pl.DataFrame, *, n: int, seed: int, n_clusters: int = N_CLUSTERS
) -> pl.DataFrame:
    """Draw users from a chain per cluster.

    Parameters
    ----------
    learned
        Event log of real users, sorted by user and time.
    n
        Users to draw.
    seed
        Of clusters and draws.
    n_clusters
        Of users by their features.

    Returns
    -------
    polars.DataFrame
        With the columns of `learned`.
    """
    table = Looks.of(learned).table(learned)
    clusters = min(n_clusters, max(1, len(table.values) // MIN_CLUSTER))
    means = KMeans(clusters, n_init=3, random_state=seed).fit(standard(table, table))
    users = learned["user"].unique(maintain_order=True)
    labels = pl.DataFrame({"user": users, "cluster": means.labels_})
    marked = learned.join(labels, on="user", maintain_order="left")
    generator = np.random.default_rng(seed)
    sizes = np.bincount(means.labels_, minlength=clusters)
    drawn = generator.multinomial(n, sizes / sizes.sum())
    parts, first = [], 0
    for cluster, wanted in enumerate(drawn.tolist()):
        chain = _Chain(marked.filter(pl.col("cluster") == cluster).drop("cluster"))
        parts += [chain.journey(f"markov-{first + one}", generator) for one in range(wanted)]
        first += wanted
    return pl.concat(parts)


class _Chain:
    """Types given the type before, gaps given both, events given their type."""

    def __init__(self, events: pl.DataFrame) -> None:
        self.events = events.with_row_index("row")
        before = pl.col("event").shift(1).over("user")
        gap = pl.col("time").diff().over("user").dt.total_microseconds()
        pairs = self.events.with_columns(before=before, gap=gap).filter(
            pl.col("before").is_not_null()
        )
        self.rows = {
            name: part["row"].to_numpy()
            for (name,), part in self.events.partition_by("event", as_dict=True).items()
        }
        self.following = {
            name: part["event"].to_numpy()
            for (name,), part in pairs.partition_by("before", as_dict=True).items()
        }
        self.gaps = {
            key: part["gap"].to_numpy()
            for key, part in pairs.partition_by("before", "event", as_dict=True).items()
        }
        starts = self.events.group_by("user", maintain_order=True).agg(
            pl.col("event", "time").first(), pl.len()
        )
        self.first, self.lengths = starts["event"].to_numpy(), starts["len"].to_numpy()
        self.start = starts["time"].dt.epoch("us").to_numpy()

    def journey(self, user: str, generator: np.random.Generator) -> pl.DataFrame:
        """One user."""
        one = generator.integers(len(self.first))
        kind, time = self.first[one], self.start[one]
        rows, times = [generator.choice(self.rows[kind])], [time]
        for _ in range(int(generator.choice(self.lengths)) - 1):
            if kind not in self.following:
                break
            following = generator.choice(self.following[kind])
            time += generator.choice(self.gaps[kind, following])
            kind = following
            rows.append(generator.choice(self.rows[kind]))
            times.append(time)
        drawn = self.events[np.array(rows)].drop("row")
        moments = pl.Series(times, dtype=pl.Int64).cast(drawn.schema["time"])
        return drawn.with_columns(
            user=pl.lit(user), time=moments, seq=pl.int_range(pl.len(), dtype=pl.Int64)
        )
