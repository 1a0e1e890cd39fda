"""Plain numbers per user, without learning a network: the floor under every learned segment.

Term weights of what users did, and how much, how recently and when; all from events before
``until``. Values are ranked by their own frequency before it, so that not even the order of the
store's vocabulary carries anything over from later.
"""

from collections.abc import Iterator

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.preprocessing import QuantileTransformer
from sklearn.utils.extmath import randomized_svd

from segmenter.events.contract import GROUPING
from segmenter.events.store import EventStore
from segmenter.validity.window import DAY_US, EventWindow, windows

N_DIRECTIONS = 48
N_POWER_STEPS = 5
NO_SPREAD = 1e-9
"""Less than this share of the greatest value is rounding: all users did the same."""
N_QUANTILES = 200
MAX_SCORE = 3.0
"""Normal scores end here: a rank further out says "extreme", not how extreme."""
MAX_VALUES = {"event": 64, "item": 1500}
"""Most frequent values per field; the rest count as one."""
MAX_OTHER_VALUES = 500
MAX_TYPE_COUNTS = 20
RECENT_DAYS = (7, 14, 28, 56, 112)
HOUR_US = DAY_US // 24


def plain_features(store: EventStore, users: np.ndarray, *, until: int, seed: int) -> np.ndarray:
    """What and how much users did before a time, as numbers that a clustering can use.

    Sublinear TF-IDF of each categorical field reduced to its main directions, beside counts,
    values, recency, gaps and times of day on a normal scale.

    Parameters
    ----------
    store
        The events.
    users
        int64 [n] rows of the store.
    until
        Only events before this time are read, microseconds.
    seed
        For the randomised singular value decomposition.

    Returns
    -------
    numpy.ndarray
        float64 [n, F]; the directions keep their relative weight and have unit spread on average,
        columns that are the same for everybody are left out.
    """
    ranked = {
        name: _frequent_codes(store, users, name=name, until=until)
        for name in store.categorical
        if name not in GROUPING
    }
    # A field that is empty before the cut is no field yet: its rise would tell of later.
    ranked = {name: codes for name, codes in ranked.items() if len(codes) or name == "event"}
    terms = _terms(store, users, ranked=ranked, until=until)
    types = ranked["event"][:MAX_TYPE_COUNTS]
    activity = np.concatenate(
        [
            _activity(block, store.numeric, types=types, until=until)
            for block in windows(store, users, end=until)
        ]
    )
    return np.hstack([_directions(terms, seed=seed), _normal_scores(activity)])


def _frequent_codes(store: EventStore, users: np.ndarray, *, name: str, until: int) -> np.ndarray:
    """Codes of the most frequent values before `until`, ties by text, int64 [v]."""
    texts = np.array(store.vocabulary(name), dtype=np.str_)
    counts = np.zeros(len(texts) + 1, dtype=np.int64)
    for block in windows(store, users, end=until):
        counts += np.bincount(block.codes(name), minlength=len(counts))
    seen = np.flatnonzero(counts[1:])
    order = np.lexsort((texts[seen], -counts[1:][seen]))
    return seen[order][: MAX_VALUES.get(name, MAX_OTHER_VALUES)] + 1


def _terms(
    store: EventStore, users: np.ndarray, *, ranked: dict[str, np.ndarray], until: int
) -> sparse.csr_matrix:
    """Sublinear TF-IDF, every field's rows of unit length, side by side: [n, terms]."""
    fields = []
    for name, codes in ranked.items():
        # Column 0 holds missing values, column 1 the rare ones, then the frequent ones in order.
        column_of = np.ones(len(store.vocabulary(name)) + 1, dtype=np.int64)
        column_of[0] = 0
        column_of[codes] = np.arange(len(codes)) + 2
        counts = sparse.vstack(
            [
                _counts(block, column_of[block.codes(name)], len(codes) + 2)
                for block in windows(store, users, end=until)
            ]
        )
        fields.append(TfidfTransformer(sublinear_tf=True).fit_transform(counts))
    return sparse.hstack(fields).tocsr()


def _counts(block: EventWindow, columns: np.ndarray, n_columns: int) -> sparse.csr_matrix:
    ones = np.ones(len(columns))
    return sparse.csr_matrix((ones, (block.owner, columns)), shape=(block.n_users, n_columns))


def _directions(terms: sparse.csr_matrix, *, seed: int) -> np.ndarray:
    """Main directions of the terms, scaled together to unit spread on average, [n, <= 48]."""
    rank = min(N_DIRECTIONS, min(terms.shape) - 1)
    if rank < 1:
        return np.zeros((terms.shape[0], 0))
    left, scale, _ = randomized_svd(terms, rank, n_iter=N_POWER_STEPS, random_state=seed)
    directions = left * scale
    spread = directions.std(axis=0).mean()
    if spread <= NO_SPREAD * np.abs(directions).max():
        return np.zeros((terms.shape[0], 0))
    return directions / spread


def _normal_scores(values: np.ndarray) -> np.ndarray:
    """Columns that vary, each on a normal scale by rank, [n, F]."""
    varying = values[:, np.ptp(values, axis=0) > 0]
    if varying.shape[1] == 0:
        return varying
    scale = QuantileTransformer(
        output_distribution="normal",
        n_quantiles=min(N_QUANTILES, len(values)),
        subsample=None,
    )
    return np.clip(scale.fit_transform(varying), -MAX_SCORE, MAX_SCORE)


def _activity(
    block: EventWindow, numeric: tuple[str, ...], *, types: np.ndarray, until: int
) -> np.ndarray:
    """How much, how recently and when each user was active, float64 [n, F]."""
    ages = (until - block.times) / DAY_US
    columns = [
        *_extent(block, ages),
        *_clock(block),
        *(block.total(block.codes("event") == code) for code in types),
    ]
    for name in numeric:
        columns += _amounts(block, block.numbers(name), ages)
    return np.stack(columns, axis=1)


def _extent(block: EventWindow, ages: np.ndarray) -> Iterator[np.ndarray]:
    """Number of events, time since the last and the first, days, mean gap, events of late."""
    events, tenure = block.total(), block.greatest(ages)
    recency = -block.greatest(-ages)
    yield from (events, recency, tenure, block.active_days())
    yield (tenure - recency) / np.maximum(events - 1, 1)
    yield from (block.total(ages <= days) for days in RECENT_DAYS)


def _clock(block: EventWindow) -> Iterator[np.ndarray]:
    """Share of the events in each quarter of the day and on each weekday, UTC."""
    quarter = block.times // (6 * HOUR_US) % 4
    weekday = block.times // DAY_US % 7
    yield from (block.mean(quarter == number) for number in range(4))
    yield from (block.mean(weekday == number) for number in range(7))


def _amounts(block: EventWindow, values: np.ndarray, ages: np.ndarray) -> list[np.ndarray]:
    """Sum, mean and greatest of a numeric field, and its sums of late."""
    known, amount = ~np.isnan(values), np.nan_to_num(values)
    total = block.total(amount)
    mean = total / np.maximum(block.total(known), 1)
    recent = [block.total(amount * (ages <= days)) for days in RECENT_DAYS[1:]]
    return [total, mean, block.greatest(amount), *recent]


def standardised(features: np.ndarray) -> np.ndarray:
    """Columns with mean 0 and spread 1, float64 [n, F]; those that do not vary are left out."""
    columns = np.asarray(features, dtype=np.float64)
    spread = columns.std(axis=0)
    varying = spread > NO_SPREAD * np.abs(columns).max(axis=0, initial=0)
    return (columns[:, varying] - columns[:, varying].mean(axis=0)) / spread[varying]
